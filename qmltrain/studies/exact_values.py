"""What is known of a point without a simulator, and which formula applies: read off circuit, start and observable.

Two kinds of numbers, never mixed: *exact* ones hold for this circuit and start as they are, *Haar* ones would hold
if the circuit, or its part before or after a parameter's gate, were a 2-design (frame potentials of order t: a
t-design); whether it is deep enough for that, nothing here decides.

| quantity | exact | Haar |
|---|---|---|
| loss | one-qubit gates alone: mean and variance | Tr(O)/N and the variance of a 2-design |
| gradient | one-qubit gates alone; 0 where O' commutes with P; mean 0 of one drawn over whole periods | below |
| entanglement | 0 where no gate joins qubits | (N - 2) / (N + 1) |
| fidelity | one-qubit gates alone: frame potentials; expressibility where all draws have one state | frame potentials |

Haar variances of a gradient: where the state before a gate is a product, it is taken as it is and only what follows is
a 2-design (McClean's first parameter); where at most fixed gates follow, the observable is taken as it is and only what
precedes is one; elsewhere both are. Where each draw has a structure of its own, which of these holds differs by draw:
no value is said.

Of circuits whose states stay real at any parameters, Haar-random means random real states (`real`).

Losses are linear in expectations here: `loss=expectation` or `fidelity` with `head=raw`, without data.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.studies import haar, two_designs
from qmltrain.studies.bloch import uses
from qmltrain.studies.generators import generators
from qmltrain.studies.lie_algebra import Dimension, dimension
from qmltrain.studies.product_circuits import MeanAndVariance, ProductCircuit, Terms
from qmltrain.studies.real_circuits import is_real
from qmltrain.studies.starts import Start
from qmltrain.studies.surroundings import expectations_before, rotations, weights_after
from qmltrain.training.heads import Raw
from qmltrain.training.initialization import parameter_kinds
from qmltrain.training.losses import Expectation, Fidelity
from qmltrain.training.model import Model

Drawn = Literal["nothing", "axes", "circuit"]  # what of a random ansatz each draw has for itself
_PERIODS = {"crx": 2.0, "cry": 2.0, "crz": 2.0, "cu": 2.0}  # of expectations, in units of 2 pi of the angle


@dataclass(frozen=True)
class Known:
    """Mean and variance over the draws, exact and Haar; None: not known."""

    mean: float | None = None
    variance: float | None = None
    haar_mean: float | None = None
    haar_variance: float | None = None


@dataclass(frozen=True)
class LinearLoss:
    """``constant + sum_m c_m P_m`` behind `circuit`, with the gates that the observable needs."""

    circuit: Circuit
    terms: Terms
    constant: float

    @classmethod
    def of(cls, model: Model) -> LinearLoss | None:
        """None for other heads and losses, and where features come in."""
        circuit = model.measured_circuit
        linear = type(model.head) is Raw and type(model.loss) in (Expectation, Fidelity)
        if not linear or circuit.n_features or circuit.amplitude_encoded or model.observables.n_observables != 1:
            return None
        [row], [constant] = model.observables.coefficients, model.observables.constants
        sign = -1.0 if type(model.loss) is Fidelity else 1.0
        terms = [(sign * c, model.observables.strings[m]) for m, c in row.items()]
        return cls(circuit, terms, sign * constant + (1.0 if sign < 0 else 0.0))


class ExactValues:
    """Of one point. `start`, of angles; None: they are not drawn independently of one another (identity blocks, a run).
    `features`, of weights and biases of features; None: they are constant, 1 and 0. `drawn`: what of a random ansatz
    each draw has for itself: the axes of its rotations, or all of its structure."""

    def __init__(
        self, model: Model, start: Start | None, drawn: Drawn = "nothing", features: Start | None = None
    ) -> None:
        self.start, self.drawn, self.features = start, drawn, features
        self._circuit, self._loss = model.circuit, LinearLoss.of(model)
        self._kinds = parameter_kinds(self._circuit)
        self._uses = uses(self._circuit)
        # with weights of an input layer the features that the circuit encodes differ from draw to draw
        self._features_drawn = model.input is not None and self._circuit.n_features > 0
        self._scales = {k: scale for gate in self._circuit.gates for k, scale, _ in rotations(gate) or []}
        self.real = drawn == "nothing" and is_real(self._circuit if self._loss is None else self._loss.circuit)
        self._weight = 0.0 if self._loss is None else two_designs.weight(self._loss.terms, self.real)
        self._periods = _periods(self._circuit)
        self._gradients: dict[int, Known] = {}
        self._product: ProductCircuit | None = None
        self._product_loss: ProductCircuit | None = None  # of the circuit with the observable's gates
        self._before, self._after = dict[int, float](), dict[int, float]()
        if drawn == "circuit":
            return
        if start is not None:
            self._product = ProductCircuit.of(self._circuit, start, drawn == "axes")
        if self._loss is not None:
            if start is not None:
                self._product_loss = ProductCircuit.of(self._loss.circuit, start, drawn == "axes")
                self._before = expectations_before(self._loss.circuit, start, drawn == "axes")
            self._after = weights_after(self._loss.circuit, self._loss.terms, drawn == "axes")

    @property
    def n_qubits(self) -> int:
        return self._circuit.n_qubits

    def loss(self) -> Known:
        if self._loss is None:
            return Known()
        terms, constant = self._loss.terms, self._loss.constant
        exact: MeanAndVariance | None = None
        if self._product_loss is not None:
            exact = self._product_loss.expectation(terms, constant)
        variance = two_designs.loss_variance(self.n_qubits, self._weight, self.real)
        if exact is None:
            return Known(haar_mean=constant, haar_variance=variance)
        return Known(exact.mean, exact.variance, constant, variance)

    def gradient(self, parameter: int) -> Known:
        """Of the derivative with respect to one parameter of the circuit; of the head's nothing is known."""
        if parameter not in self._gradients:
            self._gradients[parameter] = self._gradient(parameter)
        return self._gradients[parameter]

    def _gradient(self, parameter: int) -> Known:
        if parameter >= self._circuit.n_parameters:
            return Known()
        mean = 0.0 if self._covers_periods(parameter) else None  # whatever the loss, it has the circuit's periods
        if self._loss is None:
            return Known(mean)
        haar_variance = self._haar_gradient_variance(parameter, self._weight)
        haar_mean = None if haar_variance is None else 0.0
        exact: MeanAndVariance | None = None
        if self._product_loss is not None:
            exact = self._product_loss.gradient(parameter, self._loss.terms)
        elif self._after.get(parameter) == 0.0:
            exact = MeanAndVariance(0.0, 0.0)
        if exact is not None:
            return Known(exact.mean, exact.variance, haar_mean, haar_variance)
        return Known(mean, None, haar_mean, haar_variance)

    def squared_norm(self, parameters: np.ndarray) -> Known:
        """Mean of the sum of squares of these derivatives, where each is known."""
        known = [self.gradient(int(k)) for k in parameters]
        return Known(
            mean=_sum_of_squares([(one.mean, one.variance) for one in known]),
            haar_mean=_sum_of_squares([(one.haar_mean, one.haar_variance) for one in known]),
        )

    def entanglement(self) -> Known:
        """Of Meyer and Wallach's Q."""
        haar_mean = haar.meyer_wallach(self.n_qubits, self.real)
        product = all(len(gate.qubits) == 1 for gate in self._circuit.gates) and not self._circuit.amplitude_encoded
        if self.n_qubits == 1 or (product and self.drawn != "circuit"):
            return Known(0.0, 0.0, haar_mean=haar_mean)
        return Known(haar_mean=haar_mean)

    def frame_potential(self, order: int) -> Known:
        """Mean of F^order over pairs of draws."""
        haar_mean = haar.frame_potential(self.n_qubits, order, self.real)
        if self._is_idle():
            return Known(1.0, 0.0, haar_mean=haar_mean)
        if self._product is None:
            return Known(haar_mean=haar_mean)
        return Known(self._product.frame_potential(order), haar_mean=haar_mean)

    def expressibility(self, n_bins: int) -> float | None:
        """Exact where all draws have the same state."""
        return haar.idle_expressibility(self.n_qubits, n_bins) if self._is_idle() else None

    def lie_algebra(self) -> Dimension:
        """Dimension of the dynamical Lie algebra of the circuit's generators."""
        if self.drawn != "nothing":
            return Dimension(None, "every draw has a circuit of its own")
        found = generators(self._circuit)
        return Dimension(None, found) if isinstance(found, str) else dimension(found)

    def _is_idle(self) -> bool:
        if (
            self.drawn == "nothing"
            and not self._features_drawn
            and (
                not self._circuit.n_parameters
                or (self.start is not None and self.start.name == "zeros" and self.features is None)
            )
        ):
            return True
        return self._product is not None and abs(self._product.frame_potential(1) - 1.0) < 1e-12

    def _haar_gradient_variance(self, parameter: int, weight: float) -> float | None:
        if self.drawn == "circuit":  # first or last on its qubit in one draw, between others in the next
            return None
        if self._uses[parameter] == 0:
            return 0.0
        scale = self._scales.get(parameter)
        if scale is None or self._uses[parameter] > 1:
            return None
        if parameter in self._before:
            value = two_designs.gradient_variance_after(self.n_qubits, weight, self._before[parameter], self.real)
        elif parameter in self._after:
            value = two_designs.gradient_variance_before(self.n_qubits, self._after[parameter], self.real)
        else:
            value = two_designs.gradient_variance(self.n_qubits, weight, self.real)
        return scale**2 * value

    def _covers_periods(self, parameter: int) -> bool:
        """Whether the derivative's mean is 0: its parameter is drawn uniformly over whole periods of the expectation.

        Periods are alike in all circuits of a random ansatz."""
        start = self.start if self._kinds[parameter] == "angle" else self.features
        return start is not None and all(start.covers(period) for period in self._periods.get(parameter, ()))


