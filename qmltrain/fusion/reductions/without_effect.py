"""What of a circuit is in no light cone: parameters and features that no expectation depends on.

Nothing is named where that takes long to find: light cones of many strings of a deep circuit are gone through gate by
gate.
"""

from __future__ import annotations

from collections.abc import Iterable

from qmltrain.circuit.circuit import Gate
from qmltrain.fusion.reductions.light_cones import LightCones

MOST_VISITED = 3_000_000  # gates


def idle_parameters(cones: LightCones) -> tuple[int, ...]:
    """Parameters of the circuit whose gradients are 0, by number."""
    gates, circuit = _gates_inside(cones), cones.circuit
    if gates is None:
        return ()
    used = _parameters(circuit.gates[position] for position in gates)
    return tuple(k for k in range(circuit.n_parameters) if k not in used)


def unseen_features(cones: LightCones) -> tuple[int, ...]:
    """Features that gates have, and no expectation depends on, by number."""
    gates, circuit = _gates_inside(cones), cones.circuit
    if gates is None or len(gates) == len(circuit.gates):
        return ()
    seen = _features(circuit.gates[position] for position in gates)
    return tuple(sorted(_features(circuit.gates) - seen))


def _gates_inside(cones: LightCones) -> set[int] | None:
    """Places of the gates that an expectation depends on; None where there are too many to go through."""
    gates, visited = set[int](), 0
    for member in range(len(cones.strings)):
        if visited > MOST_VISITED:
            return None
        one = cones.cone(member)
        gates |= one.gates
        visited += len(one.gates)
    return gates


def _parameters(gates: Iterable[Gate]) -> set[int]:
    return {k for gate in gates for angle in gate.angles for k in (angle.weight, angle.bias) if k is not None}


def _features(gates: Iterable[Gate]) -> set[int]:
    angles = (angle for gate in gates for angle in gate.angles)
    return {k for angle in angles if angle.feature is not None and angle.scale for k in angle.feature.indices}
