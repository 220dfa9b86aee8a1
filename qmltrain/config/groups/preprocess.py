"""Config group `preprocess`: what happens to the samples before they are encoded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, Rule, is_number, one_of
from qmltrain.errors import UnusedOptionError
from qmltrain.wording import shown


def _accepts_range(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_number, value)) and value[0] < value[1]


def _accepts_size(value: Any) -> bool:
    return COUNT.accepts(value) or (isinstance(value, list) and len(value) == 2 and all(map(COUNT.accepts, value)))


RANGE = Rule(_accepts_range, "[low, high] with low < high")
SIZE = Rule(_accepts_size, "a side (an integer of 1 or more) or [height, width]")


@dataclass
class PreprocessConfig(ConfigGroup):
    resize: Any = option(None, "average-pool images to this side or [height, width] (null: as they are)", SIZE)
    standardize: bool = option(False, "mean 0 and deviation 1 before the principal components")
    pca: int | None = option(8, "principal components, at most, fitted on the training split (null: no PCA)", COUNT)
    scale: str = option(
        "min_max", "none | standard | min_max, fitted on the training split", one_of("none", "standard", "min_max")
    )
    range: list[float] = option([-math.pi / 2, math.pi / 2], "min_max: target, radians for angle encodings", RANGE)
    clip: bool = option(True, "min_max: clip rows that do not train to the range")
    normalize: bool = option(False, "divide each sample by its L2 norm; a row of zeros is refused")

    def check(self) -> None:
        if self.standardize and self.pca is None:
            raise UnusedOptionError(
                "preprocess.standardize",
                "found true; not used without preprocess.pca: leave it out, or choose preprocess.scale=standard",
            )
        if not self.clip and self.scale != "min_max":
            raise UnusedOptionError(
                "preprocess.clip", f"found false; not used by preprocess.scale={self.scale}: leave it out"
            )
        if self.scale != "min_max" and self.range != PreprocessConfig().range:
            raise UnusedOptionError(
                "preprocess.range",
                f"found {shown(self.range)}; not used by preprocess.scale={self.scale}: "
                "leave it out, or set preprocess.scale=min_max",
            )
