"""Config group `kernel`: options of the verb `kernel`; training does not read them."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import POSITIVE, TEXT, between, each, one_of

_UNREAD = "training does not read it"


@dataclass
class KernelConfig(ConfigGroup):
    name: str = option("fidelity", "fidelity | projected", one_of("fidelity", "projected"), same_run=_UNREAD)
    gamma: float | None = option(
        None,
        "projected: exp(-gamma |difference of the expectations|^2) (null: 1 over 3 n_qubits times their variance)",
        POSITIVE,
        same_run=_UNREAD,
    )
    run: str | None = option(
        None,
        "the trained circuit of this run, with its data and preprocessing (null: the encoding of this config)",
        TEXT,
        same_run=_UNREAD,
    )
    fit: bool = option(True, "fit a support vector machine (regression: kernel ridge) on the matrix", same_run=_UNREAD)
    C: list[float] | None = option(
        None,
        "inverse regularisations, of which cross-validation chooses (null: [0.1, 1, 10, 100])",
        each(POSITIVE, distinct=True),
        same_run=_UNREAD,
    )
    folds: int | None = option(None, "parts of that cross-validation (null: 5)", between(2, 1000), same_run=_UNREAD)
