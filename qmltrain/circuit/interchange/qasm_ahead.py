"""A look ahead in an OpenQASM program: what is sure to be refused, before a large file is read from its first gate on.

It sees the first word of each statement outside of blocks. What it does not see the reader refuses when it comes to it.
"""

from __future__ import annotations

import re

from qmltrain.circuit.interchange.qasm_gates import GATES
from qmltrain.circuit.interchange.qasm_plain import GAP, KEYWORDS, KEYWORDS_2, NAME
from qmltrain.circuit.interchange.qasm_values import brief, unknown_gate, unsupported
from qmltrain.errors import InputError

_BLOCK = re.compile(r"\{[^{}]*\}")
_FIRST = re.compile(rf"(?:^|[;}}]){GAP}({NAME})(?=([ \t\r\n(]))")
_CALL = re.compile(rf"{GAP}(?:\(|{NAME}|\$)")
_SIZE = re.compile(rf"(?:^|[;}}]){GAP}(?:qreg[ \t\r\n]+{NAME}|qubit){GAP}\[{GAP}([0-9]{{1,9}}){GAP}\]")
_DEFINED = re.compile(rf"\b(?:gate|opaque)[ \t\r\n]+({NAME})")
_NEVER = {
    "if",
    "while",
    "switch",
    "def",
    "extern",
    "box",
    "delay",
    "let",
    "cal",
    "defcal",
    "defcalgrammar",
    "end",
    "return",
}


def declared_qubits(text: str) -> int:
    """How many qubits the registers of `text`, which has no comments, have, where their sizes are plain numbers."""
    return sum(int(size) for size in _SIZE.findall(text))


def look_ahead(text: str, where: str, version_2: bool) -> None:
    """Raise InputError for the first statement of a kind that no circuit has, or gate that nothing defines."""
    text = _BLOCK.sub(lambda block: "{" + "\n" * block[0].count("\n") + "}", text)
    keywords = KEYWORDS_2 if version_2 else KEYWORDS
    known = GATES.keys() | set(_DEFINED.findall(text)) | keywords
    for found in _FIRST.finditer(text):
        word = found[1]
        if word in _NEVER & keywords:
            reason = unsupported(word)
        elif word not in known and _CALL.match(text, found.end()):
            reason = f"{word!r} is a word of OpenQASM 3, the file says 2" if word in KEYWORDS else unknown_gate(word)
        else:
            continue
        line = text.count("\n", 0, found.start(1)) + 1
        raise InputError(f"{where}, line {line}: {brief(reason)}")
