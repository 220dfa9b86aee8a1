"""Model: what is trained. Layers before the circuit, the circuit with its observables, a head and a loss, on one
parameter vector.

theta_P = [circuit | head | input layers | loss], as `ParameterViews` names them. Everything here is structure and plain
functions of arrays; the simulator comes in through a Program (`qmltrain.training.gradients`).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from qmltrain.circuit.amplitude import amplitude_state, check_amplitude_rows, power_gradient
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.feature_domains import FeatureDomain
from qmltrain.circuit.observables import Observables
from qmltrain.engines.protocol import Array, FloatArray
from qmltrain.errors import InputError, NonFiniteError
from qmltrain.training.angles import AngleMap
from qmltrain.training.heads import Head
from qmltrain.training.input_layers import InputLayers
from qmltrain.training.loss_protocol import Loss
from qmltrain.training.reduction import array_namespace, tree_matmul


@dataclass(frozen=True)
class AmplitudeOptions:
    """How features become amplitudes: padded with `pad_with`, divided by the L2 norm where `normalize`, and this state
    `copies` times side by side."""

    pad_with: float = 0.0
    normalize: bool = True
    copies: int = 1


class ParameterViews(NamedTuple):
    """Parameters by what they belong to; empty arrays where that has none."""

    circuit: FloatArray
    head: FloatArray
    input: FloatArray
    loss: FloatArray


@dataclass
class Model:
    """`amplitude` is read where the circuit is amplitude-encoded; `encoding_name` says which features are allowed.

    `input` None: the circuit encodes the features of a sample as they are. Shape letters: I features of a sample, F
    those that the circuit encodes.
    """

    circuit: Circuit
    observables: Observables
    head: Head
    loss: Loss
    amplitude: AmplitudeOptions = AmplitudeOptions()
    encoding_name: str = ""
    input: InputLayers | None = None
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
    def sizes(self) -> tuple[int, int, int, int]:
        """Parameters of each of the `ParameterViews`."""
        of_input = 0 if self.input is None else self.input.n_parameters
        return self.circuit.n_parameters, self.head.n_parameters, of_input, self.loss.n_parameters

    @property
    def n_parameters(self) -> int:
        return sum(self.sizes)

    def initial_around(self, generator: np.random.Generator) -> FloatArray:
        """First parameters of all `ParameterViews` but the circuit, in their order."""
        parts = (self.head, self.input, self.loss)
        return np.concatenate([part.initial(generator) for part in parts if part is not None])

    @property
    def parameter_names(self) -> tuple[str, ...]:
        of_input = () if self.input is None else self.input.parameter_names
        return (*self.circuit.parameter_names, *self.head.parameter_names, *of_input, *self.loss.parameter_names)

    def split(self, theta_P: FloatArray) -> ParameterViews:
        """The parts of theta_P, as views; what lies behind them is not looked at."""
        return ParameterViews(*[theta_P[part] for part in self._parts])

    @cached_property
    def _parts(self) -> list[slice]:
        ends = itertools.accumulate(self.sizes)
        return [slice(end - size, end) for size, end in zip(self.sizes, ends, strict=True)]

    def loss_at(self, theta_P: FloatArray) -> Loss:
        """The loss with its parameters among these."""
        return self.loss.at(self.split(theta_P).loss)

    @property
    def n_inputs(self) -> int:
        """I."""
        return self.circuit.n_features if self.input is None else self.input.n_inputs

    def features(self, views: ParameterViews, x_BI: FloatArray, first: int = 0) -> FloatArray:
        """(B, F) what the circuit encodes of these samples; `first` is the number of the first in its batch.

        Raises InputError for samples that it cannot encode, NonFiniteError where parameters have made such features.
        """
        if self.input is None:
            self.domain.check(x_BI)
            return x_BI
        self._check_inputs(x_BI, first + np.arange(len(x_BI)))
        features_BF = self.input.forward(views.input, x_BI)
        bad_B = ~np.isfinite(features_BF).all(axis=1)
        what, remedy = "gives what is not finite", ""
        if not bad_B.any() and self.needs_features:
            bad_B, what = ~features_BF.any(axis=1), "gives amplitudes that are all 0"
            remedy = (
                "where its features are all 0, biases are what keeps them from it: set input.bias=true and "
                "input.activation=sigmoid, or fewer input.outputs and encoding.pad_with=1"
            )
        if bad_B.any():
            sample = first + int(np.argmax(bad_B))
            raise NonFiniteError(f"the input layer {what} for sample {sample} of the batch", remedy)
        return features_BF

    @property
    def needs_features(self) -> bool:
        """Whether features that are all 0 make no state: amplitudes, without padding by another number."""
        padded = self.circuit.amplitude_encoded and self.circuit.n_features < 2**self._qubits_of_copy
        return self.circuit.amplitude_encoded and not (padded and self.amplitude.pad_with != 0.0)

    def _check_inputs(self, x_BI: FloatArray, rows_B: np.ndarray | None = None) -> None:
        if x_BI.ndim != 2 or x_BI.shape[1] != self.n_inputs:
            raise InputError(f"features: the input layer takes {self.n_inputs} per sample, found shape {x_BI.shape}")
        if not np.isfinite(x_BI).all():
            row, column = (int(index) for index in np.argwhere(~np.isfinite(x_BI))[0])
            sample = row if rows_B is None else rows_B[row]
            raise InputError(
                f"features: sample {sample}, feature {column}: {x_BI[row, column]:.6g} is not finite; clean the data"
            )

    def layers(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names of the groups whose gradient norms are kept, and the group of each parameter.

        One a layer of the ansatz, one for parameters of the encoding that belong to no layer, one each for the head,
        the input layers and the loss, where they have any.
        """
        of_circuit = np.array(self.circuit.parameter_layers or [-1] * self.circuit.n_parameters, dtype=np.int64)
        names = [f"layer.{k}" for k in range(int(of_circuit.max(initial=-1)) + 1)]
        groups = of_circuit.copy()
        if np.any(of_circuit < 0):
            groups[of_circuit < 0] = len(names)
            names.append("encoding" if names else "circuit")
        for name, size in zip(ParameterViews._fields[1:], self.sizes[1:], strict=True):
            if size:
                groups = np.append(groups, np.full(size, len(names)))
                names.append(name)
        return tuple(names), groups

    def initial_state(self, x_BF: FloatArray) -> FloatArray | None:
        """(B, 2^n) amplitudes of an amplitude-encoded circuit, else None."""
        if not self.circuit.amplitude_encoded:
            return None
        options = self.amplitude
        return amplitude_state(x_BF, self.circuit.n_qubits, options.pad_with, options.normalize, options.copies)

    @property
    def _qubits_of_copy(self) -> int:
        return self.circuit.n_qubits // self.amplitude.copies

    @property
    def restricts_features(self) -> bool:
        """Whether there are finite features of samples that the circuit cannot encode."""
        return self.input is None and (self.circuit.amplitude_encoded or self.domain.restricted)

    def check_features(self, features_BF: FloatArray, rows_B: np.ndarray) -> None:
        """Raise InputError, with its row in the data set, for a sample that the circuit cannot encode."""
        if self.input is not None:
            return self._check_inputs(features_BF, rows_B)
        self.domain.check(features_BF, rows_B)
        if self.circuit.amplitude_encoded:
            options = self.amplitude
            check_amplitude_rows(features_BF, rows_B, self._qubits_of_copy, options.pad_with, options.normalize)

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
        divided by |p|. (s is one copy, where there are several.)
        """
        gradient = 2 * bra_BN.real.astype(np.float64)
        n_features, options = x_BF.shape[1], self.amplitude
        state = amplitude_state(x_BF, self._qubits_of_copy, options.pad_with, options.normalize)
        gradient = power_gradient(gradient, state, options.copies)
        if not options.normalize:
            return gradient[:, :n_features]
        norms_B = _norms(x_BF, state.shape[1] - n_features, options.pad_with)
        along = np.sum(gradient * state, axis=1, keepdims=True)
        return ((gradient - along * state) / norms_B[:, None])[:, :n_features]


def _norms(x_BF: FloatArray, n_padded: int, pad_with: float) -> FloatArray:
    """(B,) L2 norms of rows that end in so many `pad_with`; those of huge and tiny numbers by way of the largest."""
    with np.errstate(over="ignore", under="ignore"):
        norms_B: FloatArray = np.sqrt(np.sum(x_BF**2, axis=1) + n_padded * np.float64(pad_with) ** 2)
    extreme_B = ~((norms_B > 1e-140) & (norms_B < 1e140))
    if extreme_B.any():
        padding = np.full((len(x_BF), n_padded), float(pad_with))
        rows_bN = np.concatenate([x_BF, padding], axis=1)[extreme_B]
        largest_b1 = np.abs(rows_bN).max(axis=1, keepdims=True)
        norms_B[extreme_B] = largest_b1[:, 0] * np.linalg.norm(rows_bN / largest_b1, axis=1)
    return norms_B
