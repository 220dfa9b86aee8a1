"""Config group `head`: what makes outputs of the expectations."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import TEXT


@dataclass
class HeadConfig(ConfigGroup):
    name: str = option("linear", "raw | scaled (one trainable factor) | linear (trainable weights and biases)", TEXT)
