"""One draw at a time, its rows as a batch: draws whose circuits differ, and data of many rows.

Rows share the draw's angles, which engines make use of. Shape letters as in `qmltrain.studies.study`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import Observables
from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import NonFiniteError
from qmltrain.studies.quantities import mean_over_rows, meyer_wallach, one_qubit_paulis
from qmltrain.studies.study import Study
from qmltrain.studies.vectors import ComplexArray, Stop, Vectors
from qmltrain.training.gradients import Evaluator, StepAbandoned, chunk_size
from qmltrain.training.model import Model
from qmltrain.training.states import StateMap

T = TypeVar("T")


class OneByOne:
    """A `VectorEvaluator`. Programs of the model's own circuit are kept, and those of the last other one."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.targets_R = np.asarray(study.targets_R)
        self._own: dict[str, Any] = {}
        self._other: dict[str, Any] = {}
        self._other_circuit: Circuit | None = None

    def losses(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray:
        losses_D = np.empty(len(vectors))
        for draw, theta_P, circuit in self._each(vectors, stop):
            evaluator = self.observed(circuit)
            outputs_RC = evaluator.outputs(theta_P, self.study.features_RF, stop)
            values_R = evaluator.model.loss_at(theta_P).value(outputs_RC, self.targets_R)
            losses_D[draw] = self._mean(values_R)
            if not np.isfinite(losses_D[draw]):
                raise NonFiniteError(f"the loss of draw {vectors.first + draw} is {losses_D[draw]}")
        return losses_D

    def gradients(self, vectors: Vectors, stop: Stop | None = None) -> tuple[FloatArray, FloatArray]:
        losses_D, gradient_DP = np.empty(len(vectors)), np.empty(vectors.theta_DP.shape)
        for draw, theta_P, circuit in self._each(vectors, stop):
            found = self.observed(circuit).gradient(theta_P, self.study.features_RF, self.targets_R, stop)
            losses_D[draw], gradient_DP[draw] = found.loss, found.gradient_P
        return losses_D, gradient_DP

    def entanglement(self, vectors: Vectors, stop: Stop | None = None) -> FloatArray:
        found_D = np.empty(len(vectors))
        for draw, theta_P, circuit in self._each(vectors, stop):
            evaluator = self.one_qubit(circuit)
            found_D[draw] = self._mean(meyer_wallach(evaluator.expectations(theta_P, self.study.features_RF)))
        return found_D

    def states(self, vectors: Vectors, stop: Stop | None = None) -> ComplexArray:
        found = [
            self.plain(circuit).states(theta_P, self.study.features_RF)
            for _, theta_P, circuit in self._each(vectors, stop)
        ]
        return np.concatenate(found)

    def observed(self, circuit: Circuit | None) -> Evaluator:
        """For losses and gradients."""
        return self._of("observed", circuit, self._evaluator)

    def one_qubit(self, circuit: Circuit | None) -> Evaluator:
        """For the expectations of all one-qubit Pauli strings."""

        def build(model: Model) -> Evaluator:
            strings = one_qubit_paulis(model.circuit.n_qubits)
            each = tuple({column: 1.0} for column in range(len(strings)))
            observables = Observables(strings, each, tuple(string.text for string in strings))
            return self._evaluator(replace(model, observables=observables))

        return self._of("one_qubit", circuit, build)

    def plain(self, circuit: Circuit | None) -> StateMap:
        """For states."""
        study = self.study
        return self._of("plain", circuit, lambda model: StateMap(model, study.engine, study.precision, study.options))

    def _of(self, name: str, circuit: Circuit | None, build: Callable[[Model], T]) -> T:
        kept, model = self._own, self.study.model
        if circuit is not None:
            if circuit is not self._other_circuit:
                self._other_circuit, self._other = circuit, {}
            kept, model = self._other, replace(model, circuit=circuit)
        if name not in kept:
            kept[name] = build(model)
        found: T = kept[name]
        return found

    def _evaluator(self, model: Model) -> Evaluator:
        study, strings = self.study, model.observables.strings
        program = study.engine.compile(model.measured_circuit, strings, study.precision, study.gradient, study.options)
        return Evaluator(model, program, chunk_size(program.forecast, len(strings), study.n_rows))

    def _each(self, vectors: Vectors, stop: Stop | None) -> Iterator[tuple[int, FloatArray, Circuit | None]]:
        for draw, theta_P in enumerate(vectors.theta_DP):
            if stop is not None and stop():
                raise StepAbandoned
            yield draw, theta_P, None if vectors.circuits is None else vectors.circuits[draw]

    def _mean(self, values_R: FloatArray) -> float:
        return float(mean_over_rows(values_R[:, None], self.study.n_rows)[0, 0])
