"""Every registered head: derivatives, blocks, chunks; and which head goes with which loss and task."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.engines.protocol import BLOCK
from qmltrain.errors import InputError
from qmltrain.training import heads
from qmltrain.training.heads import HEADS, Head
from qmltrain.training.reduction import TreeSum
from tests.examples import examples
from tests.training.head_cases import CASES, build

every_head = pytest.mark.parametrize(
    "head", CASES, ids=lambda head: f"{head.name}-{head.n_observables}-{head.n_outputs}-{head.n_parameters}"
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
@settings(max_examples=examples(8, fewest=3), deadline=None)
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
        build(name, 0, 1)
    with pytest.raises(InputError, match="needs 1 or more"):
        build(name, 1, 0)


def test_a_linear_head_without_biases_is_its_matrix() -> None:
    linear = HEADS["linear"](3, 2, bias=False)
    assert linear.parameter_names == tuple(f"head.{c}.{k}.weight" for c in range(2) for k in range(3))
    parameters, expectations, _ = samples(linear, 5)
    np.testing.assert_allclose(linear.forward(parameters, expectations), expectations @ parameters.reshape(2, 3).T)


def test_bias_adds_what_its_names_say() -> None:
    head = HEADS["bias"](3, 3)
    assert head.parameter_names == ("head.0.bias", "head.1.bias", "head.2.bias")
    parameters, expectations, _ = samples(head, 5)
    assert np.array_equal(head.forward(parameters, expectations), expectations + parameters)


def test_where_biases_start() -> None:
    generator = np.random.default_rng(0)
    assert np.array_equal(HEADS["bias"](3, 3).initial(generator), np.zeros(3))
    assert np.array_equal(HEADS["bias"](3, 3, initial_bias=0.01).initial(generator), np.full(3, 0.01))
    drawn = HEADS["bias"](400, 400, initial_bias=2.0, initial_deviation=0.1).initial(generator)
    assert abs(drawn.mean() - 2.0) < 0.02 and abs(drawn.std() - 0.1) < 0.02


def test_where_weights_start() -> None:
    generator = np.random.default_rng(0)
    normal = HEADS["linear"](20, 50, bias=False, initial="normal").initial(generator)
    assert abs(normal.std() * 20 - 1) < 0.1
    mlp = HEADS["mlp"](16, 10, hidden=[64]).initial(generator)
    first, second = mlp[: 16 * 64], mlp[16 * 64 + 64 : -10]
    assert np.all(np.abs(first) <= 1 / 4) and np.std(first) > 0.1
    assert np.all(np.abs(second) <= 1 / 8) and np.std(second) > 0.05
    assert not mlp[16 * 64 : 16 * 64 + 64].any() and not mlp[-10:].any()


def test_mlp_is_the_network_its_names_say() -> None:
    head = HEADS["mlp"](3, 2, hidden=[4, 5], activation="sigmoid")
    parameters, expectations, _ = samples(head, 6)
    named = dict(zip(head.parameter_names, parameters, strict=True))
    value = expectations
    for layer, (n_in, n_out) in enumerate([(3, 4), (4, 5), (5, 2)]):
        weight = np.array([[named.pop(f"head.{layer}.{o}.{i}.weight") for i in range(n_in)] for o in range(n_out)])
        value = value @ weight.T + [named.pop(f"head.{layer}.{o}.bias") for o in range(n_out)]
        value = 1 / (1 + np.exp(-value)) if layer < 2 else value
    assert not named
    np.testing.assert_allclose(head.forward(parameters, expectations), value, atol=1e-14)


def test_layers_that_are_too_large_are_refused() -> None:
    with pytest.raises(
        InputError, match=r"^head\.name: dense layers of 3 x 2000000000 x 2 have 12,000,000,002 parameters"
    ):
        HEADS["mlp"](3, 2, hidden=[2_000_000_000])


def test_an_activation_that_is_not_known_is_refused() -> None:
    with pytest.raises(InputError, match=r"^head\.activation: 'softmax' is not known; choose one of none, tanh"):
        HEADS["mlp"](3, 2, hidden=[4], activation="softmax")
