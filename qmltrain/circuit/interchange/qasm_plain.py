"""Plain gate calls and gate definitions of OpenQASM, as the nodes that the package openqasm3 makes of them.

Plain is a name, angles of numbers, names, + - * / and parentheses, and qubits `q`, `q[3]` or `$3`; a definition is
plain whose body is. Whatever else stands in a file is left to the package. Both give the same circuits (tested).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any

GAP = r"[ \t\r\n]*"
NAME = r"[A-Za-z_][A-Za-z0-9_]*"
KEYWORDS_2 = frozenset({"OPENQASM", "include", "qreg", "creg", "gate", "opaque", "barrier", "measure", "reset", "if"})
KEYWORDS = (KEYWORDS_2 - {"opaque"}) | {
    "angle", "array", "bit", "bool", "box", "break", "cal", "case", "complex", "const", "continue", "ctrl", "def",
    "default", "defcal", "defcalgrammar", "delay", "duration", "durationof", "else", "end", "extern", "false",
    "float", "for", "gphase", "in", "input", "int", "inv", "let", "measure", "mutable", "negctrl", "nop", "output",
    "pow", "pragma", "qubit", "readonly", "return", "stretch", "switch", "true", "uint", "void", "while",
}  # fmt: skip
_QUBIT = rf"(?:{NAME}(?:{GAP}\[{GAP}[0-9]{{1,9}}{GAP}\])?|\$[0-9]{{1,9}})"
_CALL = re.compile(
    rf"{GAP}({NAME})(?:{GAP}\(([^();]{{0,500}}(?:\([^();]{{0,200}}\)[^();]{{0,200}}){{0,9}})\){GAP}|[ \t\r\n]+)"
    rf"({_QUBIT}(?:{GAP},{GAP}{_QUBIT})*){GAP};"
)
_NAMES = rf"{NAME}(?:{GAP},{GAP}{NAME})*"
_DEFINITION = re.compile(
    rf"gate[ \t\r\n]+({NAME}){GAP}(?:\({GAP}({_NAMES})?{GAP}\){GAP}|(?<=[ \t\r\n]))({_NAMES}){GAP}\{{"
)
_CLOSE = re.compile(rf"{GAP}\}}")
_NUMBER = r"(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?![A-Za-z0-9_.])"
_ANGLE = re.compile(rf"(?>(?:{_NUMBER}|{NAME}|(?<!\*)\*|(?<!/)/|[-+() \t\r\n])+)")
_WORD = re.compile(NAME)
_LONE_FLOAT = re.compile(rf"{GAP}(-?)([0-9]+\.[0-9]+(?:[eE][+-]?[0-9]+)?){GAP}")


class PlainStatements:
    """Reads plain statements; equal texts of angles and qubits share their nodes."""

    def __init__(self, version_2: bool) -> None:
        import openqasm3.ast as nodes

        self._nodes = nodes
        self._keywords = KEYWORDS_2 if version_2 else KEYWORDS
        self._angles: dict[str, list[Any] | None] = {}
        self._qubits: dict[str, list[Any] | None] = {}
        self._names: dict[str, Any] = {}

    def read(self, text: str, at: int, line: int) -> tuple[Any, int]:
        """The statement that begins at `at`, in `line`, and where it ends; None where it is not plain."""
        if text[at : at + 4] == "gate" and text[at + 4 : at + 5].isspace():
            return self._definition(text, at, line)
        return self._call(text, at, line, indexed=True)

    def span(self, line: int) -> Any:
        return self._nodes.Span(line, 0, line, 0)

    def _call(self, text: str, at: int, line: int, *, indexed: bool) -> tuple[Any, int]:
        found = _CALL.match(text, at)
        if found is None:
            return None, at
        name, angles, qubits = found.groups()
        arguments = self._cached(self._angles, angles, self._read_angles) if angles is not None else []
        places = self._cached(self._qubits, qubits, self._read_qubits)
        if arguments is None or places is None or not indexed and ("[" in qubits or "$" in qubits):
            return None, at
        if name == "barrier" and angles is None:
            statement: Any = self._nodes.QuantumBarrier(places)
        elif name in self._keywords:
            return None, at
        else:
            statement = self._nodes.QuantumGate([], self._name(name), arguments, places)
        statement.span = self.span(line + text.count("\n", at, found.start(1)))
        return statement, found.end()

    def _definition(self, text: str, at: int, line: int) -> tuple[Any, int]:
        found = _DEFINITION.match(text, at)
        if found is None:
            return None, at
        name, parameters, qubits = found.groups()
        names = [_WORD.findall(part or "") for part in (name, parameters, qubits)]
        if any(word in self._keywords for part in names for word in part):
            return None, at
        body, end, span = [], found.end(), self.span(line)
        line += text.count("\n", at, end)
        while not (close := _CLOSE.match(text, end)):
            statement, after = self._call(text, end, line, indexed=False)
            if statement is None:
                return None, at
            line += text.count("\n", end, after)
            body.append(statement)
            end = after
        of_names = [[self._name(word) for word in part] for part in names]
        definition = self._nodes.QuantumGateDefinition(of_names[0][0], of_names[1], of_names[2], body)
        definition.span = span
        return definition, close.end()

    def _name(self, word: str) -> Any:
        if word not in self._names:
            self._names[word] = self._nodes.Identifier(word)
        return self._names[word]

    @staticmethod
    def _cached(cache: dict[str, Any], text: str, read: Callable[[str], Any]) -> Any:
        if text not in cache:
            cache[text] = read(text)
        return cache[text]

    def _read_qubits(self, text: str) -> list[Any] | None:
        found = []
        for part in text.split(","):
            name, _, index = part.strip().partition("[")
            name = name.rstrip()
            if name in self._keywords:
                return None
            node = self._name(name)
            if index:
                size = self._nodes.IntegerLiteral(int(index.rstrip("] \t\r\n")))
                node = self._nodes.IndexedIdentifier(node, [[size]])
            found.append(node)
        return found

    def _read_angles(self, text: str) -> list[Any] | None:
        """The nodes of angles with commas between them; None where one is not plain."""
        if not text.strip():
            return []
        found = []
        for part in text.split(","):
            if number := _LONE_FLOAT.fullmatch(part):  # the usual, without a detour
                node = self._nodes.FloatLiteral(float(number[2]))
                found.append(self._nodes.UnaryExpression(self._nodes.UnaryOperator["-"], node) if number[1] else node)
                continue
            if not _ANGLE.fullmatch(part) or any(word in self._keywords for word in _WORD.findall(part)):
                return None
            try:  # Python has the precedence of these few operators in common with OpenQASM
                node = self._expression(ast.parse(f"({part})", mode="eval").body)
            except (SyntaxError, ValueError, MemoryError, RecursionError):
                return None
            if node is None:
                return None
            found.append(node)
        return found

    def _expression(self, node: ast.expr) -> Any:
        nodes = self._nodes
        match node:
            case ast.Constant(value=float(value)):
                return nodes.FloatLiteral(value)
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                return nodes.IntegerLiteral(value)
            case ast.Name(id=name):
                return self._name(name)
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                inner = self._expression(operand)
                return None if inner is None else nodes.UnaryExpression(nodes.UnaryOperator["-"], inner)
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() | ast.Div() as op, right=right):
                a, b = self._expression(left), self._expression(right)
                sign = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}[type(op)]
                return None if a is None or b is None else nodes.BinaryExpression(nodes.BinaryOperator[sign], a, b)
        return None
