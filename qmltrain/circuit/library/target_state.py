"""The projector on a given state as an observable: its expectation is the fidelity with that state."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.amplitude import NORM_TOLERANCE
from qmltrain.circuit.library.basis_states import basis_state_sum, check_projected_qubits
from qmltrain.circuit.library.state_preparation import unprepare
from qmltrain.circuit.observables import Observables, from_sums
from qmltrain.errors import InputError


def target_state(n_qubits: int, *, path: str) -> Observables:
    """``|t><t|`` for the 2^n amplitudes t in a .npy file, real or complex, of norm 1; named by the file's name.

    Amplitude z is that of basis state z, qubit q being bit q of z. With V the gates that take t to |0...0>
    (`state_preparation.unprepare`), ``|t><t| = V^dagger |0...0><0...0| V``: V is applied after the circuit, then the
    basis state 0 is projected on. Refused: more than 16 qubits, another length or norm, NaN.
    """
    check_projected_qubits(n_qubits, "observable.name: target_state")
    amplitudes_N = read_target_state(path, n_qubits)
    return from_sums([(Path(path).stem, basis_state_sum(range(n_qubits), 0))], unprepare(amplitudes_N))


def read_target_state(path: str, n_qubits: int) -> NDArray[np.complex128]:
    """The amplitudes in a .npy file, (2^n,); raises InputError as `target_state`."""
    size = 2**n_qubits
    try:
        found = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f"observable.path: the target state {path} cannot be read as .npy: {error}") from error
    if not isinstance(found, np.ndarray) or found.shape != (size,) or found.dtype.kind not in "iufc":
        shape = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else "an archive"
        raise InputError(f"observable.path: {path} holds {shape}; {size} amplitudes are needed, shape ({size},)")
    amplitudes_N = found.astype(np.complex128)
    norm = float(np.linalg.norm(amplitudes_N))
    if not abs(norm - 1.0) <= NORM_TOLERANCE:
        raise InputError(f"observable.path: the state in {path} has norm {norm:.6g} where 1 is needed; divide by it")
    return amplitudes_N / norm
