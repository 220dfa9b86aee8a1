"""Model: what is trained. A circuit with its observables, a head and a loss, on one parameter vector.

theta_P = [circuit parameters | head parameters]. Everything here is structure and plain functions of arrays; the
simulator comes in through a Program (`qmltrain.training.gradients`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from qmltrain.circuit.amplitude import amplitude_state, check_amplitude_rows
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.feature_domains import FeatureDomain
from qmltrain.circuit.observables import Observables
from qmltrain.engines.protocol import Array, FloatArray
from qmltrain.training.angles import AngleMap
from qmltrain.training.heads import Head
from qmltrain.training.losses import Loss
from qmltrain.training.reduction import array_namespace, tree_matmul


@dataclass(frozen=True)
class AmplitudeOptions:
    """How features become amplitudes: padded with `pad_with`, then divided by the L2 norm where `normalize`."""

    pad_with: float = 0.0
    normalize: bool = True


@dataclass
class Model:
    """`amplitude` is read where the circuit is amplitude-encoded; `encoding_name` says which features are allowed."""

    circuit: Circuit
    observables: Observables
    head: Head
    loss: Loss
    amplitude: AmplitudeOptions = AmplitudeOptions()
    encoding_name: str = ""
    domain: FeatureDomain = field(init=False)
    angles: AngleMap = field(init=False)
    coefficients_KM: FloatArray = field(init=False)

    def __post_init__(self) -> None:
        self.domain = FeatureDomain(self.circuit, self.encoding_name)
        self.angles = AngleMap(self.circuit)
        shape = (self.observables.n_observables, len(self.observables.strings))
        self.coefficients_KM = np.zeros(shape)
        for row, terms in enumerate(self.observables.coefficients):
            for column, value in terms.items():
                self.coefficients_KM[row, column] = value
        self._constants_K = np.array(self.observables.constants)
        # coefficients and constants beside the expectations, moved there once
        self._placed: dict[Any, tuple[Array, Array]] = {}
        self._plain = shape[0] == shape[1] and bool(np.array_equal(self.coefficients_KM, np.eye(shape[0])))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_placed": {}}  # its keys are modules, which cannot be pickled

    @property
    def measured_circuit(self) -> Circuit:
        """The circuit that an engine runs: with the gates that the observables need before strings are measured."""
        return self.observables.measured(self.circuit)

    @property
    def n_parameters(self) -> int:
        return self.circuit.n_parameters + self.head.n_parameters

    @property
    def parameter_names(self) -> tuple[str, ...]:
        return (*self.circuit.parameter_names, *self.head.parameter_names)

    def split(self, theta_P: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Circuit parameters and head parameters."""
        n = self.circuit.n_parameters
        return theta_P[:n], theta_P[n:]

    def layers(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the groups whose gradient norms are kept, and the group of each parameter.

        One a layer of the ansatz, one for parameters of the encoding that belong to no layer, one for the head.
        """
        of_circuit = np.array(self.circuit.parameter_layers or [-1] * self.circuit.n_parameters, dtype=np.int64)
        names = [f"layer.{k}" for k in range(int(of_circuit.max(initial=-1)) + 1)]
        groups = of_circuit.copy()
        if np.any(of_circuit < 0):
            groups[of_circuit < 0] = len(names)
            names.append("encoding" if names else "circuit")
        if self.head.n_parameters:
            groups = np.append(groups, np.full(self.head.n_parameters, len(names)))
            names.append("head")
        return tuple(names), groups

    def initial_state(self, x_BF: FloatArray) -> FloatArray | None:
        """(B, 2^n) amplitudes of an amplitude-encoded circuit, else None."""
        if not self.circuit.amplitude_encoded:
            return None
        return amplitude_state(x_BF, self.circuit.n_qubits, self.amplitude.pad_with, self.amplitude.normalize)

    @property
    def restricts_features(self) -> bool:
        """Whether there are finite features that the circuit cannot encode."""
        return self.circuit.amplitude_encoded or self.domain.restricted

    def check_features(self, features_BF: FloatArray, rows_B: np.ndarray) -> None:
        """Raise InputError, with its row in the data set, for a sample that the circuit cannot encode."""
        self.domain.check(features_BF, rows_B)
        if self.circuit.amplitude_encoded:
            options = self.amplitude
            check_amplitude_rows(features_BF, rows_B, self.circuit.n_qubits, options.pad_with, options.normalize)

    def expectations(self, strings_BM: Array) -> Array:
        """Expectations of the observables (B, K) from those of the Pauli strings, on their array namespace."""
        sums_BK = strings_BM if self._plain else tree_matmul(strings_BM, self._beside(strings_BM)[0].T)
        return sums_BK + self._beside(strings_BM)[1] if self._constants_K.any() else sums_BK

    def string_cotangent(self, cotangent_BK: Array) -> Array:
        """d loss / d string expectations (B, M)."""
        return cotangent_BK if self._plain else tree_matmul(cotangent_BK, self._beside(cotangent_BK)[0])

    def _beside(self, like: Array) -> tuple[Array, Array]:
        xp = array_namespace(like)
        if xp not in self._placed:
            arrays = self.coefficients_KM, self._constants_K
            self._placed[xp] = tuple(xp.asarray(array, dtype=like.dtype) for array in arrays)
        return self._placed[xp]

    def input_state_gradient(self, bra_BN: np.ndarray, x_BF: FloatArray) -> FloatArray:
        """d loss / d features (B, F) of an amplitude-encoded circuit from the bra at the start.

        For a real input state s, dL/ds = 2 Re(bra); with s = p / |p| the part along s drops out and the rest is
        divided by |p|.
        """
        gradient = 2 * bra_BN.real.astype(np.float64)
        n_features = x_BF.shape[1]
        if not self.amplitude.normalize:
            return gradient[:, :n_features]
        state = self.initial_state(x_BF)
        assert state is not None
        n_padded = state.shape[1] - n_features
        squares = np.sum(x_BF**2, axis=1) + n_padded * self.amplitude.pad_with**2
        along = np.sum(gradient * state, axis=1, keepdims=True)
        return ((gradient - along * state) / np.sqrt(squares)[:, None])[:, :n_features]
