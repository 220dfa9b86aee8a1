"""Config group `head`: what makes outputs of the expectations."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, FINITE, NOT_NEGATIVE, TEXT, each, one_of


@dataclass
class HeadConfig(ConfigGroup):
    name: str = option(
        "linear",
        "raw | scaled (one trainable factor) | linear (trainable weights and biases) | bias (a trainable bias for each "
        "expectation) | mlp (dense layers)",
        TEXT,
    )
    hidden: list[int] | None = option(None, "mlp: sizes of the layers before the last", each(COUNT))
    activation: str | None = option(
        None,
        "mlp: none | tanh | relu | sigmoid, after every layer but the last (null: tanh)",
        one_of("none", "tanh", "relu", "sigmoid"),
    )
    bias: bool | None = option(None, "linear, mlp: trainable biases (null: true)")
    initial: str | None = option(
        None,
        "linear, mlp: first weights of a layer of d inputs: uniform in +-1/sqrt(d) | normal, N(0, 1)/d (null: uniform)",
        one_of("uniform", "normal"),
    )
    initial_bias: float | None = option(None, "bias: where the biases start (null: 0)", FINITE)
    initial_deviation: float | None = option(
        None, "bias: standard deviation of where they start (null: 0)", NOT_NEGATIVE
    )
