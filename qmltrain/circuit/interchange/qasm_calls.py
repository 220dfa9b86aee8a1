"""Gate calls of an OpenQASM program: definitions of its own and modifiers, down to operations on given qubits."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from qmltrain.circuit.interchange.qasm_expressions import LARGEST_COUNT, Expression, NotAnAngleError
from qmltrain.circuit.interchange.qasm_gates import GATES, Operation, Rule
from qmltrain.circuit.interchange.qasm_modifiers import controlled, inverse, power
from qmltrain.circuit.interchange.qasm_values import INCLUDES, Scope, Values, brief, unknown_gate, whole_number, words
from qmltrain.errors import InputError


@dataclass(frozen=True)
class Definition:
    """A `gate` of the program."""

    parameters: tuple[str, ...]
    qubits: tuple[str, ...]
    body: Sequence[Any]
    number: int  # in the order of definitions: a body may call earlier ones alone


class GateCalls(Values):
    """What is known of gates at a point of the program; `where` (config key and file) opens messages."""

    def __init__(self, where: str, version_2: bool) -> None:
        super().__init__(version_2)
        self.where = where
        self.definitions: dict[str, Definition] = {}
        self.opaque: set[str] = set()
        self.included = False
        self.count = 0

    def operations(self, statement: Any, qubits: tuple[int, ...], scope: Scope, callable_below: int) -> list[Operation]:
        """The operations of one gate call on given qubits, modifiers carried out."""
        name = statement.name.name
        self.count_operations()
        modifiers = [self._modifier(modifier, scope) for modifier in statement.modifiers]
        n_controls = sum(count for kind, count in modifiers if kind in ("ctrl", "negctrl"))
        if n_controls >= len(qubits) and n_controls:
            raise InputError(f"{name}: {len(qubits)} qubits are too few for {n_controls} controls")
        if len(set(qubits)) != len(qubits):
            raise InputError(f"{name}: a qubit is given twice")
        angles = [self.evaluate(argument, scope) for argument in statement.arguments]
        operations = self._call(name, angles, qubits[n_controls:], callable_below)
        return self._modified(operations, modifiers, qubits[:n_controls])

    def phase(self, statement: Any, scope: Scope, qubit_of: Callable[[Any], int]) -> list[Operation]:
        """A phase, with controls that of qubits; `qubit_of` finds them."""
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
        if definition is None:
            rule = self._rule(name)
            _check_counts(name, rule.n_angles, rule.n_qubits, angles, qubits)
            return rule.operations(angles, qubits)
        if definition.number >= callable_below:
            raise InputError(f"gate {name} calls itself, or a gate that is defined later")
        _check_counts(name, len(definition.parameters), len(definition.qubits), angles, qubits)
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

    def _rule(self, name: str) -> Rule:
        if name in self.opaque:
            raise InputError(f"gate {name} is opaque: nothing says what it does; define it with `gate`")
        if name not in GATES:
            raise InputError(unknown_gate(name))
        if not self.included and name != "U" and not (name == "CX" and self.version_2):
            self.included = True  # said once; runs of former versions may hold such texts
            include = INCLUDES[1 if self.version_2 else 0]
            found = f"{self.where}: gate {name!r} is not defined, taken from a library"
            warnings.warn(f'{found}; write `include "{include}";` at the top', stacklevel=2)
        return GATES[name]

    def _in_gate(self, statement: Any, scope: Scope, places: dict[str, int], number: int) -> list[Operation]:
        def place(qubit: Any) -> int:
            name = qubit.name if isinstance(qubit.name, str) else f"{qubit.name.name}[...]"
            if name not in places:
                raise InputError(f"qubit {name!r} is not an argument of the gate")
            return places[name]

        with self.at(statement):
            kind = type(statement).__name__
            if kind == "QuantumBarrier":
                return []
            if kind == "QuantumPhase":
                return self.phase(statement, scope, place)
            if kind != "QuantumGate":
                raise InputError(f"{words(kind)} cannot stand in the definition of a gate")
            return self.operations(statement, tuple(place(qubit) for qubit in statement.qubits), scope, number)
        raise AssertionError

    def count_operations(self, more: int = 1) -> None:
        """More gates or iterations of a loop: a short program may stand for a great many."""
        self.count += more
        if self.count > LARGEST_COUNT:
            raise InputError(f"more than {LARGEST_COUNT} gates and iterations of loops")

    @contextmanager
    def at(self, statement: Any) -> Iterator[None]:
        """Messages get the file and the line, once."""
        try:
            yield
        except (InputError, NotAnAngleError) as error:
            raise self.located(error, statement) from error

    def located(self, error: Exception, statement: Any) -> Exception:
        """The error with the file and the line of `statement`, once."""
        if str(error).startswith(self.where):
            return error
        line = statement.span.start_line if statement.span else "?"
        return InputError(f"{self.where}, line {line}: {brief(str(error))}")


def _check_counts(
    name: str, n_angles: int, n_qubits: int, angles: Sequence[Expression], qubits: tuple[int, ...]
) -> None:
    if (len(angles), len(qubits)) != (n_angles, n_qubits):
        raise InputError(
            f"gate {name} takes {n_angles} angles and {n_qubits} qubits, found {len(angles)} and {len(qubits)}"
        )
