"""One fixed order of summation: chunks, ranges and layouts must not change a bit."""

from __future__ import annotations

import sys
import types
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.engines.protocol import BLOCK
from qmltrain.training import reduction
from qmltrain.training.reduction import (
    TreeSum,
    array_namespace,
    block_sums,
    joined,
    node_sizes,
    node_sums,
    tree_matmul,
    tree_sum,
)
from tests.examples import examples


def awkward_values(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Values over twenty decades, so that another order of addition shows in the last bits."""
    generator = np.random.default_rng(seed)
    return generator.normal(size=shape) * 10.0 ** generator.integers(-10, 10, size=shape)


def tree_by_definition(values: np.ndarray) -> np.ndarray:
    """Level by level, as the module's docstring says it."""
    level = list(values)
    while len(level) > 1:
        level = [level[i] + level[i + 1] if i + 1 < len(level) else level[i] for i in range(0, len(level), 2)]
    return level[0]


def chunked(blocks: np.ndarray, cuts: list[int], first: int = 0) -> TreeSum:
    tree = TreeSum(first)
    edges = [0, *sorted(cuts), len(blocks)]
    for start, stop in pairwise(edges):
        tree.add(blocks[start:stop])  # empty chunks too
    return tree


@pytest.mark.parametrize("n_blocks", [*range(1, 40), 63, 64, 65, 100])
def test_tree_sum_is_the_tree_of_its_definition(n_blocks: int) -> None:
    values = awkward_values(n_blocks, (n_blocks, 3))
    assert np.array_equal(tree_sum(values), tree_by_definition(values))
    np.testing.assert_allclose(tree_sum(values), np.sum(values, axis=0), rtol=1e-12, atol=1e-3)


def test_order_matters_for_these_values() -> None:
    values = awkward_values(0, (63, 50))
    assert not np.array_equal(tree_sum(values), tree_sum(values[::-1]))


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_chunks_do_not_change_a_bit(data: st.DataObject) -> None:
    n_blocks = data.draw(st.integers(1, 70))
    cuts = data.draw(st.lists(st.integers(0, n_blocks), max_size=12))
    blocks = awkward_values(data.draw(st.integers(0, 1000)), (n_blocks, 4))
    assert np.array_equal(chunked(blocks, cuts).total(), tree_sum(blocks))


@settings(max_examples=examples(200), deadline=None)
@given(st.data())
def test_ranges_of_ranks_merge_exactly(data: st.DataObject) -> None:
    n_blocks = data.draw(st.integers(1, 70))
    edges = [0, *sorted(data.draw(st.lists(st.integers(0, n_blocks), max_size=5))), n_blocks]
    blocks = awkward_values(data.draw(st.integers(0, 1000)), (n_blocks, 3))
    whole = TreeSum()
    for start, stop in pairwise(edges):
        cuts = data.draw(st.lists(st.integers(0, stop - start), max_size=4))
        part = chunked(blocks[start:stop], cuts, first=start)
        if stop > start:
            part = TreeSum.from_arrays(*part.to_arrays())  # as it travels between ranks
        whole.merge(part)
    assert whole.next_block == n_blocks
    assert np.array_equal(whole.total(), tree_sum(blocks))


@given(st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_nodes_summed_elsewhere_are_the_nodes_of_the_tree(first: int, n_blocks: int, more: int) -> None:
    blocks_GR = np.random.default_rng(first + n_blocks).normal(size=(n_blocks + more, 3)) * 1e8
    here, there = TreeSum(first), TreeSum(first)
    here.add(blocks_GR)
    start = 0
    for count in (n_blocks, more):
        sizes = node_sizes(there.next_block, count)
        assert sum(sizes) == count
        there.add_nodes(sizes, node_sums(blocks_GR[start : start + count], sizes))
        start += count
    for a, b in zip(here.to_arrays(), there.to_arrays(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("count", [1, 2, 8, 9, 65, 100])
def test_many_arrays_are_joined_in_order(count: int) -> None:
    arrays = [np.full((k % 3 + 1, 2), k) for k in range(count)]
    np.testing.assert_array_equal(joined(arrays), np.concatenate(arrays))


def test_a_library_whose_arrays_do_not_name_their_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    """As CuPy 14: the module of the array's type has the functions."""
    module = types.ModuleType("arrays_of_a_test")
    module.permute_dims = np.permute_dims  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "arrays_of_a_test", module)
    array = type("ndarray", (), {"__module__": "arrays_of_a_test._core"})()
    assert array_namespace(array) is module


def test_few_rows_are_held() -> None:
    tree = TreeSum()
    for _ in range(1000):
        tree.add(np.ones((1, 2)))
    layout, sums = tree.to_arrays()
    assert len(layout) <= 10
    assert sums.shape == (len(layout), 2)
    assert np.array_equal(tree.total(), [1000.0, 1000.0])


def test_total_may_be_taken_between_chunks() -> None:
    blocks = awkward_values(3, (11, 5))
    tree = TreeSum()
    for count in range(1, 12):
        tree.add(blocks[count - 1 : count])
        assert np.array_equal(tree.total(), tree_sum(blocks[:count]))


def test_no_array_of_the_caller_is_kept_or_changed() -> None:
    blocks = awkward_values(4, (1, 3))
    before = blocks.copy()
    tree = TreeSum()
    tree.add(blocks)
    tree.total()[:] = 0.0
    blocks[:] = 0.0
    assert np.array_equal(tree.total(), before[0])
    one = np.ones((1, 2))
    tree_sum(one)[:] = 5.0
    assert np.array_equal(one, np.ones((1, 2)))


@pytest.mark.parametrize("n_samples", [1, 15, 16, 17, 32, 53])
def test_blocks_are_trees_of_sixteen_samples(n_samples: int) -> None:
    values = awkward_values(n_samples, (n_samples, 3))
    blocks = block_sums(values)
    assert len(blocks) == -(-n_samples // BLOCK)
    for row, start in zip(blocks, range(0, n_samples, BLOCK), strict=True):
        block = values[start : start + BLOCK]
        assert np.array_equal(row, tree_sum(block))


@pytest.mark.parametrize("n_values", [1, 2, 3, 8, 10])
def test_matmul_is_right_and_independent_of_rows(n_values: int, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = awkward_values(5, (37, n_values)), awkward_values(6, (n_values, 4))
    whole = tree_matmul(a, b)
    np.testing.assert_allclose(whole, a @ b, rtol=1e-10, atol=1e-6 * np.max(np.abs(a)))
    rows = [tree_matmul(a[i : i + 1], b)[0] for i in range(37)]
    assert np.array_equal(whole, rows)
    assert np.array_equal(whole, tree_matmul(np.asfortranarray(a), np.asfortranarray(b)))
    monkeypatch.setattr(reduction, "SLAB", 5 * n_values * 4)
    assert np.array_equal(whole, tree_matmul(a, b))


def test_other_array_libraries() -> None:
    xp = pytest.importorskip("array_api_strict")
    values = awkward_values(7, (13, 3))
    assert np.array_equal(np.asarray(tree_sum(xp.asarray(values))), tree_sum(values))
    product = tree_matmul(xp.asarray(values), xp.asarray(values.T.copy()))
    assert np.array_equal(np.asarray(product), tree_matmul(values, values.T.copy()))


def test_bad_input() -> None:
    with pytest.raises(ValueError, match="nothing to add"):
        tree_sum(np.zeros((0, 3)))
    with pytest.raises(TypeError, match="found list"):
        array_namespace([1.0])
    with pytest.raises(ValueError, match="cannot be negative"):
        TreeSum(-1)
    tree = TreeSum()
    with pytest.raises(ValueError, match="no blocks"):
        tree.total()
    with pytest.raises(ValueError, match="float32"):
        tree.add(np.zeros((2, 3), dtype=np.float32))
    with pytest.raises(ValueError, match="expected float64"):
        tree.add(np.zeros(3))
    tree.add(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="4 values, expected 3"):
        tree.add(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="starts at block 5, expected 2"):
        tree.merge(TreeSum(5))
    late = TreeSum(2)
    late.add(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="blocks 0 to 1 are missing"):
        late.total()
    with pytest.raises(ValueError, match="does not follow"):
        TreeSum.from_arrays(np.array([[0, 2], [3, 1]]), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="at least one"):
        TreeSum.from_arrays(np.zeros((0, 2), dtype=np.int64), np.zeros((0, 3)))
