"""Entries of a registry are called with the options that were given, others are refused in one line."""

from __future__ import annotations

import pytest

from qmltrain.errors import InputError
from qmltrain.registry import call_builder, check_options, options_with_defaults


def entry(first: int, *, power: int = 2, shift: int) -> int:
    return first**power + shift


REGISTRY = {"entry": entry, "plain": lambda first: first}


def test_none_is_the_default() -> None:
    assert call_builder(REGISTRY, "group", "entry", {"power": None, "shift": 0}, 3) == 9
    assert call_builder(REGISTRY, "group", "entry", {"power": 3, "shift": 1}, 3) == 28
    assert call_builder(REGISTRY, "group", "plain", {"shift": None}, 3) == 3


def test_options_with_defaults() -> None:
    assert options_with_defaults(REGISTRY, "group", "entry", {"shift": 5}) == {"power": 2, "shift": 5}
    assert options_with_defaults(REGISTRY, "group", "entry", {"power": 1, "shift": 0}) == {"power": 1, "shift": 0}


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("entri", {}, r"^group\.name: 'entri' is not known; choose one of entry, plain$"),
        ("entry", {"power": 3}, r"^group\.shift: needed by entry; it takes power, shift$"),
        ("entry", {"shift": 1, "base": 2}, r"^group\.base: not used by entry; it takes power, shift$"),
        ("plain", {"shift": 1}, r"^group\.shift: not used by plain; it takes no options$"),
    ],
)
@pytest.mark.parametrize("call", [call_builder, check_options, options_with_defaults])
def test_what_an_entry_does_not_take_is_refused(call, name: str, options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(REGISTRY, "group", name, options)
