"""Config group `circuit`: the circuit's size."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import between


@dataclass
class CircuitConfig(ConfigGroup):
    n_qubits: int = option(8, "qubits of the circuit; a state holds 2^n_qubits amplitudes", between(1, 1_000))
