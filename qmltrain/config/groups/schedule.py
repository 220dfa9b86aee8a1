"""Config group `schedule`: the learning rate over the steps."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, COUNT_OR_ZERO, POSITIVE, TEXT, Rule, is_number

FRACTION = Rule(lambda value: is_number(value) and 0 <= value <= 1, "0 to 1")


@dataclass
class ScheduleConfig(ConfigGroup):
    name: str = option("cosine", "constant | cosine | step", TEXT)
    warmup_steps: int = option(0, "linear warm-up, for every schedule", COUNT_OR_ZERO)
    final_fraction: float | None = option(None, "cosine: last learning rate over the first (null: 0)", FRACTION)
    step_epochs: int | None = option(None, "step: epochs between two steps (null: 10)", COUNT)
    factor: float | None = option(None, "step: what a step multiplies the learning rate by (null: 0.1)", POSITIVE)
