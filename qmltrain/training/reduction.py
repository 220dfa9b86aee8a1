"""Sums in one fixed order, so that chunks, threads and ranks decide who adds, never what comes out.

Floating-point addition is not associative. Every sum over samples therefore follows one binary tree over the index
of the summands: neighbours 0+1, 2+3, ... are added, then neighbours among those sums, and a last one without a
neighbour is passed up as it is. A node of this tree is the sum of the summands [k 2^l, (k+1) 2^l) and depends on
nothing else, so it may be computed anywhere.

Only element-wise additions and multiplications are used (no BLAS, whose order depends on shapes and threads), on
the array namespace of the input. Shape letters: G blocks, R values per block, B samples, I and J matrix sides.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.protocol import BLOCK

Array = Any  # an array of the array API standard: NumPy's, CuPy's, ...
FloatArray = NDArray[np.float64]

_JOINED_AT_ONCE = 8
SLAB = 1 << 20  # products held at once by tree_matmul (8 MiB); changes memory, never a bit of the result


def array_namespace(array: Array) -> ModuleType:
    """The module whose functions work on `array` (array API standard), without importing any."""
    if type(array) is np.ndarray:
        return np
    try:
        return array.__array_namespace__()
    except AttributeError:
        pass
    # CuPy 14 has the standard's functions in its main namespace, but its arrays do not say so
    package = sys.modules.get(type(array).__module__.partition(".")[0])
    if package is None or not hasattr(package, "permute_dims"):
        raise TypeError(f"expected an array of the array API standard, found {type(array).__name__}")
    return package


def beside(numbers: Array, like: Array) -> Array:
    """Numbers, of the host or not, as an array of the namespace and dtype of `like`; no copy where they are."""
    return array_namespace(like).asarray(numbers, dtype=like.dtype)


def joined(arrays: list[Array]) -> Array:
    """Arrays one after another along the first axis, at most eight at a time: CuPy copies the addresses of more from
    host memory, which must not happen while a CUDA graph is captured."""
    xp = array_namespace(arrays[0])
    while len(arrays) > 1:
        arrays = [
            arrays[k] if k + 1 == len(arrays) else xp.concat(arrays[k : k + _JOINED_AT_ONCE])
            for k in range(0, len(arrays), _JOINED_AT_ONCE)
        ]
    return arrays[0]


def tree_sum(values_GR: Array) -> Array:
    """(G, ...) -> (...): the sum over the first axis along the fixed tree. A new array, also for G = 1.

    Raises ValueError for G = 0.
    """
    n_values = values_GR.shape[0]
    if n_values == 0:
        raise ValueError("tree_sum: nothing to add, the first axis has length 0")
    if n_values == 1:
        return array_namespace(values_GR).asarray(values_GR[0, ...], copy=True)
    tail = None  # the sum so far without a neighbour; it stands right of all others
    while values_GR.shape[0] > 1:
        if values_GR.shape[0] % 2:
            last = values_GR[-1, ...]
            tail = last if tail is None else last + tail
            values_GR = values_GR[:-1, ...]
        values_GR = values_GR[0::2, ...] + values_GR[1::2, ...]
    return values_GR[0, ...] if tail is None else values_GR[0, ...] + tail


def block_sums(values_BR: Array) -> Array:
    """(B, R) -> (G, R): `tree_sum` over each block of `BLOCK` consecutive samples; the last may be shorter."""
    xp = array_namespace(values_BR)
    n_samples, n_values = values_BR.shape
    missing = -n_samples % BLOCK
    if missing:
        values_BR = xp.concat([values_BR, xp.zeros((missing, n_values), dtype=values_BR.dtype)])
    blocks = xp.reshape(values_BR, ((n_samples + missing) // BLOCK, BLOCK, n_values))
    return tree_sum(xp.permute_dims(blocks, (1, 0, 2)))


def node_sizes(first_block: int, n_blocks: int) -> tuple[int, ...]:
    """Sizes of the largest whole nodes of the tree over `n_blocks` blocks from `first_block` on, in order."""
    sizes = []
    while n_blocks:
        size = 1 << (n_blocks.bit_length() - 1)
        if first_block:
            size = min(size, first_block & -first_block)  # nodes start at multiples of their size
        sizes.append(size)
        first_block, n_blocks = first_block + size, n_blocks - size
    return tuple(sizes)


def node_sums(blocks_GR: Array, sizes: tuple[int, ...]) -> Array:
    """(G, R) -> (L, R): `tree_sum` over consecutive groups of blocks, one a node, for `TreeSum.add_nodes`."""
    sums, start = [], 0
    for size in sizes:
        sums.append(tree_sum(blocks_GR[start : start + size, ...])[None, ...])
        start += size
    return joined(sums)


def tree_matmul(a_BI: Array, b_IJ: Array) -> Array:
    """(B, I) times (I, J) -> (B, J): each entry is a `tree_sum` over I, the same bits whatever B is."""
    xp = array_namespace(a_BI)
    n_rows, n_inner = a_BI.shape
    if not n_inner:
        return xp.zeros((n_rows, b_IJ.shape[1]), dtype=a_BI.dtype)
    step = max(1, SLAB // max(1, n_inner * b_IJ.shape[1]))
    slabs = [
        tree_sum(xp.permute_dims(a_BI[row : min(row + step, n_rows), :, None] * b_IJ[None, :, :], (1, 0, 2)))
        for row in range(0, max(1, n_rows), step)
    ]
    return joined(slabs)


@dataclass(frozen=True, slots=True)
class Node:
    """The sum of the blocks ``first .. first + size - 1``; `size` is a power of two that divides `first`."""

    first: int
    size: int
    sum_R: FloatArray


class TreeSum:
    """`tree_sum` over blocks that arrive in consecutive chunks of any size; holds O(log G) rows of R values.

    ``first_block`` is the index of the first block to come, for the share of one rank. A chunk is cut into whole
    nodes of the global tree and joined with what is held, as a binary counter carries. What is held are therefore
    always the largest whole nodes of the range of blocks seen: they depend on the range alone, not on the chunks
    (the same bits), and two neighbouring ranges, aligned or not, merge exactly.
    """

    def __init__(self, first_block: int = 0) -> None:
        if first_block < 0:
            raise ValueError(f"TreeSum: first_block is {first_block}, it cannot be negative")
        self.first_block = first_block
        self.next_block = first_block
        self._nodes: list[Node] = []

    def add(self, blocks_GR: FloatArray) -> None:
        """Add blocks ``next_block .. next_block + G - 1`` (float64). The array may be reused afterwards.

        Raises ValueError for another dtype or another R than before.
        """
        if blocks_GR.dtype != np.float64 or blocks_GR.ndim != 2:
            raise ValueError(f"TreeSum: expected float64 (G, R), found {blocks_GR.dtype} {blocks_GR.shape}")
        sizes = node_sizes(self.next_block, blocks_GR.shape[0])
        self.add_nodes(sizes, node_sums(blocks_GR, sizes) if sizes else blocks_GR)

    def add_nodes(self, sizes: tuple[int, ...], sums_LR: FloatArray) -> None:
        """Add blocks whose nodes were summed elsewhere: `node_sums` with ``sizes = node_sizes(next_block, ...)``."""
        for size, sum_R in zip(sizes, sums_LR, strict=True):
            self._push(Node(self.next_block, size, sum_R))

    def merge(self, following: TreeSum) -> None:
        """Append the blocks of `following`, which must start where this one ends (ranks: in rank order)."""
        if following.first_block != self.next_block:
            raise ValueError(
                f"TreeSum: the range to merge starts at block {following.first_block}, expected {self.next_block}"
            )
        for node in following._nodes:
            self._push(node)

    @property
    def width(self) -> int:
        """Values of a block. There must be one."""
        return len(self._nodes[-1].sum_R)

    def total(self) -> FloatArray:
        """(R,) `tree_sum` of all blocks so far. Raises ValueError without blocks or where block 0 is missing."""
        if not self._nodes:
            raise ValueError("TreeSum: no blocks were added")
        if self.first_block != 0:
            raise ValueError(f"TreeSum: blocks 0 to {self.first_block - 1} are missing; merge the ranges in order")
        total = self._nodes[-1].sum_R
        for node in reversed(self._nodes[:-1]):
            total = node.sum_R + total
        return total.copy() if len(self._nodes) == 1 else total

    def to_arrays(self) -> tuple[NDArray[np.int64], FloatArray]:
        """``extents_L2`` (first block, size) and ``sums_LR`` of the nodes held: what one rank sends to another."""
        extents = np.array([(node.first, node.size) for node in self._nodes], dtype=np.int64).reshape(-1, 2)
        return extents, np.array([node.sum_R for node in self._nodes], dtype=np.float64)

    @classmethod
    def from_arrays(cls, extents_L2: NDArray[np.int64], sums_LR: FloatArray) -> TreeSum:
        """The TreeSum whose `to_arrays` these are. Raises ValueError where nodes are not neighbours in order."""
        if len(extents_L2) == 0 or len(extents_L2) != len(sums_LR):
            raise ValueError(f"TreeSum: {len(extents_L2)} nodes, {len(sums_LR)} sums; expected as many, at least one")
        tree = cls(int(extents_L2[0, 0]))
        for (first, size), sum_R in zip(extents_L2.tolist(), sums_LR, strict=True):
            tree._push(Node(first, size, np.array(sum_R, dtype=np.float64)))
        return tree

    def _push(self, node: Node) -> None:
        if node.first != self.next_block or node.size < 1 or node.first % node.size:
            raise ValueError(f"TreeSum: node {node.first}+{node.size} does not follow block {self.next_block - 1}")
        if self._nodes and self._nodes[-1].sum_R.shape != node.sum_R.shape:
            raise ValueError(f"TreeSum: {node.sum_R.shape[0]} values, expected {self._nodes[-1].sum_R.shape[0]}")
        self.next_block += node.size
        while self._nodes and self._nodes[-1].size == node.size and self._nodes[-1].first % (2 * node.size) == 0:
            left = self._nodes.pop()
            node = Node(left.first, 2 * node.size, left.sum_R + node.sum_R)
        self._nodes.append(node)
