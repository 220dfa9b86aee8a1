"""Config group `loss`: what is minimised."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import NOT_NEGATIVE, POSITIVE, TEXT, Rule, each

CLASS_WEIGHTS = Rule(
    lambda value: value == "balanced" or each(NOT_NEGATIVE).accepts(value),
    "balanced, or a list [a, b, ...] of finite numbers, 0 or more",
)


@dataclass
class LossConfig(ConfigGroup):
    name: str = option(
        "cross_entropy",
        "cross_entropy | binary_cross_entropy | hinge | mean_squared_error | huber | expectation | fidelity (these "
        "two need no labels) | unhinged | weighted_fidelity (the last four need head=raw)",
        TEXT,
    )
    delta: float | None = option(None, "huber: where the square turns into a line (null: 1)", POSITIVE)
    class_weights: Any = option(
        None, "balanced (n / (classes x samples of the class)) or one weight per class (null: all 1)", CLASS_WEIGHTS
    )
