"""Schedules: the learning rate as a pure function of the step, so that resuming needs no state.

``SCHEDULES[name](horizon, **options)`` gives a function step -> fraction of the learning rate; its keyword-only
parameters are its options. `learning_rate_schedule` makes the whole of it, with the warm-up that every schedule takes.
Steps count from 0.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from qmltrain.errors import InputError
from qmltrain.registry import call_builder

Fraction = Callable[[int], float]


@dataclass(frozen=True)
class Horizon:
    """How long a run is: `total_steps` (of all epochs), `steps_per_epoch`, and `warmup_steps` at the beginning."""

    steps_per_epoch: int
    total_steps: int
    warmup_steps: int = 0

    def __post_init__(self) -> None:
        if self.steps_per_epoch < 1 or self.total_steps < 1:
            raise InputError(
                f"schedule: {self.steps_per_epoch} steps an epoch and {self.total_steps} in all; needs 1 or more"
            )
        if not 0 <= self.warmup_steps < self.total_steps:
            raise InputError(
                f"schedule.warmup_steps: {self.warmup_steps} is not possible in {self.total_steps} steps; "
                f"choose 0 to {self.total_steps - 1}, or more train.epochs"
            )


def constant(horizon: Horizon) -> Fraction:
    """1 throughout."""
    return lambda step: 1.0


def cosine(horizon: Horizon, *, final_fraction: float = 0.0) -> Fraction:
    """Half a cosine from 1 at the end of the warm-up to `final_fraction` at `total_steps`, and there after that.

    Without restarts; Loshchilov, Hutter, "SGDR", arXiv:1608.03983, equation 5. The last step of a run still has a
    learning rate a little above the final one, so with 0 no step is wasted.
    """
    if not 0.0 <= final_fraction <= 1.0:
        raise InputError(f"schedule.final_fraction: {final_fraction} is not possible; choose from 0 to 1")
    length = horizon.total_steps - horizon.warmup_steps

    def fraction(step: int) -> float:
        progress = min(max(step - horizon.warmup_steps, 0) / length, 1.0)
        return final_fraction + (1.0 - final_fraction) * 0.5 * (1.0 + math.cos(math.pi * progress))

    return fraction


def step(horizon: Horizon, *, step_epochs: int = 10, factor: float = 0.1) -> Fraction:
    """Multiplied by `factor` every `step_epochs` epochs, counted from the start of the run."""
    if step_epochs < 1:
        raise InputError(f"schedule.step_epochs: {step_epochs} is not possible; choose 1 or more")
    if not (math.isfinite(factor) and factor > 0.0):
        raise InputError(f"schedule.factor: {factor} is not possible; choose a number greater than 0")
    return lambda step: factor ** (step // (horizon.steps_per_epoch * step_epochs))


def learning_rate_schedule(
    name: str,
    learning_rate: float,
    *,
    steps_per_epoch: int,
    total_steps: int,
    warmup_steps: int = 0,
    **options: float | None,
) -> Callable[[int], float]:
    """The function step -> learning rate: that of `SCHEDULES[name]`, with a linear warm-up.

    Warm-up step s of w has the fraction (s + 1)/(w + 1), so that none is zero and step w is the first full one.
    Options that are None take their default. Raises InputError for an unknown name or option and impossible numbers,
    and the function ValueError for a negative step.
    """
    if not (math.isfinite(learning_rate) and learning_rate > 0.0):
        raise InputError(f"optimizer.learning_rate: {learning_rate} is not possible; choose a number greater than 0")
    horizon = Horizon(steps_per_epoch, total_steps, warmup_steps)
    fraction = call_builder(SCHEDULES, "schedule", name, options, horizon)

    def at(step: int) -> float:
        if step < 0:
            raise ValueError(f"schedule: step {step} is negative")
        warmup = min(1.0, (step + 1) / (warmup_steps + 1))
        return learning_rate * warmup * fraction(step)

    # from this step on it is one number: whoever needs it for many short steps asks once
    at.constant_from = warmup_steps if name == "constant" else math.inf  # type: ignore[attr-defined]
    return at


SCHEDULES: dict[str, Callable[..., Fraction]] = {"constant": constant, "cosine": cosine, "step": step}
