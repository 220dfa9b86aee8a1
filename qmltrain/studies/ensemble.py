"""The quantities of a study, draw by draw.

    ensemble = Ensemble(study)                 what has no meaning is refused, memory is forecast
    ensemble.columns                           what `evaluate` gives
    ensemble.evaluate(draws)                   {column: (D, *shape)}

Draws of one circuit go through the engine together (`many_at_once`), draws of different circuits, or of many rows, one
after the other (`one_by_one`). Which of the two it is follows from the study and from the draw's own circuit. The bits
of a draw depend on nothing but the draw: neither on the others, nor on how many are asked for, nor on chunks and
threads. What is held of a portion of draws is bounded, whatever their number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import BLOCK, FloatArray
from qmltrain.studies.many_at_once import ManyAtOnce
from qmltrain.studies.one_by_one import OneByOne
from qmltrain.studies.planes import points_on, unit_directions
from qmltrain.studies.quantities import LayerNorms, fidelities
from qmltrain.studies.rotation_axes import axes_on
from qmltrain.studies.study import (
    ALONG_GRADIENT,
    ENTANGLEMENT,
    FIDELITY,
    GRADIENT,
    GRADIENT_NORMS,
    LOSS,
    RANDOM,
    VALUE,
    Column,
    Draws,
    Plane,
    Study,
    columns_of,
)
from qmltrain.studies.vectors import Stop, VectorEvaluator, Vectors
from qmltrain.training.gradients import LARGEST_CHUNK, StepAbandoned

__all__ = ["Column", "Draws", "Ensemble", "Plane", "Study", "columns_of"]

PORTION_BYTES = 48 << 20  # of the arrays of a portion's samples, beside the engine's states
# From so many rows on, and so many rows times angles, a draw is a batch of its own, whose rows share its angles: twice
# as fast as together at 10 qubits and 40 layers, while with fewer the 0.1 ms that a batch takes at least are longer.
ROWS_ALONE, ANGLES_ALONE = 32, 2_000
OF_A_VECTOR = 400_000  # what a vector costs besides its gates, as work on gates times amplitudes

Seeds = NDArray[np.int64] | None
Arrays = tuple[NDArray[Any], ...]


class Ensemble:
    """Raises InputError for a quantity without a meaning here, MemoryLimitError where not one draw fits.

    `draws_at_once`: draws of one portion; there is no gain in asking for more at a time. `memory_bytes`: a forecast of
    what is in memory while a portion is evaluated.
    """

    def __init__(self, study: Study) -> None:
        self.study = study
        self.columns = columns_of(study)
        study.model.check_features(study.features_RF, np.arange(study.n_rows))
        self._names = {column.name for column in self.columns}
        self._many, self._one = ManyAtOnce(study), OneByOne(study)
        self._norms = LayerNorms(study.model)
        self._n_angles = sum(len(gate.angles) for gate in study.model.circuit.gates)
        few = study.n_rows < ROWS_ALONE or study.n_rows * self._n_angles < ANGLES_ALONE
        self._together = few and ManyAtOnce.takes(study.model)
        self._samples = self._portion_samples()
        self.draws_at_once = max(1, self._samples // study.n_rows) if study.plane is None else 1
        self.memory_bytes = self._forecast()

    def evaluate(self, draws: Draws, stop: Stop | None = None) -> dict[str, FloatArray]:
        """Each column, float64 (D, *shape). `stop` is asked between portions.

        Raises NonFiniteError, StepAbandoned, and InputError where a direction of a plane is none.
        """
        found = {column.name: np.empty((len(draws), *column.shape)) for column in self.columns}
        for rows in _slices(len(draws), self.draws_at_once):
            _ask(stop)
            for name, values in self._portion(draws.rows(rows), rows.start, stop):
                found[name][rows] = values
        return found

    def _portion(self, draws: Draws, first: int, stop: Stop | None) -> Iterator[tuple[str, FloatArray]]:
        groups = self._groups(draws.theta_DP, draws.seeds_D, first)
        if self.study.plane is not None:
            yield VALUE, self._on_plane(self.study.plane, draws, groups, stop)
            return
        if self._names & {GRADIENT, GRADIENT_NORMS}:
            losses_D, gradient_DP = _joined(groups, lambda by, vectors: by.gradients(vectors, stop))
            if GRADIENT in self._names:
                yield GRADIENT, gradient_DP[:, self.study.chosen]
            if GRADIENT_NORMS in self._names:
                yield GRADIENT_NORMS, self._norms(gradient_DP)
        elif LOSS in self._names:
            (losses_D,) = _joined(groups, lambda by, vectors: (by.losses(vectors, stop),))
        if LOSS in self._names:
            yield LOSS, losses_D
        if ENTANGLEMENT in self._names:
            (found_D,) = _joined(groups, lambda by, vectors: (by.entanglement(vectors, stop),))
            yield ENTANGLEMENT, found_D
        if FIDELITY in self._names:
            assert draws.partners_DP is not None, "fidelities are of draws and their partners"
            partners = self._groups(draws.partners_DP, draws.partner_seeds_D, first)
            (states_DN,) = _joined(groups, lambda by, vectors: (by.states(vectors, stop),))
            (partners_DN,) = _joined(partners, lambda by, vectors: (by.states(vectors, stop),))
            yield FIDELITY, fidelities(states_DN, partners_DN)

    def _groups(self, theta_DP: FloatArray, seeds_D: Seeds, first: int) -> list[_Group]:
        """Draws that are evaluated in the same way: together, or one by one."""
        circuit_of, by = self.study.circuit_of, self._many if self._together else self._one
        if circuit_of is None:
            return [_Group(np.arange(len(theta_DP)), by, Vectors(theta_DP, first=first))]
        assert seeds_D is not None, "circuits of a random ansatz are drawn from seeds"
        axes_of = self.study.axes_of
        if self._together and axes_of is not None:
            axes_DA = np.stack([axes_of(int(seed)) for seed in seeds_D])
            return [_Group(np.arange(len(theta_DP)), by, Vectors(theta_DP, axes_DA, first=first))]
        circuits = [circuit_of(int(seed)) for seed in seeds_D]
        axes = [axes_on(self.study.model.circuit, circuit) if self._together else None for circuit in circuits]
        alike = np.array([k for k, found in enumerate(axes) if found is not None], dtype=np.int64)
        others = np.setdiff1d(np.arange(len(axes)), alike)
        groups = []
        if len(alike):
            axes_DA = np.stack([found for found in axes if found is not None])
            groups.append(_Group(alike, self._many, Vectors(theta_DP[alike], axes_DA, first=first)))
        if len(others):
            own = [circuits[k] for k in others]
            groups.append(_Group(others, self._one, Vectors(theta_DP[others], circuits=own, first=first)))
        return groups

    def _on_plane(self, plane: Plane, draws: Draws, groups: list[_Group], stop: Stop | None) -> FloatArray:
        """(D, resolution) or (D, resolution, resolution)."""
        shape = (plane.resolution,) * len(plane.directions)
        values_DV = np.empty((len(draws), plane.resolution ** len(shape)))
        for group in groups:
            for place, draw in enumerate(group.draws):
                at_1P = draws.theta_DP[draw : draw + 1]
                directions_KP = self._directions(plane, draws, draw, group.by, group.vectors.around(place, at_1P))
                for points in _slices(values_DV.shape[1], max(1, self._samples // self.study.n_rows)):
                    _ask(stop)
                    theta_BP = points_on(plane, at_1P[0], directions_KP, points)
                    values_DV[draw, points] = group.by.losses(group.vectors.around(place, theta_BP), stop)
        return values_DV.reshape(-1, *shape)

    def _directions(self, plane: Plane, draws: Draws, draw: int, by: VectorEvaluator, at: Vectors) -> FloatArray:
        given: list[FloatArray] = []
        for number, direction in enumerate(plane.directions):
            if not isinstance(direction, str):
                given.append(direction)
                continue
            if direction == ALONG_GRADIENT:
                found_P = by.gradients(at)[1][0]
            else:
                assert direction == RANDOM and draws.directions_DKP is not None
                found_P = draws.directions_DKP[draw, number]
            given.append(found_P if plane.frozen_P is None else np.where(plane.frozen_P, 0.0, found_P))
        return unit_directions(given)

    @property
    def work(self) -> float:
        """Rough cost of one draw: gates x amplitudes by how often they are gone through, of each row and each point of
        a plane."""
        study, circuit = self.study, self.study.model.circuit
        passes = 1.0 * bool(self._names - {FIDELITY}) + 2.0 * bool(self._names & {GRADIENT, GRADIENT_NORMS})
        passes += 1.0 * (ENTANGLEMENT in self._names) + 2.0 * (FIDELITY in self._names)
        points = study.plane.resolution ** len(study.plane.directions) if study.plane is not None else 1
        return points * study.n_rows * (OF_A_VECTOR + passes * len(circuit.gates) * 2.0**circuit.n_qubits)

    def _forecast(self) -> int:
        """Compiles what is needed."""
        study = self.study
        if not self._together:
            program = self._one.plain(None).program if self._names == {FIDELITY} else self._one.observed(None).program
            return program.forecast.bytes(min(study.n_rows, LARGEST_CHUNK)) + self._samples * self._sample_bytes()
        free = study.circuit_of is not None
        used = []
        if self._names - {ENTANGLEMENT, FIDELITY}:
            used.append(self._many.observed)
        if ENTANGLEMENT in self._names:
            used.append(self._many.one_qubit)
        if FIDELITY in self._names:
            used.append(self._many.plain)
        engine = max(each.memory_bytes(self._samples, free=free) for each in used)
        return engine + self._samples * self._sample_bytes()

    def _portion_samples(self) -> int:
        """Samples of a portion: whole blocks. Fixed by the study alone."""
        if self.study.engine.name == "interpreter":
            return BLOCK  # NumPy's sums over large arrays depend on their size
        fitting = PORTION_BYTES // self._sample_bytes() // BLOCK * BLOCK
        return int(min(max(fitting, BLOCK), LARGEST_CHUNK))

    def _sample_bytes(self) -> int:
        """Of the arrays of a sample: angles and slots with their gradients, parameters, expectations, states that are
        compared, initial states."""
        study, circuit = self.study, self.study.model.circuit
        turned = 3 if study.circuit_of is not None else 1  # slots of a rotation whose axis is data
        numbers = 6 * turned * self._n_angles + 4 * study.model.n_parameters + 4 * len(study.model.observables.strings)
        if circuit.amplitude_encoded:
            numbers += 2 << circuit.n_qubits
        if FIDELITY in self._names:
            numbers += 4 << circuit.n_qubits
        return 8 * max(1, numbers)


@dataclass(frozen=True)
class _Group:
    draws: NDArray[np.int64]  # places of its vectors among the draws of the portion
    by: VectorEvaluator
    vectors: Vectors


def _joined(groups: list[_Group], quantities: Callable[[VectorEvaluator, Vectors], Arrays]) -> Arrays:
    """The quantities of all groups, in the order of the draws."""
    found = [quantities(group.by, group.vectors) for group in groups]
    if len(groups) == 1:
        return found[0]
    order = np.argsort(np.concatenate([group.draws for group in groups]))
    return tuple(np.concatenate(parts)[order] for parts in zip(*found, strict=True))


def _slices(count: int, step: int) -> Iterator[slice]:
    return (slice(first, min(first + step, count)) for first in range(0, count, step))


def _ask(stop: Stop | None) -> None:
    if stop is not None and stop():
        raise StepAbandoned
