"""What the value of an option must satisfy, beside its type."""

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


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def between(lowest: int, highest: int) -> Rule:
    return Rule(lambda value: _is_integer(value) and lowest <= value <= highest, f"integers from {lowest} to {highest}")


def one_of(*names: str) -> Rule:
    return Rule(lambda value: value in names, ", ".join(names))


def each(rule: Rule, *, distinct: bool = False) -> Rule:
    """A list, not empty, of values that all satisfy `rule`."""

    def accepts(values: Any) -> bool:
        if not isinstance(values, list) or not values or not all(rule.accepts(value) for value in values):
            return False
        return not distinct or len(set(values)) == len(values)

    return Rule(accepts, f"a list [a, b, ...] of {'different ' if distinct else ''}values: {rule.allowed}")


def _accepts_size(value: Any) -> bool:
    return COUNT.accepts(value) or (isinstance(value, list) and len(value) == 2 and all(map(COUNT.accepts, value)))


def _accepts_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_number, value)) and value[0] < value[1]


def _accepts_run_name(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        return False
    return not any(character in "/\\" or ord(character) < 32 for character in value)


def _accepts_monitor(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("val/") and len(value) > len("val/")


COUNT = between(1, LARGEST_COUNT)
COUNT_OR_ZERO = between(0, LARGEST_COUNT)
SEED = between(0, LARGEST_SEED)
QUBIT = between(0, 39)
FINITE = Rule(_is_number, "a finite number")
POSITIVE = Rule(lambda value: _is_number(value) and value > 0, "a finite number above 0")
NOT_NEGATIVE = Rule(lambda value: _is_number(value) and value >= 0, "a finite number, 0 or more")
GIBIBYTES = Rule(lambda value: _is_number(value) and 0 < value <= 2**30, "a number above 0, at most 2^30")
ANGLE = Rule(lambda value: _is_number(value) and 0 < value <= 1e6, "a number above 0, at most 1e6 (radians)")
FRACTION = Rule(lambda value: _is_number(value) and 0 <= value <= 1, "0 to 1")
BELOW_ONE = Rule(lambda value: _is_number(value) and 0 <= value < 1, "0 or more and below 1")
SPLIT = Rule(lambda value: _is_number(value) and 0 <= value < 1, "0 (none) or more and below 1")
TEXT = Rule(lambda value: isinstance(value, str) and bool(value.strip()), "text that is not empty")
SHA256 = Rule(
    lambda value: isinstance(value, str) and len(value) == 64 and not set(value.lower()) - set("0123456789abcdef"),
    "64 hexadecimal digits",
)
SIZE = Rule(_accepts_size, "a side (an integer of 1 or more) or [height, width]")
RANGE = Rule(_accepts_range, "[low, high] with low < high")
RUN_NAME = Rule(_accepts_run_name, "a name without slashes and control characters")
MONITOR = Rule(_accepts_monitor, "a metric of the validation split, as val/loss or val/accuracy")
LABEL = Rule(
    lambda value: (_is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value.strip())),
    "labels (0, 1, ...) or class names",
)
SEPARATOR = Rule(
    lambda value: isinstance(value, str) and len(value) == 1 and value != " ", "one character, not a space"
)
FREEZE = Rule(LABEL.accepts, "layers (0, 1, ...) or beginnings of parameter names")
CLASS_WEIGHTS = Rule(
    lambda value: value == "balanced" or each(NOT_NEGATIVE).accepts(value),
    "balanced, or a list [a, b, ...] of finite numbers, 0 or more",
)
OUTCOME = Rule(
    lambda value: (
        (_is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value) and not set(value) - set("01"))
    ),
    "an integer of 0 or more, or a bit string as '0110'",
)
