"""BatchSums: what the chunks of a step gave so far, and the same of all ranks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.engines.ranks import Ranks, Word, blocks_of, samples_of
from qmltrain.training.reduction import TreeSum, node_sizes

_MOST_TREES = 5  # circuit, head, encoding, input layers, loss


class StepAbandoned(Exception):  # noqa: N818 - a request, not an error
    """The run was asked to stop between two chunks; nothing of the step counts."""


@dataclass
class BatchSums:
    """Rows of samples, and the trees of their sums, of blocks from `first_block` on. `before`: from the nodes' sizes
    and the rest of a chunk's results to sums of nodes."""

    first_block: int = 0
    sizes: list[tuple[int, ...]] = field(default_factory=list)  # nodes of the chunks that are still to come
    outputs: list[FloatArray] = field(default_factory=list)
    losses: list[FloatArray] = field(default_factory=list)
    finite: list[FloatArray] = field(default_factory=list)
    drift: float = np.nan
    trees: list[TreeSum] = field(default_factory=list)
    before: Callable[[tuple[int, ...], list[FloatArray]], list[FloatArray]] | None = None

    def add(self, results: list[tuple[FloatArray, ...]]) -> None:
        """Results of `Evaluator._gradient_of`, a chunk each, in order."""
        for sizes, (outputs_bC, losses_b, finite_b, drift_b, *rest) in zip(self.sizes, results, strict=True):
            self.outputs.append(outputs_bC)
            self.losses.append(losses_b)
            self.finite.append(finite_b)
            self.drift = float(np.fmax.reduce(drift_b, initial=self.drift))
            sums = rest if self.before is None else self.before(sizes, rest)
            self.trees = self.trees or [TreeSum(self.first_block) for _ in sums]
            for tree, sums_LR in zip(self.trees, sums, strict=True):
                tree.add_nodes(sizes, sums_LR)
        self.sizes.clear()


def sums_of_ranks(own: BatchSums | None, n_samples: int, ranks: Ranks) -> BatchSums:
    """The sums of all samples of a batch from those of this rank's share of it; None: it was asked to stop meanwhile.

    Raises StepAbandoned where any rank was.
    """
    widths: list[int] = []
    if own is not None and own.trees:
        widths = [own.outputs[0].shape[1], *(tree.width for tree in own.trees)]
    n_outputs, *sizes = _agreed(widths, 1 + _MOST_TREES, ranks, abandoned=own is None)
    rows = [len(samples_of(n_samples, rank, ranks.size)) for rank in range(ranks.size)]
    shares = [blocks_of(n_samples, rank, ranks.size) for rank in range(ranks.size)]
    nodes = [node_sizes(share.start, len(share)) for share in shares]
    lengths = [
        [1, rows[rank] * n_outputs, rows[rank], rows[rank], *(len(nodes[rank]) * size for size in sizes)]
        for rank in range(ranks.size)
    ]
    part = [np.array([np.nan])]
    if own is not None and own.trees:
        part = [np.array([own.drift])]
        part += [np.concatenate(of_samples).ravel() for of_samples in (own.outputs, own.losses, own.finite)]
        part += [tree.to_arrays()[1].ravel() for tree in own.trees]
    parts = _gathered(np.concatenate(part), [sum(of_rank) for of_rank in lengths], ranks)
    found = BatchSums(trees=[TreeSum() for _ in sizes])
    for rank, numbers in enumerate(parts):
        drift, outputs, losses, finite, *sums = np.split(numbers, np.cumsum(lengths[rank])[:-1])
        found.drift = float(np.fmax(found.drift, drift[0]))
        found.outputs.append(outputs.reshape(rows[rank], n_outputs))
        found.losses.append(losses)
        found.finite.append(finite)
        for tree, sums_of_nodes, size in zip(found.trees, sums, sizes, strict=True):
            tree.add_nodes(nodes[rank], sums_of_nodes.reshape(len(nodes[rank]), size))
    return found


def rows_of_ranks(own_bC: FloatArray | None, n_samples: int, ranks: Ranks, *, abandoned: bool = False) -> FloatArray:
    """(B, C) of all samples from the rows of this rank's share of them; None: it has no samples, or was asked to stop
    meanwhile (`abandoned`). Raises StepAbandoned where any rank was."""
    [width] = _agreed([] if own_bC is None else [own_bC.shape[1]], 1, ranks, abandoned)
    counts = [width * len(samples_of(n_samples, rank, ranks.size)) for rank in range(ranks.size)]
    own = np.empty(0) if own_bC is None else own_bC.ravel()
    return np.concatenate(_gathered(own, counts, ranks)).reshape(n_samples, width)


def _agreed(widths: list[int], most: int, ranks: Ranks, abandoned: bool) -> list[int]:
    """How wide the ranks' rows are, at most `most` numbers; a rank without samples gives none."""
    own = np.zeros(most)
    own[: len(widths)] = np.array(widths) + 1
    numbers = np.zeros(most * ranks.size)
    numbers[most * ranks.rank : most * (ranks.rank + 1)] = own
    if ranks.gather(Word.ABANDONED if abandoned else 0, numbers, [most] * ranks.size) & Word.ABANDONED:
        raise StepAbandoned
    found = numbers.reshape(ranks.size, most).max(axis=0).astype(int) - 1
    return [int(width) for width in found if width >= 0]


def _gathered(own: FloatArray, counts: list[int], ranks: Ranks) -> list[FloatArray]:
    """The parts of all ranks."""
    numbers, ends = np.empty(sum(counts)), np.cumsum(counts)
    numbers[ends[ranks.rank] - counts[ranks.rank] : ends[ranks.rank]] = own
    ranks.gather(0, numbers, counts)
    return np.split(numbers, ends[:-1])
