"""OpenQASM 3 and 2 programs as circuits, through the reference parser of OpenQASM (package openqasm3, extra `qasm`).

Qubits are numbered in the order of their declarations, so q[0] of the first register is qubit 0 (the lowest bit of an
amplitude's index). `input float x0;`, `input float x1;`, ... or `input array[float, n] x;` are the features; every
other input is a trainable parameter of its own name, in the order of the declarations. OpenQASM 2 has no inputs: there
every name that nothing declares is one. Constants, gate definitions, `for` over integers and the modifiers inv, pow,
ctrl and negctrl are carried out; measurements at the end and barriers are passed over, since observables say what is
measured. What depends on a measurement, `reset`, `def` and timing is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from typing import Any

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Gate
from qmltrain.circuit.qasm_expressions import Expression, NotAnAngleError, to_angle
from qmltrain.circuit.qasm_gates import GATES, Operation, controlled, inverse, power
from qmltrain.circuit.qasm_values import LARGEST_COUNT, Scope, Values, whole_number, words
from qmltrain.errors import InputError

INSTALL = "pip install 'qmltrain[qasm]'"
INCLUDES = ("stdgates.inc", "qelib1.inc")


@dataclass(frozen=True)
class Program:
    """What a file says: qubits, trainable parameters in order, features used (the highest index plus 1), gates."""

    n_qubits: int
    parameter_names: tuple[str, ...]
    n_features: int
    gates: tuple[Gate, ...]


def read_program(text: str, where: str) -> Program:
    """The program `text`; `where` (config key and file) opens each message, with the line. Raises InputError."""
    try:
        import openqasm3
        from openqasm3.parser import QASM3ParsingError
    except ImportError:
        raise InputError(f"{where}: reading OpenQASM needs the package openqasm3 with its parser: {INSTALL}") from None
    if not text.strip():
        raise InputError(f"{where}: the file is empty")
    if re.search(r"^\s*OPENQASM\s+2", text, flags=re.MULTILINE):
        text = text.replace("^", "**")  # a power in OpenQASM 2, and the lowest of operators in 3
    try:
        with redirect_stderr(StringIO()):  # the parser also prints what it raises
            tree = openqasm3.parse(text)
    except QASM3ParsingError as error:
        raise InputError(f"{where}{_place(error)}: not understood as OpenQASM") from error
    except RecursionError:
        raise InputError(f"{where}: nested too deeply to be understood") from None
    if tree.version is not None and tree.version.partition(".")[0] not in ("2", "3"):
        raise InputError(f"{where}: OpenQASM {tree.version}; versions 2 and 3 are understood")
    reader = _Reader(where, (tree.version or "3").startswith("2"))
    reader.statements(tree.statements, {})
    if not reader.n_qubits:
        raise InputError(f"{where}: declares no qubits")
    return Program(reader.n_qubits, tuple(reader.parameters), reader.n_features, tuple(reader.gates))


def _place(error: BaseException) -> str:
    """Line and column of a parse error, as far as the parser tells."""
    cause: Any = error.__cause__ or error.__context__
    token = getattr(cause.args[0], "offendingToken", None) if cause is not None and cause.args else None
    if token is not None:
        return f", line {token.line}, column {token.column + 1} ({token.text!r})"
    return f": {' '.join(str(error).split())}" if str(error) else ""


@dataclass(frozen=True)
class _Definition:
    """A `gate` of the program."""

    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: Sequence[Any]
    number: int  # in the order of definitions: a body may call earlier ones alone


class _Reader(Values):
    """Walks the statements once."""

    def __init__(self, where: str, version_2: bool) -> None:
        super().__init__(version_2)
        self.where = where
        self.gates: list[Gate] = []
        self.n_qubits = 0
        self.definitions: dict[str, _Definition] = {}
        self.measured: set[int] = set()
        self.turns = 0

    # statements

    def statements(self, statements: Sequence[Any], scope: Scope) -> None:
        for statement in statements:
            with self._at(statement):
                self._statement(statement, scope)

    def _statement(self, statement: Any, scope: Scope) -> None:
        kind = type(statement).__name__
        method = getattr(self, f"_{kind}", None)
        if method is None:
            raise InputError(f"{words(kind)} is not supported; circuits hold declarations, gates and loops")
        method(statement, scope)

    def _Include(self, statement: Any, scope: Scope) -> None:
        if statement.filename not in INCLUDES:
            raise InputError(f"include {statement.filename!r} is not available; allowed: {', '.join(INCLUDES)}")

    def _QuantumBarrier(self, statement: Any, scope: Scope) -> None:
        """Nothing is reordered across a barrier that would change a result."""

    def _ClassicalDeclaration(self, statement: Any, scope: Scope) -> None:
        kind = type(statement.type).__name__
        if kind == "BitType":
            if statement.init_expression is not None:
                self._measure(statement.init_expression, scope)
            return
        if statement.init_expression is None:
            raise InputError("a variable without a value is of no use in a circuit")
        self._ConstantDeclaration(statement, scope)

    def _ConstantDeclaration(self, statement: Any, scope: Scope) -> None:
        self.declare(statement.identifier.name, scope)
        value = self.evaluate(statement.init_expression, scope)
        if type(statement.type).__name__ in ("IntType", "UintType"):
            value = Expression.number(whole_number(value, "an integer constant"))
        else:
            value = replace(value, whole=False)
        (scope if scope is not self.globals and scope else self.globals)[statement.identifier.name] = value

    def _IODeclaration(self, statement: Any, scope: Scope) -> None:
        name, of = statement.identifier.name, statement.type
        if statement.io_identifier.name != "input":
            return  # outputs are classical
        self.declare(name, scope)
        kind = type(of).__name__
        if kind in ("FloatType", "AngleType"):
            self.globals[name] = self.input(name)
        elif kind == "ArrayType" and type(of.base_type).__name__ in ("FloatType", "AngleType"):
            sizes = [whole_number(self.evaluate(size, scope), "the size of an array") for size in of.dimensions]
            if len(sizes) != 1 or not 1 <= sizes[0] <= LARGEST_COUNT:
                raise InputError(f"input {name}: an array needs one dimension of 1 or more")
            if name == "x":
                self.arrays[name] = [self.feature(index) for index in range(sizes[0])]
            else:
                self.arrays[name] = [self.parameter(f"{name}.{index}") for index in range(sizes[0])]
        else:
            raise InputError(f"input {name}: must be float, angle, or an array of one of them")

    def _QubitDeclaration(self, statement: Any, scope: Scope) -> None:
        name = statement.qubit.name
        self.declare(name, scope)
        size = 1 if statement.size is None else whole_number(self.evaluate(statement.size, scope), "a size")
        if not 1 <= size <= LARGEST_COUNT:
            raise InputError(f"qubit register {name}: size {size} is not possible")
        self.registers[name] = list(range(self.n_qubits, self.n_qubits + size))
        self.n_qubits += size

    def _QuantumGateDefinition(self, statement: Any, scope: Scope) -> None:
        name = statement.name.name
        if name in self.definitions:
            raise InputError(f"gate {name} is defined twice")
        self.definitions[name] = _Definition(
            tuple(argument.name for argument in statement.arguments),
            tuple(qubit.name for qubit in statement.qubits),
            statement.body,
            len(self.definitions),
        )

    def _ForInLoop(self, statement: Any, scope: Scope) -> None:
        name, kind = statement.identifier.name, type(statement.set_declaration).__name__
        if kind == "RangeDefinition":
            values = list(self._range(statement.set_declaration, scope, None))
        elif kind == "DiscreteSet":
            values = [whole_number(self.evaluate(v, scope), "a loop's value") for v in statement.set_declaration.values]
        else:
            raise InputError("a loop goes over a range [a:b] or a set {a, b, ...} of integers")
        for value in values:
            self._count_turn()
            self.statements(statement.block, {**scope, name: Expression.number(int(value))})

    def _QuantumMeasurementStatement(self, statement: Any, scope: Scope) -> None:
        self._measure(statement.measure, scope)

    def _measure(self, measurement: Any, scope: Scope) -> None:
        if type(measurement).__name__ != "QuantumMeasurement":
            raise InputError("classical bits may only take measurements")
        self.measured.update(self._qubits(measurement.qubit, scope))

    def _QuantumPhase(self, statement: Any, scope: Scope) -> None:
        self._emit(self._phase(statement, scope, lambda qubit: self._single(qubit, scope)))

    def _QuantumGate(self, statement: Any, scope: Scope) -> None:
        places = [self._qubits(qubit, scope) for qubit in statement.qubits]
        lengths = {len(place) for place in places if len(place) != 1}
        if len(lengths) > 1:
            raise InputError(f"{statement.name.name}: registers of different sizes {sorted(lengths)}")
        for turn in range(max(lengths, default=1)):  # one gate for each qubit of the registers
            qubits = tuple(place[0] if len(place) == 1 else place[turn] for place in places)
            self._emit(self._operations(statement, qubits, scope, len(self.definitions)))

    # gates

    def _operations(
        self, statement: Any, qubits: tuple[int, ...], scope: Scope, callable_below: int
    ) -> list[Operation]:
        """The operations of one gate call on given qubits, modifiers carried out."""
        name = statement.name.name
        self._count_turn()
        modifiers = [self._modifier(modifier, scope) for modifier in statement.modifiers]
        n_controls = sum(count for kind, count in modifiers if kind in ("ctrl", "negctrl"))
        if n_controls >= len(qubits) and n_controls:
            raise InputError(f"{name}: {len(qubits)} qubits are too few for {n_controls} controls")
        if len(set(qubits)) != len(qubits):
            raise InputError(f"{name}: a qubit is given twice")
        angles = [self.evaluate(argument, scope) for argument in statement.arguments]
        operations = self._call(name, angles, qubits[n_controls:], callable_below)
        return self._modified(operations, modifiers, qubits[:n_controls])

    def _phase(self, statement: Any, scope: Scope, qubit_of: Callable[[Any], int]) -> list[Operation]:
        qubits = tuple(qubit_of(qubit) for qubit in statement.qubits)
        modifiers = [self._modifier(modifier, scope) for modifier in statement.modifiers]
        if sum(count for kind, count in modifiers if kind in ("ctrl", "negctrl")) != len(qubits):
            raise InputError("gphase: takes one qubit for each control")
        phase = Operation("gphase", (), (self.evaluate(statement.argument, scope),))
        return self._modified([phase], modifiers, qubits)

    def _modified(
        self, operations: list[Operation], modifiers: list[tuple[str, int]], controls: tuple[int, ...]
    ) -> list[Operation]:
        """Modifiers act from the gate outwards, the last one first; the first one's controls come first."""
        left = list(controls)
        for kind, count in reversed(modifiers):
            if kind == "inv":
                operations = inverse(operations)
            elif kind == "pow":
                operations = power(operations, count)
            else:
                for _ in range(count):
                    control = left.pop()
                    operations = controlled(operations, control)
                    if kind == "negctrl":
                        flip = Operation("x", (control,))
                        operations = [flip, *operations, flip]
            if len(operations) > LARGEST_COUNT:
                raise InputError(f"more than {LARGEST_COUNT} gates")
        return operations

    def _modifier(self, modifier: Any, scope: Scope) -> tuple[str, int]:
        kind = modifier.modifier.name
        if kind == "inv":
            return kind, 0
        value = (
            1 if modifier.argument is None else whole_number(self.evaluate(modifier.argument, scope), f"{kind}(...)")
        )
        if kind != "pow" and value < 1 or abs(value) > LARGEST_COUNT:
            raise InputError(f"{kind}({value}) is not possible")
        return kind, value

    def _call(
        self, name: str, angles: list[Expression], qubits: tuple[int, ...], callable_below: int
    ) -> list[Operation]:
        definition = self.definitions.get(name)
        if definition is not None and definition.number >= callable_below:
            raise InputError(f"gate {name} calls itself, or a gate that is defined later")
        if definition is None and name not in GATES:
            raise InputError(f"gate {name!r} is not known: neither in {' or '.join(INCLUDES)} nor defined before")
        if definition is None:
            n_angles, n_qubits, ours, convert = GATES[name]
        else:
            n_angles, n_qubits = len(definition.parameters), len(definition.qubits)
        if (len(angles), len(qubits)) != (n_angles, n_qubits):
            raise InputError(
                f"gate {name} takes {n_angles} angles and {n_qubits} qubits, found {len(angles)} and {len(qubits)}"
            )
        if definition is None:
            return [Operation(ours, qubits, tuple(convert(angles)))]
        scope: Scope = dict(zip(definition.parameters, angles, strict=True))
        places = dict(zip(definition.qubits, qubits, strict=True))
        found: list[Operation] = []
        outside, self.names_are_inputs = self.names_are_inputs, False
        for statement in definition.body:
            found += self._in_gate(statement, scope, places, definition.number)
            if len(found) > LARGEST_COUNT:
                raise InputError(f"more than {LARGEST_COUNT} gates")
        self.names_are_inputs = outside
        return found

    def _in_gate(self, statement: Any, scope: Scope, places: dict[str, int], number: int) -> list[Operation]:
        def place(qubit: Any) -> int:
            if qubit.name not in places:
                raise InputError(f"qubit {qubit.name!r} is not an argument of the gate")
            return places[qubit.name]

        with self._at(statement):
            kind = type(statement).__name__
            if kind == "QuantumBarrier":
                return []
            if kind == "QuantumPhase":
                return self._phase(statement, scope, place)
            if kind != "QuantumGate":
                raise InputError(f"{words(kind)} cannot stand in the definition of a gate")
            return self._operations(statement, tuple(place(qubit) for qubit in statement.qubits), scope, number)
        raise AssertionError

    def _emit(self, operations: Sequence[Operation]) -> None:
        if len(self.gates) + len(operations) > LARGEST_COUNT:
            raise InputError(f"more than {LARGEST_COUNT} gates")
        for operation in operations:
            late = self.measured & set(operation.qubits)
            if late:
                raise InputError(f"gate {operation.name} on qubit {min(late)} after its measurement")
            if operation.name == "gphase":
                continue
            name = "u" if operation.name == "U" else operation.name
            self.gates.append(Gate(name, operation.qubits, tuple(_angle(a, operation.name) for a in operation.angles)))

    # qubits

    def _single(self, qubit: Any, scope: Scope) -> int:
        found = self._qubits(qubit, scope)
        if len(found) != 1:
            raise InputError("one qubit is needed here, not a register")
        return found[0]

    def _qubits(self, qubit: Any, scope: Scope) -> list[int]:
        """The qubits that `q`, `q[i]`, `q[a:b]`, `q[{a, b}]` or `$i` stand for."""
        indexed = type(qubit).__name__ == "IndexedIdentifier"
        name = qubit.name.name if indexed else qubit.name
        if name.startswith("$"):
            self.n_qubits = max(self.n_qubits, int(name[1:]) + 1)
            if self.registers:
                raise InputError(f"{name}: physical qubits and registers cannot be mixed")
            return [int(name[1:])]
        if name not in self.registers:
            raise InputError(f"{name!r} is not a register of qubits")
        found = self.registers[name]
        for index in qubit.indices if indexed else ():
            found = self._pick(found, index, name, scope)
        return found

    def _pick(self, register: list[int], index: Any, name: str, scope: Scope) -> list[int]:
        if type(index).__name__ == "DiscreteSet":
            items = [whole_number(self.evaluate(value, scope), "an index") for value in index.values]
        elif len(index) == 1 and type(index[0]).__name__ == "RangeDefinition":
            items = list(self._range(index[0], scope, len(register)))
        elif len(index) == 1:
            items = [whole_number(self.evaluate(index[0], scope), "an index")]
        else:
            raise InputError(f"{name}: registers have one index")
        for item in items:
            if not -len(register) <= item < len(register):
                raise InputError(f"{name}[{item}]: the register has {len(register)} qubits")
        return [register[item] for item in items]

    def _range(self, of: Any, scope: Scope, size: int | None) -> range:
        """[start:step:end], the end included; of a register of `size` start and end may be left out or negative."""
        start, step, end = (
            None if part is None else whole_number(self.evaluate(part, scope), "the bound of a range")
            for part in (of.start, of.step, of.end)
        )
        if size is None and (start is None or end is None):
            raise InputError("a loop's range needs both ends")
        step = 1 if step is None else step
        if step == 0:
            raise InputError("a range cannot have step 0")
        first = (0 if step > 0 else (size or 0) - 1) if start is None else start
        last = ((size or 0) - 1 if step > 0 else 0) if end is None else end
        if size is not None:
            first, last = (bound + size if bound < 0 else bound for bound in (first, last))
        found = range(first, last + (1 if step > 0 else -1), step)
        if len(found) > LARGEST_COUNT:
            raise InputError(f"a range of more than {LARGEST_COUNT}")
        return found

    def _count_turn(self) -> None:
        self.turns += 1
        if self.turns > LARGEST_COUNT:
            raise InputError(f"more than {LARGEST_COUNT} gates and turns of loops")

    @contextmanager
    def _at(self, statement: Any) -> Iterator[None]:
        """Messages get the file and the line, once."""
        try:
            yield
        except (InputError, NotAnAngleError) as error:
            if str(error).startswith(self.where):
                raise
            line = statement.span.start_line if statement.span else "?"
            raise InputError(f"{self.where}, line {line}: {error}") from error


def _angle(expression: Expression, gate: str) -> Angle:
    try:
        return to_angle(expression)
    except NotAnAngleError as error:
        raise InputError(f"gate {gate}: its angle has a form that a circuit cannot take: {error}") from error
