"""Pairs of layers that cancel: a deep circuit that starts as the identity and yet at random angles.

After Grant, Wossnig, Ostaszewski, Benedetti, Quantum 3, 214 (2019), arXiv:1903.05076. There a block is a circuit and
its mirror image; here the ansatz is given, and its layers 0 and 1, 2 and 3, ... are the blocks. All fixed gates of a
pair are moved to its end, which turns every rotation into exp(-i theta P / 2) of some Pauli string P, and leaves a
Clifford that must be the identity. A rotation of the first layer and one of the second with the same P can then undo
each other: they are drawn as +theta and -theta where this holds for all of them at once, all other rotations are 0.
In the ansatz `hea` with CZ these are the RZ; in a mirrored ansatz of one's own all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.clifford import Pauli, commute, from_letters, images_after, through, unmoved
from qmltrain.errors import InputError

_GENERATORS = {"rx": "X", "ry": "Y", "rz": "Z", "p": "Z", "rxx": "XX", "ryy": "YY", "rzz": "ZZ"}


@dataclass(frozen=True)
class _Pair:
    """Gates `first` and `second` (positions in the block) undo each other with angles t and `sign` t."""

    first: int
    second: int
    sign: int


def identity_blocks(
    circuit: Circuit, generator: np.random.Generator, scale: float = math.pi, first_layer: int = 0
) -> NDArray[np.float64]:
    """Parameters (P,) with which the layers `first_layer` and following are the identity, pair by pair.

    Angles are uniform in [-scale, scale]. Everything else (other layers, parameters of no layer) is 0. Raises
    InputError, with what is in the way, for an odd number of layers, an encoding between the two layers of a pair, a
    pair that is not the identity with all its angles 0, and a pair in which nothing can be drawn.
    """
    return IdentityBlocks(circuit, first_layer).draw(generator, scale)


class IdentityBlocks:
    """As `identity_blocks`, of which many are drawn."""

    def __init__(self, circuit: Circuit, first_layer: int = 0) -> None:
        n_layers = len(circuit.layer_starts) - first_layer
        if n_layers < 2 or n_layers % 2:
            raise _refused(f"an even number of layers is needed, found {n_layers}; change ansatz.layers")
        uses = [0] * circuit.n_parameters
        for gate in circuit.gates:
            for angle in gate.angles:
                for index in {angle.weight, angle.bias} - {None}:
                    uses[index] += 1  # type: ignore[index]
        known: dict[tuple[object, ...], tuple[_Pair, ...]] = {}
        places: list[
            tuple[tuple[int, int], tuple[float, float]]
        ] = []  # of both: parameter, what the angle is divided by
        for layer in range(first_layer, first_layer + n_layers, 2):
            gates, middle = _block(circuit, layer)
            signature = (middle, *((gate.name, gate.qubits, gate.pauli, _kind(gate, uses)) for gate in gates))
            if signature not in known:
                known[signature] = _find_pairs(gates, middle, circuit.n_qubits, uses, layer)
            for pair in known[signature]:
                first, second = (gates[position].angles[0] for position in (pair.first, pair.second))
                assert first.weight is not None and second.weight is not None
                places.append(((first.weight, second.weight), (first.scale, pair.sign * second.scale)))
        self._n_parameters = circuit.n_parameters
        self._parameters = np.array([parameters for parameters, _ in places]).T
        self._scales = np.array([scales for _, scales in places]).T

    def draw(self, generator: np.random.Generator, scale: float = math.pi) -> NDArray[np.float64]:
        """(P,)."""
        theta_P = np.zeros(self._n_parameters)
        theta_P[self._parameters] = generator.uniform(-scale, scale, size=self._parameters.shape[1]) / self._scales
        return theta_P


def _block(circuit: Circuit, layer: int) -> tuple[list[Gate], int]:
    """Gates of the layers `layer` and `layer` + 1 without an encoding after them, and where the second begins."""
    starts = (*circuit.layer_starts, len(circuit.gates))
    begin, middle, end = starts[layer : layer + 3]
    for position in range(begin, end):
        if any(angle.is_per_sample for angle in circuit.gates[position].angles):
            if position < middle:
                raise _refused(f"features are encoded between layers {layer} and {layer + 1}; make ansatz.layers even")
            end = position
            break
    return list(circuit.gates[begin:end]), middle - begin


def _kind(gate: Gate, uses: list[int]) -> object:
    """ "turn" for a rotation that can be drawn, "zero" for a gate that is absent at angle 0, else its fixed angles."""
    if all(angle.is_constant for angle in gate.angles):
        return tuple(angle.offset for angle in gate.angles)
    single = len(gate.angles) == 1 and gate.angles[0].weight is not None and uses[gate.angles[0].weight] == 1
    plain = all(angle.offset == 0.0 for angle in gate.angles)
    if not plain:
        return "offset"
    drawable = gate.name in _GENERATORS or gate.name in ("multi_rz", "pauli_rot")
    return "turn" if single and drawable and gate.angles[0].scale and gate.angles[0].bias is None else "zero"


def _find_pairs(gates: list[Gate], middle: int, n_qubits: int, uses: list[int], layer: int) -> tuple[_Pair, ...]:
    where = f"layers {layer} and {layer + 1}"
    # The image C^dagger P C of every X_q and Z_q under the fixed gates C so far.
    images = start = unmoved(n_qubits)
    turns: dict[int, Pauli] = {}
    for position, gate in enumerate(gates):
        kind = _kind(gate, uses)
        if kind == "offset":
            raise _refused(f"{gate.name} in {where} has a trainable angle with an offset; choose another ansatz")
        if kind == "turn":
            letters = gate.pauli or _GENERATORS.get(gate.name) or "Z" * len(gate.qubits)
            turns[position] = through(from_letters(letters), gate.qubits, images)
        elif isinstance(kind, tuple):
            carried = images_after(gate.name, gate.qubits, kind, gate.pauli, images)
            if carried is None:
                raise _refused(f"{gate.name} in {where} is not a Clifford gate; choose another ansatz")
            images = carried
    if images != start:
        raise _refused(f"{where} are not the identity when all angles are 0; choose an ansatz such as hea with CZ")
    pairs: list[tuple[_Pair, Pauli]] = []
    for second in sorted(position for position in turns if position >= middle):
        x, z, k = turns[second]
        taken = {pair.first for pair, _ in pairs}
        for first in sorted((p for p in turns if p < middle and p not in taken), reverse=True):
            if turns[first][:2] != (x, z):
                continue
            if all(
                commute(other, turns[first])
                or (first > pair.first and second < pair.second)
                or (first < pair.first and second > pair.second)
                for pair, other in pairs
            ):
                pairs.append((_Pair(first, second, -1 if turns[first][2] == k else 1), turns[first]))
                break
    if not pairs:
        raise _refused(f"no rotation of layer {layer} can undo one of layer {layer + 1}; choose train.initial=zeros")
    return tuple(pair for pair, _ in pairs)


def _refused(reason: str) -> InputError:
    return InputError(f"train.initial: identity is not possible: {reason}")
