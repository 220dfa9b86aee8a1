"""An independent judge of draws: dense states, one draw and one row at a time; heads and losses by differences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.studies.study import Study
from qmltrain.training.model import Model
from tests.circuit import dense

_STEP = 1e-4  # short: Huber has a kink in its slope
_STENCIL = {1: 4 / 5, 2: -1 / 5, 3: 4 / 105, 4: -1 / 280}  # central, of order 8


def derivatives(function: Callable[[NDArray], float], at: NDArray) -> NDArray:
    """By each entry of `at`."""
    found = np.zeros(at.size)
    for k, unit in enumerate(np.eye(at.size)):
        for step, weight in _STENCIL.items():
            for sign in (1, -1):
                found[k] += sign * weight / _STEP * function(at + (sign * step * _STEP * unit).reshape(at.shape))
    return found.reshape(at.shape)


def loss_and_gradient(model: Model, circuit: Circuit, theta_P, features_RF, targets_R) -> tuple[float, NDArray]:
    """Mean over the rows of the loss of `circuit` in place of the model's; gradient by all parameters."""
    circuit_P, head_P = model.split(theta_P)
    measured = model.observables.measured(circuit)
    losses, gradient_P = [], np.zeros(len(theta_P))
    for x_F, target in zip(features_RF, targets_R, strict=True):
        initial = model.initial_state(x_F[None])
        values_K, slopes_KP = dense.expectations(
            measured, model.observables, circuit_P, x_F, None if initial is None else initial[0]
        )

        def loss(head_P, values_K, target=target):  # noqa: ANN001, ANN202
            return float(model.loss.value(model.head.forward(head_P, values_K[None]), np.array([target]))[0])

        losses.append(loss(head_P, values_K))
        gradient_P[: len(circuit_P)] += derivatives(lambda v: loss(head_P, v), values_K) @ slopes_KP
        gradient_P[len(circuit_P) :] += derivatives(lambda h, v=values_K: loss(h, v), head_P)
    return float(np.mean(losses)), gradient_P / len(losses)


def loss(model: Model, circuit: Circuit, theta_P, features_RF, targets_R) -> float:
    """Mean over the rows, without a derivative."""
    measured, head_P, losses = model.observables.measured(circuit), model.split(theta_P)[1], []
    for state_N, target in zip(states(model, measured, theta_P, features_RF), targets_R, strict=True):
        values = []
        for row, constant in zip(model.observables.coefficients, model.observables.constants, strict=True):
            strings = [(c, dense.string_times(model.observables.strings[m], state_N[None])[0]) for m, c in row.items()]
            values.append(constant + sum(c * np.vdot(state_N, turned).real for c, turned in strings))
        outputs = model.head.forward(head_P, np.array(values)[None])
        losses.append(model.loss.value(outputs, np.array([target]))[0])
    return float(np.mean(losses))


def states(model: Model, circuit: Circuit, theta_P, features_RF) -> list[NDArray]:
    circuit_P, found = model.split(theta_P)[0], []
    for x_F in features_RF:
        initial = model.initial_state(x_F[None])
        start = None if initial is None else initial[0]
        found.append(dense.run(circuit, circuit_P, x_F, start, tangents=False)[0])
    return found


def meyer_wallach(state_N: NDArray) -> float:
    """2 (1 - mean purity of one qubit), by reduced density matrices."""
    n = len(state_N).bit_length() - 1
    purities = []
    for qubit in range(n):
        rows = np.moveaxis(state_N.reshape((2,) * n), n - 1 - qubit, 0).reshape(2, -1)
        reduced = rows @ rows.conj().T
        purities.append(np.trace(reduced @ reduced).real)
    return 2 * (1 - float(np.mean(purities)))


def norms(model: Model, gradient_P: NDArray) -> list[float]:
    """Squared, of each layer in the order of `Model.layers`, and of all."""
    layers, of_parameter = model.layers()
    each = [
        sum(g * g for g, layer in zip(gradient_P, of_parameter, strict=True) if layer == k) for k in range(len(layers))
    ]
    return [*each, float(gradient_P @ gradient_P)]


def quantities(study: Study, draws, circuits: Sequence[Circuit], partners: Sequence[Circuit]) -> dict[str, list]:
    """All five, draw by draw."""
    model, rows = study.model, (study.features_RF, study.targets_R)
    found: dict[str, list] = {name: [] for name in ("loss", "gradient", "gradient_norms", "entanglement", "fidelity")}
    for draw, circuit in enumerate(circuits):
        loss, gradient_P = loss_and_gradient(model, circuit, draws.theta_DP[draw], *rows)
        own = states(model, circuit, draws.theta_DP[draw], rows[0])
        found["loss"].append(loss)
        found["gradient"].append(gradient_P[list(study.chosen)])
        found["gradient_norms"].append(norms(model, gradient_P))
        found["entanglement"].append(np.mean([meyer_wallach(state) for state in own]))
        if draws.partners_DP is not None:
            partner = states(model, partners[draw], draws.partners_DP[draw], rows[0])
            found["fidelity"].append(abs(np.vdot(own[0], partner[0])) ** 2)
    return found
