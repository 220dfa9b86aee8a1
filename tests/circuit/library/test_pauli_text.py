"""The text form of Pauli sums: what it means, and where it says it cannot be read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.circuit.library.pauli_text import parse_pauli_sum
from qmltrain.circuit.observables import PauliString, pauli_string
from qmltrain.errors import InputError

Z0, X2 = pauli_string({0: "Z"}), pauli_string({2: "X"})
Z0Z1 = pauli_string({0: "Z", 1: "Z"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Z0", [(1.0, Z0)]),
        ("0.5*Z0 Z1 + X2", [(0.5, Z0Z1), (1.0, X2)]),
        ("-Z0-X2", [(-1.0, Z0), (-1.0, X2)]),
        ("+ 2 Z0*Z1 - 1e-3X2", [(2.0, Z0Z1), (-1e-3, X2)]),
        ("Z0Z1", [(1.0, Z0Z1)]),
        ("Z0 + -0.5 - -X2", [(1.0, Z0), (-0.5, PauliString(0, 0)), (1.0, X2)]),
        ("1.5", [(1.5, PauliString(0, 0))]),
        ("-.5*I0 + 3.", [(-0.5, PauliString(0, 0)), (3.0, PauliString(0, 0))]),
        ("Y0 Y2 X1", [(1.0, PauliString(0b111, 0b101))]),
        (" \t Z0 ", [(1.0, Z0)]),
    ],
)
def test_reads(text: str, expected: list) -> None:
    assert parse_pauli_sum(text, 3) == expected


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", 1, "the sum is empty"),
        ("   ", 1, "the sum is empty"),
        ("Z0 + ", 6, "a Pauli letter with its qubit is missing"),
        ("Z0 + + + X1", 8, "missing"),
        ("+", 2, "missing"),
        ("Z0 *", 5, "missing"),
        ("*Z0", 1, r"'\*' needs a number or a Pauli letter before it"),
        ("2**Z0", 3, "needs a number"),
        ("Z0 * - X1", 6, "missing"),
        ("Z0 2", 4, "the number 2 must come first"),
        ("0.5 0.5 Z0", 5, "must come first"),
        ("Z0 A1", 4, "'A' cannot be read"),
        ("z0", 1, "'z' cannot be read"),
        ("Z", 1, "'Z' cannot be read"),
        ("Z0 X0", 4, "qubit 0 stands twice"),
        ("X1 + Z3", 6, r"qubit 3 is not in 0\.\.2"),
        ("2/3*Z0", 2, "'/' cannot be read"),
        ("(Z0)", 1, r"'\(' cannot be read"),
        ("1j*Z0", 2, "'j' cannot be read"),
        ("1e999 Z0", 1, "the number 1e999 is beyond 1.8e308"),
        ("X1 - 1e999", 6, "the number 1e999 is beyond"),
        (f"{'9' * 400} Z0", 1, "the number 9{60}... is beyond"),
        ("nan Z0", 1, "'n' cannot be read"),
        ("inf*Z0", 1, "'i' cannot be read"),
        (f"Z{'9' * 5000}", 1, r"qubit 9{60}\.\.\. is not in"),
        (f"Z0 + {'0' * 5000}.1 A1", 5009, "'A' cannot be read"),
    ],
)
def test_refuses_with_the_position(text: str, position: int, reason: str) -> None:
    with pytest.raises(InputError, match=rf"^here: position {position} of .*{reason}") as refused:
        parse_pauli_sum(text, 3, "here")
    assert len(str(refused.value)) < 400


letters = st.dictionaries(st.integers(0, 5), st.sampled_from("IXYZ"), min_size=1, max_size=6)
terms = st.lists(st.tuples(st.floats(-1e6, 1e6, allow_subnormal=False), letters), min_size=1, max_size=4)


@given(terms)
def test_what_is_written_is_read_back(terms: list[tuple[float, dict[int, str]]]) -> None:
    text = " ".join(
        f"{'-' if value < 0 else '+'} {abs(value)!r} * {' '.join(f'{letter}{qubit}' for qubit, letter in row.items())}"
        for value, row in terms
    )
    assert parse_pauli_sum(text, 6) == [(value, pauli_string(row)) for value, row in terms]


@given(st.text(alphabet="IXYZ0123456789.eE+-* ", max_size=12))
def test_any_text_is_read_or_refused_in_one_line(text: str) -> None:
    try:
        assert parse_pauli_sum(text, 4)
    except InputError as error:
        assert "\n" not in str(error) and "position" in str(error)
