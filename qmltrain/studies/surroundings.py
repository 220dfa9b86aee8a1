"""What stands before and after a parameter's gate, as far as it can be said exactly from the circuit alone.

Before the first gates that join qubits the state is a product, and <P>^2 of its generator P is known on average. After
the last gates of a circuit there are fixed gates at most, and what the observable has become, O', is known.
"""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.clifford import Pauli, commute, from_letters, images_after, through, unmoved
from qmltrain.studies.bloch import AXES, Turn, mean_matrix, one_qubit_steps, start_moment, uses
from qmltrain.studies.product_circuits import Terms
from qmltrain.studies.starts import Start

LONGEST = 4_096  # strings of an observable that are followed back through gates one by one
_TWO_QUBIT = {"rxx": "XX", "ryy": "YY", "rzz": "ZZ"}


def rotations(gate: Gate) -> list[tuple[int, float, str]] | None:
    """(parameter, scale, letters on the gate's qubits) in time order; None of a gate that is no rotation by a Pauli
    string and one parameter each, [] of a fixed one."""
    if all(angle.is_constant for angle in gate.angles):
        return []
    if len(gate.qubits) == 1:
        steps = one_qubit_steps(0, gate)
        if steps is None:
            return None
        turns = [step for step in steps if isinstance(step, Turn) and step.parameter is not None]
        return [(turn.parameter, turn.scale, turn.axis) for turn in turns]  # type: ignore[misc]
    letters = gate.pauli or ("Z" * len(gate.qubits) if gate.name == "multi_rz" else _TWO_QUBIT.get(gate.name))
    if letters is None or gate.angles[0].is_per_sample:
        return None
    [angle] = gate.angles
    if angle.weight is not None and angle.bias is not None:
        return None
    if angle.weight is not None:
        return [(angle.weight, angle.scale, letters)]
    assert angle.bias is not None
    return [(angle.bias, 1.0, letters)]


def expectations_before(circuit: Circuit, start: Start, random_axes: bool = False) -> dict[int, float]:
    """Mean of <P>^2 before the gate of each parameter that only one-qubit gates precede on its qubits.

    Parameters must be in one angle each; others, and what follows them, are left out.
    """
    if circuit.amplitude_encoded:
        return {}
    count = uses(circuit)
    squares = {qubit: start_moment(2) for qubit in range(circuit.n_qubits)}  # of qubits whose state is a product
    found: dict[int, float] = {}
    for position, gate in enumerate(circuit.gates):
        known = all(qubit in squares for qubit in gate.qubits)
        single = all(count[k] == 1 for angle in gate.angles for k in (angle.weight, angle.bias) if k is not None)
        steps = one_qubit_steps(position, gate) if known and single else None
        if steps is not None:
            [qubit] = gate.qubits
            for step in steps:
                if isinstance(step, Turn) and step.parameter is not None:
                    axes = AXES if random_axes else step.axis
                    along = squares[qubit].reshape(4, 4).diagonal()
                    found[step.parameter] = float(np.mean([along[1 + AXES.index(axis)] for axis in axes]))
                squares[qubit] = mean_matrix(step, start, 2, any_axis=random_axes) @ squares[qubit]
            continue
        if known and single:
            for parameter, _, letters in rotations(gate) or []:
                pairs = zip(gate.qubits, letters, strict=True)
                along_each = [squares[q].reshape(4, 4)[1 + AXES.index(p), 1 + AXES.index(p)] for q, p in pairs]
                found[parameter] = float(np.prod(along_each))
        for qubit in gate.qubits:
            squares.pop(qubit, None)
    return found


def weights_after(circuit: Circuit, terms: Terms, random_axes: bool = False) -> dict[int, float]:
    """Weight (sum of c^2) of the strings of O' that anticommute with P, of each parameter whose gate is among the last.

    Going back from the end, fixed Clifford gates turn strings into strings. A rotation that commutes with all of them
    changes nothing, and its own derivative is 0 at any parameters. One that does not leaves its qubits unknown, and
    with them every gate that acts on them before; what strings are on other qubits stays known.
    """
    if len(terms) > LONGEST:
        return {}
    strings = [(c, (s.x_mask, s.z_mask, (s.x_mask & s.z_mask).bit_count() % 4)) for c, s in terms]
    count = uses(circuit)
    unknown: set[int] = set()
    found: dict[int, float] = {}
    for gate in reversed(circuit.gates):
        turns = rotations(gate)
        if turns is None:  # with an angle, but no rotation by a string
            unknown |= set(gate.qubits)
        elif turns:
            for parameter, _, letters in reversed(turns):
                if unknown & set(gate.qubits):
                    unknown |= set(gate.qubits)
                    continue
                drawn = random_axes and len(gate.qubits) == 1
                options = list(AXES) if drawn else [letters]
                weights = [_anticommuting(strings, option, gate.qubits) for option in options]
                if count[parameter] == 1:
                    found[parameter] = float(np.mean(weights))
                if any(weights):
                    unknown |= set(gate.qubits)
        elif unknown & set(gate.qubits):
            unknown |= set(gate.qubits)
        else:
            moved = _moved(gate, strings)
            if moved is None:
                unknown |= set(gate.qubits)
            else:
                strings = moved
    return found


def _anticommuting(strings: list[tuple[float, Pauli]], letters: str, qubits: tuple[int, ...]) -> float:
    n_qubits = max(qubits) + 1
    images = unmoved(n_qubits)
    rotation = through(from_letters(letters), qubits, images)
    return float(sum(c**2 for c, string in strings if not commute(string, rotation)))


def _moved(gate: Gate, strings: list[tuple[float, Pauli]]) -> list[tuple[float, Pauli]] | None:
    """The strings before a fixed gate; None where it is no Clifford gate and they are on its qubits."""
    mask = sum(1 << qubit for qubit in gate.qubits)
    if not any((x | z) & mask for _, (x, z, _) in strings):
        return strings
    n_gate = len(gate.qubits)
    angles = tuple(angle.offset for angle in gate.angles)
    images = images_after(gate.name, tuple(range(n_gate)), angles, gate.pauli, unmoved(n_gate))
    if images is None:
        return None
    return [(c, _carried(string, gate.qubits, images)) for c, string in strings]


def _carried(string: Pauli, qubits: tuple[int, ...], images: dict[tuple[str, int], Pauli]) -> Pauli:
    """A string with its part on these qubits carried through; its sign is left aside, squares do not have it."""
    x, z, _ = string
    local = (_local(x, qubits), _local(z, qubits), 0)
    new_x, new_z, _ = through(local, tuple(range(len(qubits))), images)
    mask = sum(1 << qubit for qubit in qubits)
    x, z = x & ~mask, z & ~mask
    for place, qubit in enumerate(qubits):
        x |= (new_x >> place & 1) << qubit
        z |= (new_z >> place & 1) << qubit
    return x, z, (x & z).bit_count() % 4


def _local(mask: int, qubits: tuple[int, ...]) -> int:
    return sum((mask >> qubit & 1) << place for place, qubit in enumerate(qubits))
