"""Values that cannot be, refused in one line that names the key."""

from __future__ import annotations

from typing import Any

from qmltrain.config.rules import Rule
from qmltrain.config.schema import Config, PreprocessConfig, options
from qmltrain.errors import InputError


def validate(config: Config) -> Config:
    """Refuse what cannot be; returns `config`.

    Raises InputError: one line with the key, what was found and what is allowed.
    """
    for key, value, item in options(config):
        rule: Rule | None = item.metadata["rule"]
        if value is not None and rule is not None and not rule.accepts(value):
            raise InputError(f"{key}: found {_shown(value)}; allowed: {rule.allowed}")
    dataset, n_qubits = config.dataset, config.circuit.n_qubits
    if dataset.validation + dataset.test >= 1:
        raise InputError(
            f"dataset.validation, dataset.test: found {dataset.validation:g} and {dataset.test:g}; "
            "allowed: a sum below 1, so that samples are left to train on"
        )
    preprocess = config.preprocess
    if preprocess.scale != "min_max" and preprocess.range != PreprocessConfig().range:
        raise InputError(
            f"preprocess.range: found {_shown(preprocess.range)}; not used by preprocess.scale={preprocess.scale}: "
            "leave it out, or set preprocess.scale=min_max"
        )
    for qubit in config.observable.qubits or []:
        if qubit >= n_qubits:
            raise InputError(
                f"observable.qubits: found {qubit}; allowed: 0 to {n_qubits - 1} (circuit.n_qubits={n_qubits})"
            )
    return config


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
