"""What a study is: a model, the rows that its loss is the mean over, and the quantities that each draw has.

A draw is a parameter vector and, of a random ansatz, a circuit. Shape letters: D draws, R rows, P parameters,
F features, G chosen parameters, L layers, K directions of a plane.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import (
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    Engine,
    EngineOptions,
    FloatArray,
    GradientOptions,
    Precision,
)
from qmltrain.errors import InputError
from qmltrain.training.model import Model

LOSS, GRADIENT, GRADIENT_NORMS = "loss", "gradient", "gradient_norms"
ENTANGLEMENT, FIDELITY = "entanglement", "fidelity"
QUANTITIES = (LOSS, GRADIENT, GRADIENT_NORMS, ENTANGLEMENT, FIDELITY)
VALUE = "value"  # the column of a plane
RANDOM, ALONG_GRADIENT = "random", "gradient"  # directions of a plane that each draw has for itself


@dataclass(frozen=True)
class Column:
    """A quantity as it is stored, float64 (D, *shape). `labels` along its one axis: parameter names; layers, and
    "all" at the end."""

    name: str
    shape: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plane:
    """Losses at theta + a u (one direction: a line) or theta + a u + b v.

    A direction is "random" (normal, of `Draws.directions_DKP`), "gradient" (that of the loss at the draw), or a vector
    (P,). All are made unit vectors, v orthogonal to u. a and b go in equal steps from -span to span (radians, along a
    unit vector), `resolution` values of each; values have a along their first axis. `frozen_P`: parameters (bool) that
    neither "random" nor "gradient" moves; None: none.
    """

    directions: tuple[str | FloatArray, ...]
    span: float
    resolution: int
    frozen_P: NDArray[np.bool_] | None = None

    @property
    def offsets(self) -> FloatArray:
        """(resolution,) values of a, and of b."""
        return np.linspace(-self.span, self.span, self.resolution)


@dataclass(frozen=True)
class Study:
    """`chosen`: parameters whose gradient is kept, as indices into theta. `features_RF`, `targets_R`: the rows that a
    loss is the mean over; without data one row (1, 0) and (1,). `circuit_of`: of a random ansatz, the circuit of a
    draw's own seed (as `model.circuit`, without what observables measure); None: one circuit for all draws. `axes_of`,
    where it is known that these circuits differ in axes of rotations alone: `axes_on` of `circuit_of`, but fast.
    """

    model: Model
    engine: Engine
    quantities: tuple[str, ...]
    chosen: tuple[int, ...]
    features_RF: FloatArray
    targets_R: NDArray[np.generic]
    circuit_of: Callable[[int], Circuit] | None = None
    axes_of: Callable[[int], NDArray[np.int64]] | None = None
    plane: Plane | None = None
    precision: Precision = "complex64"
    gradient: GradientOptions = DEFAULT_GRADIENT
    options: EngineOptions = DEFAULT_OPTIONS

    @property
    def n_rows(self) -> int:
        return len(self.features_RF)


@dataclass(frozen=True)
class Draws:
    """What draws are made of; what a study does not need is None.

    theta_DP: circuit parameters, then the head's. `partners_DP` and `partner_seeds_D` are second draws, for fidelities.
    `directions_DKP`: normal numbers, of the directions "random".
    """

    theta_DP: FloatArray
    seeds_D: NDArray[np.int64] | None = None
    partners_DP: FloatArray | None = None
    partner_seeds_D: NDArray[np.int64] | None = None
    directions_DKP: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.theta_DP)

    def rows(self, rows: slice) -> Draws:
        return Draws(
            self.theta_DP[rows],
            None if self.seeds_D is None else self.seeds_D[rows],
            None if self.partners_DP is None else self.partners_DP[rows],
            None if self.partner_seeds_D is None else self.partner_seeds_D[rows],
            None if self.directions_DKP is None else self.directions_DKP[rows],
        )


def columns_of(study: Study) -> tuple[Column, ...]:
    """The columns of a study, in the order of its quantities; of a plane its values alone.

    Raises InputError for what has no meaning for its model and rows.
    """
    if study.plane is not None:
        _check_plane(study.plane)
        return (Column(VALUE, (study.plane.resolution,) * len(study.plane.directions)),)
    for name in study.quantities:
        _check_quantity(name, study)
    layers = (*study.model.layers()[0], "all")
    labels = parameter_labels(study.model, study.circuit_of is not None)
    known = {
        LOSS: Column(LOSS),
        GRADIENT: Column(GRADIENT, (len(study.chosen),), tuple(labels[k] for k in study.chosen)),
        GRADIENT_NORMS: Column(GRADIENT_NORMS, (len(layers),), layers),
        ENTANGLEMENT: Column(ENTANGLEMENT),
        FIDELITY: Column(FIDELITY),
    }
    return tuple(known[name] for name in study.quantities)


def parameter_labels(model: Model, drawn: bool) -> tuple[str, ...]:
    """Names of the parameters. Those of a random ansatz (`drawn`) turn about another axis, or stand elsewhere, in each
    draw: "ansatz.<layer>.<place in the layer>"."""
    names = model.parameter_names
    if not drawn:
        return names
    labels, count = [], dict.fromkeys(("",), 0)
    for name in names:
        ansatz, _, rest = name.partition(".")
        layer = f"{ansatz}.{rest.partition('.')[0]}"
        labels.append(f"{layer}.{count.setdefault(layer, 0)}" if ansatz == "ansatz" else name)
        count[layer] = count.get(layer, 0) + 1
    return tuple(labels)


def _check_quantity(name: str, study: Study) -> None:
    if name not in QUANTITIES:
        raise InputError(f"scan.quantities: {name!r} is not known; choose of {', '.join(QUANTITIES)}")
    if name in (GRADIENT, GRADIENT_NORMS) and not study.model.n_parameters:
        raise InputError(f"scan.quantities: {name}, but this model has no parameters; leave it out")
    if name == GRADIENT and not study.chosen:
        raise InputError(
            "scan.gradients: no parameter is chosen; choose some, or leave gradient out of scan.quantities"
        )
    if name == ENTANGLEMENT and study.model.circuit.n_qubits < 2:
        raise InputError("scan.quantities: entanglement is between qubits, circuit.n_qubits=1 has one; leave it out")
    if name == FIDELITY and study.n_rows > 1:
        raise InputError(
            f"scan.quantities: fidelity compares the states of one sample, {study.n_rows} rows are taken; choose "
            "scan.rows=1 or dataset=none"
        )


def _check_plane(plane: Plane) -> None:
    if not 1 <= len(plane.directions) <= 2:
        raise InputError(f"scan.plane: {len(plane.directions)} directions; a line has one, a plane two")
    if plane.resolution < 2:
        raise InputError(f"scan.resolution: {plane.resolution} is not possible; choose 2 or more")
    if not 0.0 < plane.span < np.inf:
        raise InputError(f"scan.span: {plane.span} is not possible; choose a number of radians above 0")
