"""The text of an OpenQASM program as statements, one after the other: what the reader walks through.

Statements are nodes of the package openqasm3, whose parser reads them. It takes a millisecond or two for a few gates,
so that gate calls and gate definitions of the plainest form, of which large files consist, are made into the same nodes
here (`qasm_plain`). What the parser does not know of OpenQASM 2 is put right before it sees it: names that are keywords
of OpenQASM 3, powers, `opaque`, and registers of no bits.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import redirect_stderr
from dataclasses import dataclass, fields, is_dataclass
from io import StringIO
from typing import Any

from qmltrain.circuit.interchange.qasm_plain import GAP, KEYWORDS, KEYWORDS_2, NAME, PlainStatements
from qmltrain.errors import InputError
from qmltrain.wording import one_line

_COMMENT = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|//[^\n]*|/\*.*?\*/|/\*", re.DOTALL)
_GAP = re.compile(GAP)
_VERSION = re.compile(rf"{GAP}OPENQASM[ \t\r\n]+([0-9]+)(?:\.[0-9]+)?{GAP};")
_WORD = re.compile(rf"\"[^\"\n]*\"|'[^'\n]*'|{NAME}|\^")
_STOP = re.compile(r"[;{}]|\"[^\"\n]*\"|'[^'\n]*'")
_BLOCK = re.compile(
    r"(?:[)\]}]|\belse|\bgate\b[^;{]*)[ \t\r\n]*$"
)  # what stands before the brace of a block, not of a set
_ELSE = re.compile(rf"{GAP}else\b")
_TO_THE_END_OF_LINES = re.compile(rf"{GAP}(?:[@#]|(?:pragma|cal|defcal|defcalgrammar)\b)")
_OPAQUE = re.compile(rf"{GAP}opaque[ \t\r\n]+({NAME})\b[^;{{}}]*;")
_NO_BITS = re.compile(rf"{GAP}creg[ \t\r\n]+{NAME}{GAP}\[{GAP}0{GAP}\]{GAP};")
_NEW_IN_3 = KEYWORDS - KEYWORDS_2
_MARK = "ǃ"  # a letter that makes a name of a keyword; no keyboard has it


@dataclass(frozen=True)
class OpaqueDeclaration:
    """`opaque name ...;` of OpenQASM 2: a gate of which nothing is known."""

    name: str
    span: Any = None


def without_comments(text: str, where: str) -> str:
    """`text` with spaces for comments, so that all else stays in its place. Raises InputError for one without end."""

    def blank(found: re.Match[str]) -> str:
        comment = found[0]
        if comment == "/*":
            line = text.count("\n", 0, found.start()) + 1
            raise InputError(f"{where}, line {line}: the comment that begins here has no end (*/)")
        return comment if comment[0] in "\"'" else re.sub(r"[^\n]", " ", comment)

    return _COMMENT.sub(blank, text)


def version_of(text: str, where: str) -> tuple[int, int]:
    """Version (2 or 3) of a program without comments, and where the statements begin."""
    found = _VERSION.match(text)
    if found is None:
        return 3, 0
    if found[1] not in ("2", "3"):
        stated = found[0].split()[-1].rstrip(";")
        raise InputError(f"{where}: OpenQASM {stated}; versions 2 and 3 are understood")
    return int(found[1]), found.end()


def statements(text: str, where: str, version_2: bool, begin: int = 0) -> Iterator[Any]:
    """The statements of `text`, which has no comments, from position `begin` on. Raises InputError with the line."""
    plain = PlainStatements(version_2)
    at, line, counted = begin, 1, 0
    while True:
        at = _GAP.match(text, at).end()  # type: ignore[union-attr]
        if at == len(text):
            return
        line, counted = line + text.count("\n", counted, at), at
        statement, end = plain.read(text, at, line)
        if statement is not None:
            yield statement
        elif version_2 and (opaque := _OPAQUE.match(text, at)):
            end = opaque.end()
            yield OpaqueDeclaration(opaque[1], plain.span(line))
        elif version_2 and (no_bits := _NO_BITS.match(text, at)):
            end = no_bits.end()
        else:
            end = _end(text, at)
            column = at - (text.rfind("\n", 0, at) + 1)
            yield from _parsed(text[at:end], where, line, column, version_2)
        at = end


def _end(text: str, at: int) -> int:
    """Where the statement that begins at `at` ends: behind its semicolon, or the brace that closes its block."""
    if _TO_THE_END_OF_LINES.match(text, at):
        return len(text)  # annotations and pragmas end with their line: left to the parser
    depth, block = 0, False
    for stop in _STOP.finditer(text, at):
        sign = stop[0]
        if sign == ";" and depth <= 0:
            return stop.end()
        if sign == "{":
            if depth == 0:
                block = _BLOCK.search(text, max(at, stop.start() - 500), stop.start()) is not None
            depth += 1
        if sign == "}":
            depth -= 1
            if depth == 0 and block and not _ELSE.match(text, stop.end()):
                return stop.end()
    return len(text)


def _parsed(text: str, where: str, line: int, column: int, version_2: bool) -> list[Any]:
    """The statements in `text`, which begins at that place of the file."""
    import openqasm3

    if version_2:
        text = _WORD.sub(_of_version_2, text)
    column = column if column < 1000 else 0  # of a file in one line: no column is better than a wait
    try:
        with redirect_stderr(StringIO()):  # the parser also prints what it raises
            tree = openqasm3.parse(" " * column + text)
    except RecursionError:
        raise InputError(f"{where}, line {line}: nested too deeply to be understood") from None
    except Exception as error:  # the parser raises what its parts raise: its own errors, ANTLR's, AttributeError, ...
        version = 2 if version_2 else 3
        raise InputError(f"{where}, {_place(error, line)}: not understood as OpenQASM {version}") from error
    if tree.version is not None:
        raise InputError(f"{where}, line {line}: OPENQASM can only be the first statement")
    for statement in tree.statements:
        _put_in_place(statement, line - 1)
    return list(tree.statements)


def _of_version_2(found: re.Match[str]) -> str:
    """A word of OpenQASM 2 for a parser of OpenQASM 3; the power of OpenQASM 2 is the lowest of operators in 3."""
    word = found[0]
    return "**" if word == "^" else f"{word}{_MARK}" if word in _NEW_IN_3 else word


def _put_in_place(node: Any, lines: int) -> None:
    """Lines of the file in all spans below `node`, and names as they stand there."""
    if isinstance(node, list | tuple):
        for part in node:
            _put_in_place(part, lines)
    elif is_dataclass(node):
        if hasattr(node, "start_line"):
            node.start_line += lines
            return
        for field in fields(node):
            value = getattr(node, field.name)
            if field.name == "name" and isinstance(value, str):
                setattr(node, field.name, value.removesuffix(_MARK))
            else:
                _put_in_place(value, lines)


def _place(error: BaseException, line: int) -> str:
    """Line and column of a parse error, as far as the parser tells."""
    cause: Any = error.__cause__ or error.__context__
    token = getattr(cause.args[0], "offendingToken", None) if cause is not None and cause.args else None
    if token is not None:
        word = token.text.removesuffix(_MARK)
        word = word if len(word) <= 40 else f"{word[:40]}..."
        return f"line {line + token.line - 1}, column {token.column + 1} ({word!r})"
    told = re.fullmatch(r"L(\d+):C(\d+): (.*)", one_line(error))
    if told:
        return f"line {line + int(told[1]) - 1}, column {int(told[2]) + 1} ({told[3][:80]})"
    return f"line {line}"
