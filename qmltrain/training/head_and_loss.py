"""Which head goes with which loss, observables and task."""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.observables import Observables
from qmltrain.errors import InputError
from qmltrain.gf2 import walsh_hadamard
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES, build_loss

EXACT_RANGE_QUBITS = 16  # observable_range: eigenvalues of diagonal sums on up to so many qubits, else a bound
ROUNDING = 1e-9  # of sums of coefficients


def check_head(
    head: str,
    loss: str,
    n_observables: int,
    n_classes: int | None,
    expectation_range: tuple[float, float] | None = None,
) -> int:
    """The number of outputs that `head` must give for `loss` on this task; InputError where they do not go together.

    `n_classes` None means regression. `expectation_range` (lowest, highest possible expectation, `observable_range`)
    is looked at where one output decides between two classes by its sign: a head that only scales cannot give
    both signs if its observable cannot.
    """
    for key, name, registry in (("head.name", head, HEADS), ("loss.name", loss, LOSSES)):
        if name not in registry:
            raise InputError(f"{key}: {name!r} is not known; choose one of {', '.join(registry)}")
    needed = build_loss(loss, {}, n_classes, n_observables)
    if needed.why_raw and head != "raw":
        raise InputError(
            f"head.name: found {head}; {loss} takes expectations as they are, since {needed.why_raw}; choose "
            "head.name=raw"
        )
    if not getattr(HEADS[head], "follows_observables", False):
        return needed.n_outputs
    if needed.why_raw and n_observables != needed.n_outputs:
        raise InputError(
            f"observable.name: {n_observables} observables, but {loss} takes one alone; choose a sum (pauli, ising, "
            "...), or one qubit with observable.qubits"
        )
    if n_observables != needed.n_outputs:
        observables = "one observable" if needed.n_outputs == 1 else f"{needed.n_outputs} observables"
        raise InputError(
            f"head.name: {head} gives an output for each of the {n_observables} observables, but {loss} takes "
            f"{needed.n_outputs}; choose head.name=linear, or {observables}"
        )
    if expectation_range is not None:
        low, high = expectation_range
        if needed.fidelities and max(-low, high) > 1.0 + ROUNDING:
            raise InputError(
                f"observable.name: {loss} reads fidelities in expectations between -1 and 1, and those of this "
                f"observable lie in [{low:g}, {high:g}]; choose one such as Z"
            )
        if needed.signed and getattr(HEADS[head], "keeps_sign", False) and not low < 0.0 < high:
            other_head = "" if needed.why_raw else "head.name=linear, or "
            raise InputError(
                f"head.name: {head} keeps the sign of the observable, whose values lie in [{low:g}, {high:g}], so "
                f"{loss} would predict one class for every sample; choose {other_head}an observable of both signs such "
                "as Z"
            )
    return needed.n_outputs


def observable_range(observables: Observables) -> tuple[float, float]:
    """(lowest, highest) expectation that any of the observables can take.

    Exact for diagonal observables on up to `EXACT_RANGE_QUBITS` qubits (their greatest and least eigenvalue, by a
    Walsh-Hadamard transform of the coefficients); else the bound constant +- sum of the absolute coefficients, which
    contains it.
    """
    lows, highs = zip(*(_range_of_sum(observables, index) for index in range(observables.n_observables)), strict=True)
    return min(lows), max(highs)


def _range_of_sum(observables: Observables, index: int) -> tuple[float, float]:
    terms = [(observables.strings[column], value) for column, value in observables.coefficients[index].items()]
    constant = observables.constants[index]
    support = 0
    for string, _ in terms:
        support |= string.z_mask
    qubits = [q for q in range(support.bit_length()) if support >> q & 1]
    if any(string.x_mask for string, _ in terms) or len(qubits) > EXACT_RANGE_QUBITS:
        radius = sum(abs(value) for _, value in terms)
        return constant - radius, constant + radius
    values = np.zeros(1 << len(qubits))
    values[0] = constant
    for string, value in terms:
        values[sum((string.z_mask >> q & 1) << bit for bit, q in enumerate(qubits))] += value
    values = walsh_hadamard(values)
    return float(values.min()), float(values.max())
