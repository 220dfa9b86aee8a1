"""Config group `optimizer`: how the parameters are updated."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import BELOW_ONE, NOT_NEGATIVE, POSITIVE, TEXT


@dataclass
class OptimizerConfig(ConfigGroup):
    name: str = option("adam", "sgd | adam | adamw | lbfgs (full batch)", TEXT)
    learning_rate: float = option(0.05, "step size (lbfgs finds its own)", POSITIVE)
    momentum: float | None = option(None, "sgd: momentum (null: 0)", BELOW_ONE)
    beta_1: float | None = option(None, "adam, adamw: decay of the mean (null: 0.9)", BELOW_ONE)
    beta_2: float | None = option(None, "adam, adamw: decay of the square (null: 0.999)", BELOW_ONE)
    epsilon: float | None = option(None, "adam, adamw: added to the root (null: 1e-8)", POSITIVE)
    weight_decay: float | None = option(None, "adamw: decoupled weight decay (null: 0.01)", NOT_NEGATIVE)
    clip_norm: float | None = option(None, "largest L2 norm of the whole gradient (null: no clipping)", POSITIVE)
