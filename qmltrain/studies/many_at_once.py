"""Many draws of one circuit at once: draws x rows are the samples of `ParameterVectors`.

Circuits that differ in the axes of one-qubit rotations alone are one circuit here, and their axes are data. Samples are
padded to whole blocks of 16, so that a draw has the same bits in any company. Shape letters as in
`qmltrain.studies.study`; C parameters of the circuit, H of the head, S samples, M Pauli strings, A rotation gates.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.protocol import BLOCK, FloatArray, GradientOptions
from qmltrain.studies.outputs import Outputs
from qmltrain.studies.quantities import mean_over_rows, meyer_wallach, one_qubit_paulis
from qmltrain.studies.rotation_axes import axes_as_written
from qmltrain.studies.study import Study
from qmltrain.studies.vectors import ComplexArray, IntArray, Stop, Vectors
from qmltrain.training.model import Model
from qmltrain.training.parameter_vectors import ParameterVectors
from qmltrain.training.reduction import tree_sum
from qmltrain.training.states import NO_GRADIENT


class ManyAtOnce:
    """A `VectorEvaluator` that takes all it is given in one piece: the caller bounds it, and asks for a stop."""

    def __init__(self, study: Study) -> None:
        self.study, self.model = study, study.model
        self.outputs = Outputs(study.model, study.targets_R)

    @staticmethod
    def takes(model: Model) -> bool:
        """Not models of which draws have features, or a loss, of their own."""
        return model.input is None and not model.loss.n_parameters

    @cached_property
    def _initial_RN(self) -> FloatArray | None:
        return self.model.initial_state(self.study.features_RF)

    @cached_property
    def observed(self) -> ParameterVectors:
        """For losses and gradients."""
        return self._on_engine(self.model.measured_circuit, self.model.observables.strings)

    @cached_property
    def one_qubit(self) -> ParameterVectors:
        """For the expectations of all one-qubit Pauli strings."""
        return self._on_engine(self.model.circuit, one_qubit_paulis(self.model.circuit.n_qubits))

    @cached_property
    def plain(self) -> ParameterVectors:
        """For states."""
        return self._on_engine(self.model.circuit, (), NO_GRADIENT)

    def losses(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray:
        circuit_DC, head_DH = self._split(vectors.theta_DP)
        return self.outputs.losses(head_DH, self._expectations(self.observed, circuit_DC, vectors), vectors.first)

    def gradients(self, vectors: Vectors, stop: Stop | None = None) -> tuple[FloatArray, FloatArray]:
        circuit_DC, head_DH = self._split(vectors.theta_DP)
        samples = self._samples(self.observed, circuit_DC, vectors)
        cotangent, of_head_DH = self.outputs.fixed_cotangent, np.zeros((len(vectors), 0))
        if cotangent is None:
            strings_SM = samples.cut(self.observed.expectations(samples.theta_SC, **samples.others))
            cotangent_SM, of_head_DH = self.outputs.cotangents(head_DH, strings_SM)
            cotangent = samples.pad(cotangent_SM)
        found = self.observed.gradients(samples.theta_SC, cotangent, **samples.others)
        losses_D = self.outputs.losses(head_DH, samples.cut(found.expectations_BM), vectors.first)
        by_row = samples.cut(found.gradient_BP).reshape(len(vectors), self.study.n_rows, -1)
        of_circuit_DC = by_row[:, 0] if self.study.n_rows == 1 else tree_sum(by_row.transpose(1, 0, 2))
        return losses_D, np.concatenate([of_circuit_DC, of_head_DH], axis=1) if of_head_DH.size else of_circuit_DC

    def entanglement(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray:
        circuit_DC, _ = self._split(vectors.theta_DP)
        found_S = meyer_wallach(self._expectations(self.one_qubit, circuit_DC, vectors))
        return mean_over_rows(found_S[:, None], self.study.n_rows)[:, 0]

    def states(self, vectors: Vectors, stop: Stop | None = None) -> ComplexArray:
        circuit_DC, _ = self._split(vectors.theta_DP)
        samples = self._samples(self.plain, circuit_DC, vectors)
        return samples.cut(self.plain.states(samples.theta_SC, **samples.others))

    def _expectations(self, on: ParameterVectors, circuit_DC: FloatArray, vectors: Vectors) -> FloatArray:
        samples = self._samples(on, circuit_DC, vectors)
        return samples.cut(on.expectations(samples.theta_SC, **samples.others))

    def _samples(self, on: ParameterVectors, circuit_DC: FloatArray, vectors: Vectors) -> _Samples:
        return _Samples(on, circuit_DC, vectors.axes_DA, self.study.features_RF, self._initial_RN)

    def _split(self, theta_DP: FloatArray) -> tuple[FloatArray, FloatArray]:
        n = self.model.circuit.n_parameters
        return theta_DP[:, :n], theta_DP[:, n:]

    def _on_engine(
        self, circuit: Circuit, strings: tuple[PauliString, ...], gradient: GradientOptions | None = None
    ) -> ParameterVectors:
        study = self.study
        gradient = gradient or study.gradient
        return ParameterVectors(circuit, strings, study.engine, study.precision, gradient, study.options)


class _Samples:
    """Draws x rows, then copies of the last one up to whole blocks; `others`: what `ParameterVectors` takes beside."""

    def __init__(
        self,
        on: ParameterVectors,
        circuit_DC: FloatArray,
        axes_DA: IntArray | None,
        features_RF: FloatArray,
        initial_RN: FloatArray | None,
    ) -> None:
        n_draws, n_rows = len(circuit_DC), len(features_RF)
        self.n_samples = n_draws * n_rows
        self._padded_S = np.minimum(np.arange(-(-self.n_samples // BLOCK) * BLOCK), self.n_samples - 1)
        draws_S, rows_S = np.divmod(self._padded_S, n_rows)
        own = n_rows == 1  # one row of features stands for all
        self.theta_SC = circuit_DC if own and len(draws_S) == n_draws else circuit_DC[draws_S]
        self.others: dict[str, Any] = {
            "x": features_RF if own else features_RF[rows_S],
            "initial": initial_RN if own or initial_RN is None else initial_RN[rows_S],
            "axes": None,
        }
        if axes_DA is not None:
            axes_SA = axes_DA[draws_S]
            tail = axes_as_written(on.circuit)[axes_SA.shape[1] :]  # of gates that observables need: they stay
            self.others["axes"] = np.concatenate([axes_SA, np.tile(tail, (len(axes_SA), 1))], axis=1)

    def pad(self, values_SV: FloatArray) -> FloatArray:
        return values_SV if len(self._padded_S) == self.n_samples else values_SV[self._padded_S]

    def cut(self, values_SV: Any) -> Any:
        return values_SV[: self.n_samples]
