"""Config group `train`: how long and from where: epochs, batches, first parameters, what is chosen as best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, LABEL, POSITIVE, TEXT, Rule, between, each, is_number, one_of


def _accepts_monitor(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("val/") and len(value) > len("val/")


ANGLE = Rule(lambda value: is_number(value) and 0 < value <= 1e6, "a number above 0, at most 1e6 (radians)")
RANGE = Rule(
    lambda value: (
        isinstance(value, list)
        and len(value) == 2
        and all(is_number(end) and abs(end) <= 1e6 for end in value)
        and value[0] < value[1]
    ),
    "[low, high] with low < high, both within 1e6",
)
FREEZE = Rule(LABEL.accepts, "layers (0, 1, ...) or beginnings of parameter names")
MONITOR = Rule(_accepts_monitor, "a metric of the validation split, as val/loss or val/accuracy")


@dataclass
class TrainConfig(ConfigGroup):
    epochs: int = option(25, "passes over the training split", COUNT)
    batch_size: int = option(32, "samples of one step, at most (lbfgs takes all, in every step)", COUNT)
    replacement: bool = option(
        False, "draw every batch with replacement; an epoch is still as many steps as a pass over the training split"
    )
    max_steps: int | None = option(None, "stop after this many steps (null: epochs alone decide)", COUNT)
    monitor: str = option("val/loss", "what chooses the best parameters: a metric of the validation split", MONITOR)
    patience: int | None = option(None, "early stopping: epochs without improvement (null: never)", COUNT)
    flat_window: int | None = option(
        None,
        "stop where the loss no longer falls over the last so many steps, as seen beside their spread (null: never)",
        between(2, 10_000),
    )
    baseline: bool = option(True, "fit logistic regression (or ridge) on the same features, to compare")
    perceptron: bool = option(False, "also fit a perceptron with at most as many parameters as the model")
    initial: str = option(
        "uniform",
        "first parameters: uniform | normal | zeros | beta | identity (pairs of layers that cancel) | from_run",
        one_of("uniform", "normal", "zeros", "beta", "identity", "from_run"),
    )
    initial_scale: float | None = option(
        None, "uniform, beta, identity: [-s, s] (null: pi); normal: standard deviation (null: 0.1)", ANGLE
    )
    initial_shape: list[float] | None = option(
        None, "beta: [alpha, beta] of the distribution (null: [2, 2])", each(POSITIVE)
    )
    initial_range: list[float] | None = option(
        None, "uniform: [low, high] in place of [-s, s], as [0, 6.283185307179586] (null: initial_scale decides)", RANGE
    )
    initial_features: list[float] | None = option(
        None,
        "weights and biases of features in the circuit: uniform in [low, high] (null: weights 1, biases 0, so that "
        "features are encoded as they are)",
        RANGE,
    )
    initial_run: str | None = option(
        None, "from_run: directory of a run whose circuit is the beginning of this one; its best parameters", TEXT
    )
    initial_rest: str | None = option(
        None,
        "from_run: parameters of layers that the run did not have: zeros | identity | uniform | normal | beta "
        "(null: zeros)",
        one_of("uniform", "normal", "zeros", "beta", "identity"),
    )
    freeze: list[Any] | None = option(
        None,
        "parameters that stay fixed: layers (0, 1, ... over the whole circuit), or beginnings of names as "
        "'ansatz.1', encoding, head (null: none)",
        each(FREEZE, distinct=True),
    )
