"""Config group `study`: options of the verb `gradient`; training does not read them."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, TEXT


@dataclass
class StudyConfig(ConfigGroup):
    parameters: str | None = option(None, "gradient: .npy, .npz or .h5 with the parameters (null: train.initial)", TEXT)
    per_sample: bool = option(False, "gradient: also the gradient of every sample alone")
    output: str | None = option(None, "gradient: new HDF5 file; a missing folder is made (null: gradient.h5)", TEXT)
    rows: int | None = option(None, "gradient: first samples of the training split (null: all)", COUNT)
