"""Every registered head: derivatives, blocks, chunks; and which head goes with which loss and task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import from_sums, pauli_string
from qmltrain.engines.protocol import BLOCK
from qmltrain.errors import InputError
from qmltrain.training import heads
from qmltrain.training.heads import HEADS, Head, check_head, observable_range
from qmltrain.training.losses import LOSSES
from qmltrain.training.reduction import TreeSum


def registered_cases() -> list[Head]:
    cases = []
    for build in HEADS.values():
        for n_observables, n_outputs in [(1, 1), (3, 3), (8, 10), (5, 1)]:
            try:
                cases.append(build(n_observables, n_outputs))
            except InputError:
                continue
    return cases


CASES = registered_cases()
every_head = pytest.mark.parametrize(
    "head", CASES, ids=lambda head: f"{head.name}-{head.n_observables}-{head.n_outputs}"
)


def samples(head: Head, n_samples: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(parameters, expectations, cotangent); the parameters moved off their start."""
    generator = np.random.default_rng(seed)
    parameters = head.initial(generator)
    parameters = parameters + generator.normal(size=parameters.shape)
    expectations = generator.uniform(-1.0, 1.0, size=(n_samples, head.n_observables))
    return parameters, expectations, generator.normal(size=(n_samples, head.n_outputs))


def test_each_head_is_tested() -> None:
    assert {head.name for head in CASES} == set(HEADS)
    assert all(name == build.name for name, build in HEADS.items())


@every_head
def test_initial_parameters(head: Head) -> None:
    parameters = head.initial(np.random.default_rng(1))
    assert parameters.shape == (head.n_parameters,) and parameters.dtype == np.float64
    assert np.array_equal(parameters, head.initial(np.random.default_rng(1)))
    assert len(set(head.parameter_names)) == head.n_parameters
    assert all(name.startswith("head.") for name in head.parameter_names)


def test_scaled_starts_as_raw_and_linear_is_bounded() -> None:
    expectations = np.random.default_rng(0).uniform(-1, 1, size=(7, 3))
    scaled = HEADS["scaled"](3, 3)
    assert np.array_equal(scaled.forward(scaled.initial(np.random.default_rng(0)), expectations), expectations)
    linear = HEADS["linear"](16, 10)
    start = linear.initial(np.random.default_rng(0))
    assert np.all(np.abs(start[:160]) <= 0.25) and np.std(start[:160]) > 0.1
    assert np.array_equal(start[160:], np.zeros(10))


def test_linear_is_the_affine_map_its_names_say() -> None:
    linear = HEADS["linear"](3, 2)
    assert linear.parameter_names == (
        "head.0.0.weight", "head.0.1.weight", "head.0.2.weight",
        "head.1.0.weight", "head.1.1.weight", "head.1.2.weight", "head.0.bias", "head.1.bias",
    )  # fmt: skip
    parameters, expectations, _ = samples(linear, 5)
    expected = expectations @ parameters[:6].reshape(2, 3).T + parameters[6:]
    np.testing.assert_allclose(linear.forward(parameters, expectations), expected, atol=1e-14)


@every_head
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), n_samples=st.integers(1, 4))
def test_derivatives_against_finite_differences(head: Head, seed: int, n_samples: int) -> None:
    parameters, expectations, cotangent = samples(head, n_samples, seed)
    step = 1e-5

    def contraction(p: np.ndarray, e: np.ndarray) -> np.ndarray:
        return np.sum(cotangent * head.forward(p, e), axis=1)  # of each sample

    backward = head.backward(parameters, expectations, cotangent)
    assert backward.shape == expectations.shape
    for k in range(head.n_observables):
        moved = np.zeros_like(expectations)
        moved[:, k] = step
        plus, minus = contraction(parameters, expectations + moved), contraction(parameters, expectations - moved)
        np.testing.assert_allclose(backward[:, k], (plus - minus) / (2 * step), atol=1e-8)
    gradients = head.sample_gradients(parameters, expectations, cotangent)
    assert gradients.shape == (n_samples, head.n_parameters)
    for p in range(head.n_parameters):
        moved = np.zeros_like(parameters)
        moved[p] = step
        plus, minus = contraction(parameters + moved, expectations), contraction(parameters - moved, expectations)
        np.testing.assert_allclose(gradients[:, p], (plus - minus) / (2 * step), atol=1e-8)


@every_head
@pytest.mark.parametrize("n_samples", [1, 15, 16, 17, 53])
def test_block_gradients_are_sums_of_blocks(head: Head, n_samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = samples(head, n_samples)
    blocks = head.block_gradients(*arguments)
    per_sample = head.sample_gradients(*arguments)
    starts = range(0, n_samples, BLOCK)
    assert blocks.shape == (len(starts), head.n_parameters)
    for row, start in zip(blocks, starts, strict=True):
        np.testing.assert_allclose(row, per_sample[start : start + BLOCK].sum(axis=0), atol=1e-12)
    monkeypatch.setattr(heads, "SLAB", 1)  # one block at a time
    assert np.array_equal(blocks, head.block_gradients(*arguments))


@every_head
def test_chunks_do_not_change_a_bit(head: Head) -> None:
    parameters, expectations, cotangent = samples(head, 101)
    outputs = head.forward(parameters, expectations)
    backward = head.backward(parameters, expectations, cotangent)
    blocks = head.block_gradients(parameters, expectations, cotangent)
    total = TreeSum()
    total.add(blocks)
    for size in (BLOCK, 3 * BLOCK, 5 * BLOCK):
        chunks = [slice(i, i + size) for i in range(0, 101, size)]
        parts = [head.forward(parameters, expectations[c]) for c in chunks]
        assert np.array_equal(outputs, np.concatenate(parts))
        parts = [head.backward(parameters, expectations[c], cotangent[c]) for c in chunks]
        assert np.array_equal(backward, np.concatenate(parts))
        tree = TreeSum()
        for c in chunks:
            tree.add(head.block_gradients(parameters, expectations[c], cotangent[c]))
        assert np.array_equal(total.total(), tree.total())
    fortran = np.asfortranarray(expectations), np.asfortranarray(cotangent)
    assert np.array_equal(blocks, head.block_gradients(parameters, *fortran))


@every_head
def test_other_array_libraries(head: Head) -> None:
    xp = pytest.importorskip("array_api_strict")
    parameters, expectations, cotangent = samples(head, 21)
    other = xp.asarray(expectations), xp.asarray(cotangent)
    for method in (head.backward, head.sample_gradients, head.block_gradients):
        assert np.array_equal(np.asarray(method(parameters, *other)), method(parameters, expectations, cotangent))
    assert np.array_equal(np.asarray(head.forward(parameters, other[0])), head.forward(parameters, expectations))


@pytest.mark.parametrize("name", sorted(HEADS))
def test_impossible_sizes_are_refused(name: str) -> None:
    with pytest.raises(InputError, match="needs 1 or more"):
        HEADS[name](0, 1)
    with pytest.raises(InputError, match="needs 1 or more"):
        HEADS[name](1, 0)


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
    assert HEADS[head](n_observables, n_outputs).n_outputs == LOSSES[loss](n_classes).n_outputs


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
    assert check_head("raw", "hinge", 1, 2, (-1.0, 1.0)) == 1
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
