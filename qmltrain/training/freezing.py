"""Which parameters stay as they are: `train.freeze`, for layer-wise training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.training.model import Model


def frozen_parameters(model: Model, freeze: Sequence[int | str] | None) -> NDArray[np.bool_] | None:
    """(P,) true where a parameter stays fixed; None where none does.

    `freeze` as of `named_parameters`. Raises InputError as it does, and where nothing would be left to train.
    """
    if not freeze:
        return None
    frozen_P = named_parameters(model, freeze, "train.freeze")
    if frozen_P.all():
        raise InputError(f"train.freeze: {list(freeze)} leaves none of {len(frozen_P)} parameters to train")
    return frozen_P


def named_parameters(model: Model, entries: Sequence[int | str], key: str) -> NDArray[np.bool_]:
    """(P,) true for the parameters that `entries`, the value of the option `key`, are about.

    An integer is a layer of the ansatz (counted over the whole circuit), a text the beginning of parameter names up to
    a dot: "ansatz.1" is layer 1 and not layer 10, "encoding", "head", "input.0". Raises InputError for what meets
    no parameter.
    """
    names = model.parameter_names
    n_circuit = model.circuit.n_parameters
    layers = (*(model.circuit.parameter_layers or (-1,) * n_circuit), *(-1,) * (model.n_parameters - n_circuit))
    found_P = np.zeros(len(names), dtype=bool)
    for entry in entries:
        if isinstance(entry, int):
            met = [layer == entry for layer in layers]
            known = f"layers 0 to {max(layers, default=-1)}"
        else:
            prefix = entry.rstrip(".")
            met = [name == prefix or name.startswith(prefix + ".") for name in names]
            known = ", ".join(dict.fromkeys(name.partition(".")[0] for name in names))
        if not any(met):
            raise InputError(f"{key}: {entry!r} meets no parameter; this circuit has {known}")
        found_P |= np.array(met)
    return found_P
