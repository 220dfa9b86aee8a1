"""What kernels are tested over: modes, qubits in the lanes, tiles, instruction sets, and strings of every kind."""

from __future__ import annotations

from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.engines.protocol import GradientOptions

MODES = [
    GradientOptions(),
    GradientOptions("reversible"),
    GradientOptions("reversible", 2),
    GradientOptions("checkpoint", 1),
    GradientOptions("checkpoint", 3),
    GradientOptions("checkpoint"),
]
LANES = st.sampled_from([None, 0, 1, 2, 3, 4])
TILES = st.sampled_from([None, 1, 2, 3])


def some_strings(n_qubits: int) -> tuple[PauliString, ...]:
    """Diagonal and not, one Y, one on all qubits, the identity."""
    full = (1 << n_qubits) - 1
    masks = {(0, 0), (0, 1), (0, full), (1, 0), (full, 1), (1, full)}
    return tuple(PauliString(x, z) for x, z in sorted(masks))


def available_sets() -> list[str]:
    if unavailable_reason() is not None:
        return []
    from qmltrain.engines.cpu.extension import load

    return list(load().instruction_sets())
