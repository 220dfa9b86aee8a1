"""Config group `gradient`: how the backward path gets its states."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, one_of


@dataclass
class GradientConfig(ConfigGroup):
    mode: str = option(
        "auto",
        "auto | reversible (un-apply the gates) | checkpoint (keep states, recompute)",
        one_of("auto", "reversible", "checkpoint"),
    )
    checkpoint_interval: int | None = option(
        None, "moments between kept states (null: chosen); not the snapshots of run.save_every", COUNT
    )
