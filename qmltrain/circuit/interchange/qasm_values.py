"""Names and numbers of an OpenQASM program: inputs, constants, and the value of an expression."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from qmltrain.circuit.interchange.qasm_expressions import LARGEST_COUNT, Expression, NotAnAngleError, Symbol
from qmltrain.errors import InputError

INCLUDES = ("stdgates.inc", "qelib1.inc")
_NUMBERS = {"pi": math.pi, "π": math.pi, "tau": math.tau, "τ": math.tau, "euler": math.e, "ℇ": math.e}
_FUNCTIONS: dict[str, Callable[[float], float]] = {
    "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "sqrt": math.sqrt, "arcsin": math.asin, "arccos": math.acos, "arctan": math.atan, "asin": math.asin,
    "acos": math.acos, "atan": math.atan, "floor": math.floor, "ceiling": math.ceil,
}  # fmt: skip
_AS_WRITTEN = {
    "BranchingStatement": "if", "WhileLoop": "while", "SwitchStatement": "switch", "BreakStatement": "break",
    "ContinueStatement": "continue", "EndStatement": "end", "ReturnStatement": "return", "SubroutineDefinition": "def",
    "ExternDeclaration": "extern", "AliasStatement": "let", "ClassicalAssignment": "an assignment",
    "ExpressionStatement": "an expression alone", "CompoundStatement": "a block alone", "DelayInstruction": "delay",
    "Box": "box", "CalibrationDefinition": "defcal", "CalibrationStatement": "cal",
    "CalibrationGrammarDeclaration": "defcalgrammar", "QuantumReset": "reset", "Cast": "a cast",
}  # fmt: skip
_FEATURE = re.compile(r"x(0|[1-9][0-9]*)")

Scope = dict[str, Expression]  # numbers, loop variables and inputs by name


class Values:
    """What the names of a program stand for. Inputs called x0, x1, ... are features, others parameters."""

    def __init__(self, version_2: bool) -> None:
        self.version_2 = version_2
        self.names_are_inputs = version_2  # as long as no gate is being defined
        self.parameters: list[str] = []
        self.n_features = 0
        self.registers: dict[str, list[int]] = {}  # of qubits
        self.arrays: dict[str, list[Expression]] = {}
        self.globals: Scope = {}

    def declare(self, name: str, scope: Scope) -> None:
        if name in self.globals or name in self.registers or name in self.arrays or name in scope:
            raise InputError(f"{name} is declared twice")

    def input(self, name: str) -> Expression:
        found = _FEATURE.fullmatch(name)
        if found and len(name) > 9:
            raise InputError(f"feature {name} is not possible")
        return self.feature(int(found[1])) if found else self.parameter(name)

    def feature(self, index: int) -> Expression:
        if index >= LARGEST_COUNT:
            raise InputError(f"feature x{index} is not possible")
        self.n_features = max(self.n_features, index + 1)
        return Expression.symbol(Symbol("feature", index))

    def parameter(self, name: str) -> Expression:
        self.parameters.append(name)
        return Expression.symbol(Symbol("parameter", len(self.parameters) - 1))

    def evaluate(self, expression: Any, scope: Scope) -> Expression:
        """The value of an expression; InputError for one that has none."""
        kind = type(expression).__name__
        if kind in ("IntegerLiteral", "FloatLiteral"):
            if abs(expression.value) > sys.float_info.max:
                raise InputError("a number is not finite: it is beyond 1.8e308")
            return Expression.number(expression.value)
        if kind == "Identifier":
            return self._named(expression.name, scope)
        if kind == "UnaryExpression" and expression.op.name == "-":
            return -self.evaluate(expression.expression, scope)
        if kind == "BinaryExpression":
            return self._binary(expression, scope)
        if kind == "FunctionCall":
            return self._function(expression, scope)
        if kind == "IndexExpression" and type(expression.collection).__name__ == "Identifier":
            return self._element(expression, scope)
        if kind == "Cast" and type(expression.type).__name__ in ("FloatType", "AngleType"):
            return replace(self.evaluate(expression.argument, scope), whole=False)
        raise InputError(f"{words(kind)} is not supported in an angle")

    def _named(self, name: str, scope: Scope) -> Expression:
        for known in (scope, self.globals):
            if name in known:
                return known[name]
        if name == "pi" or name in _NUMBERS and not self.version_2:
            return Expression.number(_NUMBERS[name])
        if self.names_are_inputs and name not in self.registers:
            return self.globals.setdefault(name, self.input(name))
        raise InputError(f"{name!r} is not declared; write `input float {name};` for a parameter or feature")

    def _element(self, expression: Any, scope: Scope) -> Expression:
        name = expression.collection.name
        if name not in self.arrays:
            raise InputError(f"{name!r} is not an array of inputs")
        if not isinstance(expression.index, list) or len(expression.index) != 1:
            raise InputError(f"{name}: arrays have one index")
        index, array = whole_number(self.evaluate(expression.index[0], scope), "an index"), self.arrays[name]
        if not -len(array) <= index < len(array):
            raise InputError(f"{name}[{index}]: the array has {len(array)} elements")
        return array[index]

    def _binary(self, expression: Any, scope: Scope) -> Expression:
        a, b = self.evaluate(expression.lhs, scope), self.evaluate(expression.rhs, scope)
        op = expression.op.name
        if op == "+":
            return a + b
        if op == "-":
            return a - b
        if op == "*":
            return a * b
        if op == "/":
            if a.whole and b.whole and not self.version_2:
                return self._whole_quotient(a, b)
            return a / b
        if op == "**":
            base, exponent = a.value, b.value
            try:
                value = math.pow(base, exponent)
            except (ArithmeticError, ValueError) as error:
                raise InputError(f"{base:g} ** {exponent:g}: {error}") from error
            return replace(Expression.number(value), whole=a.whole and b.whole and exponent >= 0)
        if op == "%" and a.whole and b.whole and b.value:
            return Expression.number(whole_number(a, "a number") % whole_number(b, "a number"))
        raise InputError(f"operator {op} is not supported in an angle")

    def _whole_quotient(self, a: Expression, b: Expression) -> Expression:
        if not b.value:
            raise InputError("a division by zero")
        over, under = whole_number(a, "a number"), whole_number(b, "a number")
        if over % under:
            raise InputError(f"{over}/{under} divides integers, which OpenQASM 3 rounds; write {over}.0/{under}")
        return Expression.number(over // under)

    def _function(self, expression: Any, scope: Scope) -> Expression:
        name = expression.name.name
        arguments = [self.evaluate(argument, scope) for argument in expression.arguments]
        if name not in _FUNCTIONS or len(arguments) != 1:
            raise InputError(f"function {name} of {len(arguments)} arguments is not supported in an angle")
        [argument] = arguments
        if name in ("arccos", "acos") and len(argument.terms) == 1:
            [(monomial, value)] = argument.terms.items()
            if len(monomial) == 1 and monomial[0].kind == "feature" and value == 1.0:
                return Expression.symbol(Symbol("arccos", monomial[0].index))
        try:
            return Expression.number(float(_FUNCTIONS[name](argument.value)))
        except (ArithmeticError, ValueError) as error:
            raise InputError(
                f"{name}({argument.value:g}): {error}" if argument.is_number else f"{name}: {error}"
            ) from error


def whole_number(expression: Expression, what: str) -> int:
    try:
        value = expression.value
    except NotAnAngleError as error:
        raise InputError(f"{what}: {error}") from error
    if not math.isfinite(value) or value != int(value):
        raise InputError(f"{what} must be an integer, found {value:g}")
    return int(value)


def brief(reason: str) -> str:
    """`reason` with the long words of a damaged text cut short."""
    return re.sub(r"\S{80,}", lambda found: f"{found[0][:40]}...", reason)[:500]


def unsupported(statement: str) -> str:
    return f"{statement} is not supported; circuits hold declarations, gates and loops"


def unknown_gate(name: str) -> str:
    return f"gate {name!r} is not known: neither in {' or '.join(INCLUDES)} nor defined before"


def words(kind: str) -> str:
    """A syntax node as users write it, `BranchingStatement` -> `if`, or in words, `IndexSet` -> `index set`."""
    if kind in _AS_WRITTEN:
        return _AS_WRITTEN[kind]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind).lower()
