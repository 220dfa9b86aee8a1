"""Config group `study`: options of the verb `gradient`; training does not read them."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, TEXT

_UNREAD = "training does not read it"


@dataclass
class StudyConfig(ConfigGroup):
    parameters: str | None = option(
        None, "gradient: .npy, .npz or .h5 with the parameters (null: train.initial)", TEXT, same_run=_UNREAD
    )
    per_sample: bool = option(False, "gradient: also the gradient of every sample alone", same_run=_UNREAD)
    output: str | None = option(
        None, "gradient: new HDF5 file; a missing folder is made (null: gradient.h5)", TEXT, same_run=_UNREAD
    )
    rows: int | None = option(
        None, "gradient: first samples of the training split (null: all)", COUNT, same_run=_UNREAD
    )
