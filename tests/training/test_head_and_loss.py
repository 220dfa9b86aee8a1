"""Which head goes with which loss, observables and task; the range of an observable."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.errors import InputError
from qmltrain.training.head_and_loss import check_head, observable_range
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES, build_loss
from tests.training.head_cases import build


@pytest.mark.parametrize("head", sorted(HEADS))
@pytest.mark.parametrize("loss", sorted(LOSSES))
@pytest.mark.parametrize("n_classes", [None, 2, 3, 10])
@pytest.mark.parametrize("n_observables", [1, 2, 3, 8])
def test_what_is_allowed_can_be_built(head: str, loss: str, n_classes: int | None, n_observables: int) -> None:
    try:
        n_outputs = check_head(head, loss, n_observables, n_classes)
    except InputError as error:
        assert "\n" not in str(error) and "choose" in str(error)
        return
    assert build(head, n_observables, n_outputs).n_outputs == build_loss(loss, {}, n_classes, n_observables).n_outputs


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("raw", "cross_entropy", 8, 10),
            "8 observables, but cross_entropy takes 10; choose head.name=linear, or 10 obs",
        ),
        (("scaled", "cross_entropy", 8, 2), "each of the 8 observables, but cross_entropy takes 2"),
        (("raw", "binary_cross_entropy", 8, 2), "takes 1; choose head.name=linear, or one observable"),
        (("scaled", "mean_squared_error", 4, None), "takes 1; choose head.name=linear, or one observable"),
        (("linear", "cross_entropy", 8, None), "choose mean_squared_error"),
        (("linear", "binary_cross_entropy", 8, 10), "the data has 10"),
        (("linear", "mean_squared_error", 8, 3), "the data has 3"),
        (("raw", "binary_cross_entropy", 1, 2, (0.0, 1.0)), r"lie in \[0, 1\].*one class for every sample"),
        (("scaled", "mean_squared_error", 1, 2, (-1.0, 0.0)), "one class for every sample"),
        (("dense", "cross_entropy", 1, 2), "head.name: 'dense' is not known; choose one of raw, scaled, linear"),
        (("raw", "absolute", 1, 2), "loss.name: 'absolute' is not known"),
        (("linear", "expectation", 1, None), "^head.name: found linear; expectation takes .* choose head.name=raw"),
        (("scaled", "fidelity", 1, None), "^head.name: found scaled; fidelity takes"),
        (("raw", "expectation", 8, None), "^observable.name: 8 observables, but expectation takes one alone"),
        (
            ("linear", "unhinged", 1, 2),
            "^head.name: found linear; unhinged takes .* no least value .* head.name=raw",
        ),
        (("bias", "unhinged", 1, 2), "^head.name: found bias; unhinged"),
        (("raw", "unhinged", 3, 2), "^observable.name: 3 observables, but unhinged takes one alone"),
        (("raw", "unhinged", 1, 3), "unhinged takes 2 classes, the data has 3"),
        (("raw", "unhinged", 1, None), "unhinged needs classes"),
        (("raw", "unhinged", 1, 2, (0.0, 1.0)), "one class for every sample; choose an observable of both"),
        (("mlp", "weighted_fidelity", 3, 2), "^head.name: found mlp; weighted_fidelity takes .* fidelities"),
        (("raw", "weighted_fidelity", 3, 3), "weighted_fidelity takes 2 classes, the data has 3"),
        (("raw", "weighted_fidelity", 3, None), "weighted_fidelity needs classes"),
        (("raw", "weighted_fidelity", 1, 2, (-3.0, 3.0)), r"^observable.name: .* between -1 and 1, .* in \[-3, 3\]"),
        (
            ("raw", "weighted_fidelity", 1, 2, (0.0, 1.0)),
            "one class for every sample; choose an observable of both",
        ),
        (("bias", "cross_entropy", 8, 10), "bias gives an output for each of the 8 observables"),
        (("linear", "huber", 8, 3), "is for real targets, the data has 3 classes"),
        (("linear", "hinge", 8, 3), "hinge takes 2 classes, the data has 3"),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_head(*arguments)


def test_what_goes_together() -> None:
    assert check_head("linear", "cross_entropy", 8, 10, (0.0, 1.0)) == 10
    assert check_head("raw", "cross_entropy", 10, 10, (0.0, 1.0)) == 10
    assert check_head("raw", "binary_cross_entropy", 1, 2, (-1.0, 1.0)) == 1
    assert check_head("linear", "binary_cross_entropy", 1, 2, (0.0, 1.0)) == 1
    assert check_head("scaled", "mean_squared_error", 1, None, (0.0, 1.0)) == 1
    assert check_head("raw", "hinge", 1, 2, (-1.0, 1.0)) == check_head("raw", "unhinged", 1, 2, (-3.0, 3.0)) == 1
    assert check_head("raw", "weighted_fidelity", 3, 2, (-1.0, 1.0)) == 3
    assert check_head("bias", "hinge", 1, 2, (0.0, 1.0)) == check_head("mlp", "hinge", 5, 2, (0.0, 1.0)) == 1
    assert check_head("raw", "expectation", 1, None, (0.0, 1.0)) == check_head("raw", "fidelity", 1, 10) == 1


def test_observable_range() -> None:
    z0, z3 = pauli_string({0: "Z"}), pauli_string({3: "Z"})
    identity, both = pauli_string({}), pauli_string({0: "Z", 3: "Z"})
    x1 = pauli_string({1: "X"})
    assert observable_range(from_sums([("Z0", [(1.0, z0)])])) == (-1.0, 1.0)
    projector = [(0.25, identity), (0.25, z0), (0.25, z3), (0.25, both)]
    assert observable_range(from_sums([("P", projector)])) == (0.0, 1.0)
    assert observable_range(from_sums([("I", [(0.5, identity)])])) == (0.5, 0.5)
    assert observable_range(from_sums([("P", projector), ("2Z", [(2.0, z0)])])) == (-2.0, 2.0)
    assert observable_range(from_sums([("H", [(0.5, identity), (1.0, z0), (2.0, x1)])])) == (-2.5, 3.5)
    wide = from_sums([("sum", [(1.0, pauli_string({q: "Z"})) for q in range(20)])])
    assert observable_range(wide) == (-20.0, 20.0)


def test_observable_range_contains_every_eigenvalue() -> None:
    generator = np.random.default_rng(3)
    strings = [pauli_string({q: "Z" for q in range(4) if mask >> q & 1}) for mask in range(16)]
    coefficients = generator.normal(size=16)
    signs = np.array([[(-1) ** (z & mask).bit_count() for mask in range(16)] for z in range(16)])
    eigenvalues = signs @ coefficients
    low, high = observable_range(from_sums([("H", list(zip(coefficients, strings, strict=True)))]))
    np.testing.assert_allclose([low, high], [eigenvalues.min(), eigenvalues.max()], rtol=1e-13)
