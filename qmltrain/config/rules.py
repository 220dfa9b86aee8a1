"""What the value of an option must satisfy, beside its type: the rules that several groups share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

LARGEST_COUNT = 2**31 - 1
LARGEST_SEED = 2**63 - 1


@dataclass(frozen=True)
class Rule:
    """What a value must satisfy, and the words that say so. Null always passes (the entry's own default)."""

    accepts: Callable[[Any], bool]
    allowed: str


def is_number(value: Any) -> bool:
    """A finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_integer(value: Any) -> bool:
    """An integer; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def between(lowest: int, highest: int) -> Rule:
    """An integer from `lowest` to `highest`, both allowed."""
    return Rule(lambda value: is_integer(value) and lowest <= value <= highest, f"integers from {lowest} to {highest}")


def one_of(*names: str) -> Rule:
    """One of these words."""
    return Rule(lambda value: value in names, ", ".join(names))


def each(rule: Rule, *, distinct: bool = False) -> Rule:
    """A list, not empty, of values that all satisfy `rule`."""

    def accepts(values: Any) -> bool:
        if not isinstance(values, list) or not values or not all(rule.accepts(value) for value in values):
            return False
        return not distinct or len(set(values)) == len(values)

    return Rule(accepts, f"a list [a, b, ...] of {'different ' if distinct else ''}values: {rule.allowed}")


COUNT = between(1, LARGEST_COUNT)
COUNT_OR_ZERO = between(0, LARGEST_COUNT)
SEED = between(0, LARGEST_SEED)
FINITE = Rule(is_number, "a finite number")
SCALE = Rule(lambda value: FINITE.accepts(value) and value != 0, "a finite number other than 0")
POSITIVE = Rule(lambda value: is_number(value) and value > 0, "a finite number above 0")
NOT_NEGATIVE = Rule(lambda value: is_number(value) and value >= 0, "a finite number, 0 or more")
BELOW_ONE = Rule(lambda value: is_number(value) and 0 <= value < 1, "0 or more and below 1")
TEXT = Rule(lambda value: isinstance(value, str) and bool(value.strip()), "text that is not empty")
LABEL = Rule(
    lambda value: (is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value.strip())),
    "labels (0, 1, ...) or class names (in quotes where they read as numbers: '1.0')",
)
