"""OpenQASM 3 and 2 programs as circuits, through the reference parser of OpenQASM (package openqasm3, extra `qasm`).

Qubits are numbered in the order of their declarations, so q[0] of the first register is qubit 0 (the lowest bit of an
amplitude's index). `input float x0;`, `input float x1;`, ... or `input array[float, n] x;` are the features; every
other input is a trainable parameter of its own name, in the order of the declarations. OpenQASM 2 has no inputs: there
every name that nothing declares is one. Constants, gate definitions, `for` over integers and the modifiers inv, pow,
ctrl and negctrl are carried out; measurements at the end, barriers and resets of qubits that no gate has acted on are
passed over: observables say what is measured, and qubits begin in 0. What depends on a measurement, other resets,
`def` and timing are refused. Which standard gates follow is said in `qasm_gates`.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Gate
from qmltrain.circuit.interchange.qasm_ahead import declared_qubits, look_ahead
from qmltrain.circuit.interchange.qasm_calls import Definition, GateCalls
from qmltrain.circuit.interchange.qasm_expressions import LARGEST_COUNT, Expression, NotAnAngleError, to_angle
from qmltrain.circuit.interchange.qasm_gates import Operation, circuit_gates
from qmltrain.circuit.interchange.qasm_text import statements, version_of, without_comments
from qmltrain.circuit.interchange.qasm_values import INCLUDES, Scope, unsupported, whole_number, words
from qmltrain.errors import InputError

INSTALL = "pip install 'qmltrain[qasm]'"


@dataclass(frozen=True)
class Program:
    """What a file says: qubits, trainable parameters in order, features used (the highest index plus 1), gates.

    `reset_qubits` were reset before the first gate on them: it means the same only where nothing comes before it.
    """

    n_qubits: int
    parameter_names: tuple[str, ...]
    n_features: int
    gates: tuple[Gate, ...]
    reset_qubits: tuple[int, ...] = ()


def read_program(text: str, where: str, check_qubits: Callable[[int], None] = lambda n_qubits: None) -> Program:
    """The program `text`; `where` (config key and file) opens each message, with the line. Raises InputError.

    `check_qubits` may refuse their number: what registers declare is looked at before a large file is read.
    """
    try:
        import openqasm3.parser  # noqa: F401
    except ImportError:
        raise InputError(f"{where}: reading OpenQASM needs the package openqasm3 with its parser: {INSTALL}") from None
    text = without_comments(text, where)
    if not text.strip():
        raise InputError(f"{where}: the file is empty, or holds comments alone")
    version, begin = version_of(text, where)
    check_qubits(declared_qubits(text))
    look_ahead(text, where, version == 2)
    reader = _Reader(where, version == 2)
    with _no_garbage_collection():
        reader.statements(statements(text, where, version == 2, begin), {})
    if not reader.n_qubits:
        raise InputError(f"{where}: declares no qubits")
    check_qubits(reader.n_qubits)
    return Program(
        reader.n_qubits,
        tuple(reader.parameters),
        reader.n_features,
        tuple(reader.gates),
        tuple(sorted(reader.reset)),
    )


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """The gates of a long file are in no cycles, and the collector would visit all of them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Reader(GateCalls):
    """Walks the statements once."""

    def __init__(self, where: str, version_2: bool) -> None:
        super().__init__(where, version_2)
        self.gates: list[Gate] = []
        self.n_qubits = 0
        self.used: set[int] = set()
        self.measured: set[int] = set()
        self.reset: set[int] = set()
        self._repeated: dict[tuple[str, int], tuple[list[Any], int, list[Gate], int]] = {}
        self._methods: dict[type, Callable[[Any, Scope], None] | None] = {}

    # statements

    def statements(self, statements: Iterable[Any], scope: Scope) -> None:
        for statement in statements:
            try:  # not `at`: files of 200,000 gates are read
                self._statement(statement, scope)
            except (InputError, NotAnAngleError) as error:
                raise self.located(error, statement) from error

    def _statement(self, statement: Any, scope: Scope) -> None:
        kind = type(statement)
        if kind not in self._methods:
            self._methods[kind] = getattr(self, f"_{kind.__name__}", None)
        method = self._methods[kind]
        if method is None:
            raise InputError(unsupported(words(kind.__name__)))
        method(statement, scope)

    def _Include(self, statement: Any, scope: Scope) -> None:
        if statement.filename not in INCLUDES:
            raise InputError(f"include {statement.filename!r} is not available; allowed: {', '.join(INCLUDES)}")
        self.included = True

    def _OpaqueDeclaration(self, statement: Any, scope: Scope) -> None:
        self.opaque.add(statement.name)

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
        self.definitions[name] = Definition(
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
            self.count_operations()
            self.statements(statement.block, {**scope, name: Expression.number(int(value))})

    def _QuantumMeasurementStatement(self, statement: Any, scope: Scope) -> None:
        self._measure(statement.measure, scope)

    def _measure(self, measurement: Any, scope: Scope) -> None:
        if type(measurement).__name__ != "QuantumMeasurement":
            raise InputError("classical bits may only take measurements")
        self.measured.update(self._qubits(measurement.qubit, scope))

    def _QuantumReset(self, statement: Any, scope: Scope) -> None:
        qubits = self._qubits(statement.qubits, scope)
        late = self.used & set(qubits)
        if late:
            raise InputError(
                f"reset of qubit {min(late)} after a gate on it; a qubit can be reset before its first gate"
            )
        self.reset.update(qubits)

    def _QuantumPhase(self, statement: Any, scope: Scope) -> None:
        self._emit(self.phase(statement, scope, lambda qubit: self._single(qubit, scope)))

    def _QuantumGate(self, statement: Any, scope: Scope) -> None:
        """One call. Long files repeat those without angles, whose nodes of qubits the reader of plain calls shares."""
        plain = not (scope or statement.arguments or statement.modifiers)
        key = (statement.name.name, id(statement.qubits))
        known = self._repeated.get(key) if plain else None
        if known is not None and known[1] == len(self.definitions):  # the node in it lives: no other has its id
            _, _, gates, count = known
            if not self.measured and len(self.gates) + len(gates) <= LARGEST_COUNT:
                self.gates += gates
                self.count_operations(count)
                return
        begin, count = len(self.gates), self.count
        self._call_gate(statement, scope)
        if plain:
            found = self.gates[begin:], self.count - count
            self._repeated[key] = (statement.qubits, len(self.definitions), *found)

    def _call_gate(self, statement: Any, scope: Scope) -> None:
        places = [self._qubits(qubit, scope) for qubit in statement.qubits]
        if all(len(place) == 1 for place in places):
            qubits = tuple([place[0] for place in places])
            self._emit(self.operations(statement, qubits, scope, len(self.definitions)))
            return
        lengths = {len(place) for place in places if len(place) != 1}
        if len(lengths) > 1:
            raise InputError(f"{statement.name.name}: registers of different sizes {sorted(lengths)}")
        for position in range(max(lengths, default=1)):  # one gate for each qubit of the registers
            qubits = tuple(place[0] if len(place) == 1 else place[position] for place in places)
            self._emit(self.operations(statement, qubits, scope, len(self.definitions)))

    def _emit(self, operations: Sequence[Operation]) -> None:
        if len(self.gates) + len(operations) > LARGEST_COUNT:
            raise InputError(f"more than {LARGEST_COUNT} gates")
        for operation in operations:
            late = self.measured and self.measured.intersection(operation.qubits)
            if late:
                raise InputError(f"gate {operation.name} on qubit {min(late)} after its measurement")
            self.used.update(operation.qubits)
            for name, qubits, angles in circuit_gates(operation):
                self.gates.append(Gate(name, qubits, tuple([_angle(angle, operation.name) for angle in angles])))

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
            if len(name) > 9 or int(name[1:]) >= LARGEST_COUNT:
                raise InputError(f"qubit {name} is not possible")
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
        elif len(index) == 1 and type(index[0]).__name__ == "IntegerLiteral":
            items = [index[0].value]  # the usual, without a detour
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


def _angle(expression: Expression, gate: str) -> Angle:
    try:
        return to_angle(expression)
    except NotAnAngleError as error:
        raise InputError(f"gate {gate}: its angle has a form that a circuit cannot take: {error}") from error
