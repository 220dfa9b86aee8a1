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


def loss_and_gradient(model: Model, circuit: Circuit, theta_P, features_RI, targets_R) -> tuple[float, NDArray]:
    """Mean over the rows of the loss of `circuit` in place of the model's; gradient by all parameters."""
    parts = model.split(theta_P)
    measured = model.observables.measured(circuit)
    losses, gradient_P = [], np.zeros(len(theta_P))
    of = model.split(gradient_P)  # views
    for x_I, target in zip(features_RI, targets_R, strict=True):
        x_F, initial_N = encoded(model, parts.input, x_I)
        values_K, slopes_KP = dense.expectations(measured, model.observables, parts.circuit, x_F, initial_N)

        def loss(head_P, values_K, loss_P=parts.loss, target=target):  # noqa: ANN001, ANN202
            outputs_1C = model.head.forward(head_P, values_K[None])
            return float(model.loss.at(loss_P).value(outputs_1C, np.array([target]))[0])

        losses.append(loss(parts.head, values_K))
        of.circuit[:] += derivatives(lambda v: loss(parts.head, v), values_K) @ slopes_KP
        of.head[:] += derivatives(lambda h, v=values_K: loss(h, v), parts.head)
        of.loss[:] += derivatives(lambda a, v=values_K: loss(parts.head, v, a), parts.loss)
        if model.input is not None:

            def of_features(x_F):  # noqa: ANN001, ANN202
                return loss(parts.head, expectations(model, measured, parts.circuit, x_F, start(model, x_F)))

            slopes_F = derivatives(of_features, x_F)
            of.input[:] += derivatives(lambda i, x=x_I, s=slopes_F: model.input.forward(i, x[None])[0] @ s, parts.input)
    return float(np.mean(losses)), gradient_P / len(losses)


def encoded(model: Model, input_P, x_I) -> tuple[NDArray, NDArray | None]:
    """What the circuit encodes of a sample: features, and of amplitudes the initial state."""
    x_F = x_I if model.input is None else model.input.forward(input_P, x_I[None])[0]
    return x_F, start(model, x_F)


def start(model: Model, x_F) -> NDArray | None:
    initial = model.initial_state(x_F[None])
    return None if initial is None else initial[0]


def expectations(model: Model, measured: Circuit, circuit_P, x_F, initial_N) -> NDArray:
    """(K,), without a derivative."""
    state_N = dense.run(measured, circuit_P, x_F, initial_N, tangents=False)[0]
    values = []
    for row, constant in zip(model.observables.coefficients, model.observables.constants, strict=True):
        strings = [(c, dense.string_times(model.observables.strings[m], state_N[None])[0]) for m, c in row.items()]
        values.append(constant + sum(c * np.vdot(state_N, turned).real for c, turned in strings))
    return np.array(values)


def loss(model: Model, circuit: Circuit, theta_P, features_RI, targets_R) -> float:
    """Mean over the rows, without a derivative."""
    parts, measured, losses = model.split(theta_P), model.observables.measured(circuit), []
    for x_I, target in zip(features_RI, targets_R, strict=True):
        values_K = expectations(model, measured, parts.circuit, *encoded(model, parts.input, x_I))
        losses.append(
            model.loss_at(theta_P).value(model.head.forward(parts.head, values_K[None]), np.array([target]))[0]
        )
    return float(np.mean(losses))


def states(model: Model, circuit: Circuit, theta_P, features_RI) -> list[NDArray]:
    parts, found = model.split(theta_P), []
    for x_I in features_RI:
        x_F, initial_N = encoded(model, parts.input, x_I)
        found.append(dense.run(circuit, parts.circuit, x_F, initial_N, tangents=False)[0])
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
