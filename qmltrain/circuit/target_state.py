"""The projector on a given state as an observable: its expectation is the fidelity with that state."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from qmltrain.circuit.amplitude import NORM_TOLERANCE
from qmltrain.circuit.observables import Observables, PauliString, from_sums
from qmltrain.errors import InputError

MAX_TARGET_QUBITS = 5  # 4^5 Pauli strings


def target_state(n_qubits: int, *, path: str) -> Observables:
    """``|t><t|`` for the 2^n amplitudes t in a .npy file, real or complex, of norm 1; named by the file's name.

    Amplitude z is that of basis state z, qubit q being bit q of z. Expanded into ``sum_P <t|P|t> / 2^n P``, up to 4^n
    Pauli strings, hence refused beyond 5 qubits: there, write the fidelity as another observable (a GHZ state's
    stabilisers, say). Also refused: another length or norm, NaN.
    """
    if n_qubits > MAX_TARGET_QUBITS:
        raise InputError(
            f"observable.name: target_state on {n_qubits} qubits is a sum of {4**n_qubits} Pauli strings; at most "
            f"{MAX_TARGET_QUBITS} qubits are possible"
        )
    amplitudes_N = _read(path, 2**n_qubits)
    size = len(amplitudes_N)
    index = np.arange(size)
    terms = []
    for x_mask in range(size):
        # <t|X^x Z^z|t> for all z at once: a Walsh-Hadamard transform of conj(t_(k xor x)) t_k.
        overlaps = _walsh_hadamard(np.conj(amplitudes_N[index ^ x_mask]) * amplitudes_N)
        for z_mask in range(size):
            # Y = i X Z on each qubit where both bits are set.
            value = float((1j ** (x_mask & z_mask).bit_count() * overlaps[z_mask]).real) / size
            if abs(value) > 1e-15:
                terms.append((value, PauliString(x_mask, z_mask)))
    return from_sums([(Path(path).stem, terms)])


def _read(path: str, size: int) -> np.ndarray:
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


def _walsh_hadamard(values_N: np.ndarray) -> np.ndarray:
    """sum_k (-1)^popcount(z & k) v_k for every z."""
    for bit in range(len(values_N).bit_length() - 1):
        pairs = values_N.reshape(-1, 2, 1 << bit)
        values_N = np.stack([pairs[:, 0] + pairs[:, 1], pairs[:, 0] - pairs[:, 1]], axis=1).reshape(-1)
    return values_N
