"""Config group `input`: trainable layers that make the circuit's features of a sample's."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, SCALE, TEXT, each, one_of


@dataclass
class InputConfig(ConfigGroup):
    name: str = option("none", "none | linear (one dense layer) | mlp (several)", TEXT)
    outputs: int | None = option(
        None,
        "linear, mlp: features of the circuit (null: n_qubits; before amplitude encoding 2^n_qubits)",
        COUNT,
    )
    hidden: list[int] | None = option(None, "mlp: sizes of the layers before the last", each(COUNT))
    bias: bool | None = option(None, "linear, mlp: trainable biases (null: true)")
    activation: str | None = option(
        None,
        "linear, mlp: none | tanh | relu | sigmoid, after every layer (null: none for linear, tanh for mlp)",
        one_of("none", "tanh", "relu", "sigmoid"),
    )
    scale: float | None = option(None, "linear, mlp: factor of the last layer's values (null: 1)", SCALE)
    initial: str | None = option(
        None,
        "linear, mlp: first weights of a layer of d inputs: uniform in +-1/sqrt(d) | normal, N(0, 1)/d (null: uniform)",
        one_of("uniform", "normal"),
    )
