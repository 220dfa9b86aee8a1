"""Values that cannot be, refused in one line that names the key."""

from __future__ import annotations

import dataclasses

from qmltrain.config.option import ConfigGroup
from qmltrain.config.reference import allowed_values
from qmltrain.config.rules import Rule
from qmltrain.config.schema import Config, options
from qmltrain.config.synonyms import ENTRIES
from qmltrain.errors import InputError
from qmltrain.wording import shown


def validate(config: Config) -> Config:
    """Refuse what cannot be: value by value, then within each group, then between groups; returns `config`.

    Raises InputError: one line with the key, what was found and what is allowed.
    """
    for key, value, item in options(config):
        rule: Rule | None = item.metadata["rule"]
        if value is not None and rule is not None and not rule.accepts(value):
            raise InputError(f"{key}: found {shown(value)}; allowed: {allowed_values(key)}")
        if item.name == "name" and value in (others := ENTRIES.get(key.partition(".")[0], {})):
            raise InputError(f"{key}: {value!r} is not known; did you mean {others[value]}?")
    for item in dataclasses.fields(config):
        group: ConfigGroup = getattr(config, item.name)
        group.check()
    n_qubits = config.circuit.n_qubits
    for qubit in config.observable.qubits or []:
        if qubit >= n_qubits:
            raise InputError(
                f"observable.qubits: found {qubit}; allowed: 0 to {n_qubits - 1} (circuit.n_qubits={n_qubits})"
            )
    return config
