"""Text form of a Pauli sum: ``0.5*Z0 Z1 - X2 + 1``.

A sum is terms joined by + or -, each with an optional sign of its own (``Z0 + -0.5``). A term is a number, Pauli
factors, or a number followed by factors. A factor is a letter I, X, Y or Z and the number of its qubit. Number and
factors are separated by spaces, by "*", or by nothing.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from qmltrain.circuit.observables import PauliString, pauli_string
from qmltrain.errors import InputError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<factor>[IXYZ]\d+)|(?P<sign>[+-])|(?P<star>\*))"
)


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    position: int  # from 1, as an editor counts columns


def parse_pauli_sum(text: str, n_qubits: int, where: str = "Pauli sum") -> list[tuple[float, PauliString]]:
    """``"0.5*Z0 Z1 - X2"`` -> [(0.5, Z0 Z1), (-1.0, X2)]; a lone number is that multiple of the identity.

    Raises InputError naming `where` and the position (column, from 1) of what cannot be read: an unknown
    character, a number or sign out of place, a number that is not finite, a qubit outside 0..n_qubits-1 or twice in
    one term.
    """
    tokens = _tokens(text, where)
    terms: list[tuple[float, PauliString]] = []
    place = 0

    def refuse(position: int, reason: str) -> InputError:
        shown = _excerpt(text, position)
        return InputError(f'{where}: position {position} of "{shown}": {reason}; write sums such as "0.5*Z0 Z1 + X2"')

    end = len(text) + 1
    while place < len(tokens):
        sign = 1.0
        if terms and tokens[place].kind != "sign":
            raise refuse(tokens[place].position, f"+ or - is needed before {tokens[place].text!r}")
        for _ in range(2 if terms else 1):  # what joins it, and its own
            if place < len(tokens) and tokens[place].kind == "sign":
                sign = -sign if tokens[place].text == "-" else sign
                place += 1
        value, letters, star, start = sign, {}, False, place
        while place < len(tokens) and tokens[place].kind != "sign":
            token = tokens[place]
            if token.kind == "number":
                if place > start:
                    raise refuse(token.position, f"the number {token.text} must come first in its term")
                value *= float(token.text)
                if math.isinf(value):
                    raise refuse(token.position, f"the number {_excerpt(token.text, 1)} is beyond 1.8e308")
            elif token.kind == "star":
                if place == start or star:
                    raise refuse(token.position, "'*' needs a number or a Pauli letter before it")
            else:
                digits = token.text[1:].lstrip("0") or "0"
                if len(digits) > 9 or int(digits) >= n_qubits:
                    raise refuse(token.position, f"qubit {_excerpt(digits, 1)} is not in 0..{n_qubits - 1}")
                qubit = int(digits)
                if qubit in letters:
                    raise refuse(token.position, f"qubit {qubit} stands twice in one term")
                letters[qubit] = token.text[0]
            star = token.kind == "star"
            place += 1
        if place == start or star:
            raise refuse(
                tokens[place].position if place < len(tokens) else end, "a Pauli letter with its qubit is missing"
            )
        terms.append((value, pauli_string(letters)))
    if not terms:
        raise refuse(1, "the sum is empty")
    return terms


def _tokens(text: str, where: str) -> list[_Token]:
    tokens, position = [], 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            bad = position + len(text[position:]) - len(text[position:].lstrip())
            shown = _excerpt(text, bad + 1)
            raise InputError(
                f'{where}: position {bad + 1} of "{shown}": {text[bad]!r} cannot be read; write sums such as '
                '"0.5*Z0 Z1 + X2" with I, X, Y, Z and the number of a qubit'
            )
        kind = str(match.lastgroup)
        tokens.append(_Token(kind, match[kind], match.start(kind) + 1))
        position = match.end()
    return tokens


def _excerpt(text: str, position: int) -> str:
    """At most some 80 characters of `text`, with those at `position` among them."""
    if len(text) <= 80:
        return text
    begin = max(0, position - 30)
    return f"{'...' if begin else ''}{text[begin : begin + 60]}{'...' if begin + 60 < len(text) else ''}"