@dataclass(frozen=True)
class NothingKnown:
    """Of a point whose circuit is not there, and why: it answers as `ExactValues` does."""

    n_qubits: int
    reason: str

    def loss(self) -> Known:
        return Known()

    def gradient(self, parameter: int) -> Known:
        return Known()

    def squared_norm(self, parameters: np.ndarray) -> Known:
        return Known()

    def entanglement(self) -> Known:
        return Known()

    def frame_potential(self, order: int) -> Known:
        return Known()

    def expressibility(self, n_bins: int) -> None:
        return None

    def lie_algebra(self) -> Dimension:
        return Dimension(None, self.reason)


def _periods(circuit: Circuit) -> dict[int, set[float]]:
    """Of each parameter, those of expectations in each angle that it is in, radians; infinite beside a feature."""
    found: dict[int, set[float]] = {}
    for gate in circuit.gates:
        for angle in gate.angles:
            for parameter in {angle.weight, angle.bias} - {None}:
                scale = angle.scale if angle.weight == parameter else 1.0
                period = 2.0 * math.pi * _PERIODS.get(gate.name, 1.0) / abs(scale) if scale else 0.0
                other = angle.is_per_sample and angle.weight == parameter
                both = angle.weight == angle.bias
                found.setdefault(parameter, set()).add(math.inf if other or both else period)  # type: ignore[arg-type]
    return {parameter: periods - {0.0} for parameter, periods in found.items()}


def _sum_of_squares(moments: list[tuple[float | None, float | None]]) -> float | None:
    total = 0.0
    for mean, variance in moments:
        if mean is None or variance is None:
            return None
        total += mean**2 + variance
    return total
