"""What a program needs of a schedule of launches; there are two, `fused` and the `baseline`'s."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.device import Buffer, View
from qmltrain.engines.plan_values import PlanValues, SharedAngles
from qmltrain.engines.protocol import Array, FloatArray
from qmltrain.fusion.plan import PhysicalString, Plan, Readout

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class ColumnMap:
    """Columns of the gradient sums to raw sums and per-sample slots, sorted by column.

    ``raw[:, raw_row] = raw_sign * sums[:, raw_column]``; ``per_sample[:, slot] += factor * sums[:, sample_column]``.
    """

    raw_column: IntArray
    raw_row: IntArray
    raw_sign: IntArray
    sample_column: IntArray
    sample_slot: IntArray
    sample_factor: FloatArray

    @classmethod
    def of(cls, raw: list[tuple[int, int, int]], sample: list[tuple[int, int, float]]) -> ColumnMap:
        raw.sort()
        sample.sort()
        return cls(
            np.array([c for c, _, _ in raw], dtype=np.int64),
            np.array([r for _, r, _ in raw], dtype=np.int64),
            np.array([f for _, _, f in raw], dtype=np.int64),
            np.array([c for c, _, _ in sample], dtype=np.int64),
            np.array([s for _, s, _ in sample], dtype=np.int64),
            np.array([f for _, _, f in sample], dtype=np.float64),
        )

    def slot_columns(self, n_slots: int) -> list[tuple[IntArray, FloatArray]]:
        """For `gather_slots`: the first column of every slot and its factor, the second column of every slot, ..."""
        end = len(self.sample_column)  # a column of zeros
        found: list[tuple[IntArray, FloatArray]] = []
        seen = [0] * n_slots
        for column, slot in enumerate(self.sample_slot.tolist()):
            if seen[slot] == len(found):
                found.append((np.full(n_slots, end, dtype=np.int64), np.zeros(n_slots)))
            index, factor = found[seen[slot]]
            index[slot], factor[slot] = column, self.sample_factor[column]
            seen[slot] += 1
        return found or [(np.full(n_slots, end, dtype=np.int64), np.zeros(n_slots))]


def gather_slots(xp: Any, chosen_BC: Array, slot_columns: Sequence[tuple[Array, Array]]) -> Array:
    """(B, sample columns) -> (B, n_slots): several columns of one slot are added in their order."""
    extended = xp.concat([chosen_BC, xp.zeros((chosen_BC.shape[0], 1), dtype=chosen_BC.dtype)], axis=1)
    total = None
    for index, factor in slot_columns:
        part = xp.take(extended, index, axis=1) * factor[None, :]
        total = part if total is None else total + part
    return total


@dataclass(frozen=True)
class Launches:
    """One pass: how many rotations it makes, and its columns of the gradient sums."""

    rotations: int
    first_column: int
    columns: int


class Schedule(Protocol):
    """Launches of a circuit on states of 2^address_bits amplitudes per sample.

    Pass `index` leaves `rows_per_sample(index)` rows of gradient sums for each sample; element (row, column) stands at
    ``row * row_stride + column * column_stride``.
    """

    plan: Plan
    tile_bits: int  # a pass is over tiles of 2^tile_bits amplitudes
    strings: tuple[PhysicalString, ...]  # the plan's, on places in memory after the last pass
    readout: Readout  # the plan's, likewise
    plan_values: PlanValues
    address_bits: int
    passes: tuple[Launches, ...]
    column_map: ColumnMap
    n_columns: int
    fixed_bytes: int
    starts_itself: bool  # the first pass makes |0> without reading it

    def padded(self, batch: int) -> int:
        """Samples that must be there in memory for `batch` of them."""
        ...

    def rows_per_sample(self, index: int) -> int: ...

    def strides(self, index: int, rows: int) -> tuple[int, int]: ...

    def shared_arrays(self, angles: SharedAngles) -> tuple[NDArray[Any], ...]:
        """What the device needs of the shared angles, computed on the host once per step."""
        ...

    def completed(self, raw_R: FloatArray, angles: SharedAngles) -> FloatArray:
        """Raw sums (n_raw,) or (B, n_raw) with what follows from others and was not summed."""
        ...

    def sample_arrays(self, angles: SharedAngles, per_sample_BS: FloatArray) -> tuple[NDArray[Any], ...]:
        """What it needs beside that of the angles of one chunk."""
        ...

    def prepare(self, buffers: Sequence[Buffer | View], batch: int) -> Any:
        """The angles of one chunk from both kinds of arrays, on the device; only the schedule knows what is in them."""
        ...

    def sample_bytes(self) -> int:
        """Bytes of per-sample angles."""
        ...

    def seconds(self, samples: int) -> float:
        """About how long the ways forward and back take, on a slow card of as many multiprocessors."""
        ...

    def forward(self, index: int, psi: Buffer, values: Any, samples: int, from_zero: bool) -> None: ...

    def backward(self, index: int, psi: Buffer, bra: Buffer, values: Any, samples: int, sums: Buffer) -> None: ...

    def describe(self) -> str: ...
