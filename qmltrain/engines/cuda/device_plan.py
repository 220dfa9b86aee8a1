"""A plan on a device: everything that its executions read and none of them changes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.engines.cuda.device import Device, View, real_of
from qmltrain.engines.cuda.schedule import IntArray, Schedule
from qmltrain.engines.cuda.vectors import Vectors
from qmltrain.engines.protocol import Array, FloatArray, Precision


class ColumnChoice:
    """Which columns of the sums go where, pass by pass, on the device: see `Vectors.sum_rows`."""

    def __init__(self, device: Device, schedule: Schedule, columns: IntArray, targets: IntArray) -> None:
        """`columns` ascending over all passes; `targets` in the output, -1 - t for minus the sum."""
        starts = np.array([one.first_column for one in schedule.passes], dtype=np.int64)
        # passes without columns start where the next one does: the last of equal starts is the owner
        owner = np.searchsorted(starts, columns, side="right") - 1
        self.first = np.searchsorted(owner, np.arange(len(starts) + 1)).tolist()
        pairs = np.stack([columns - starts[owner], targets], axis=1).astype(np.int32)
        self.pairs = device.upload(pairs) if len(pairs) else None

    def of(self, index: int) -> tuple[View | None, int]:
        """Pairs of pass `index` and their number."""
        first, end = self.first[index], self.first[index + 1]
        return (None if self.pairs is None else View(self.pairs, 8 * first)), end - first


@dataclass(frozen=True)
class DevicePlan:
    """`cuts`: passes before which psi is kept on the way forward. `recomputes`: going back, psi comes from there
    (checkpoint) instead of being un-applied (reversible).

    `raw_columns` and `sample_columns` say where gradient sums go; `slot_columns` are `ColumnMap.slot_columns`, and
    `device_slot_columns` the same as arrays of the device.
    """

    device: Device
    schedule: Schedule
    precision: Precision
    vectors: Vectors
    cuts: tuple[int, ...]
    recomputes: bool
    raw_columns: ColumnChoice
    sample_columns: ColumnChoice
    slot_columns: Sequence[tuple[IntArray, FloatArray]]
    device_slot_columns: Sequence[tuple[Array, Array]]

    @classmethod
    def of(
        cls, device: Device, schedule: Schedule, precision: Precision, cuts: tuple[int, ...], recomputes: bool
    ) -> DevicePlan:
        """Uploads what depends on no angle."""
        columns, plan = schedule.column_map, schedule.plan
        targets = np.where(columns.raw_sign < 0, -1 - columns.raw_row, columns.raw_row)
        slot_columns = columns.slot_columns(plan.n_per_sample_slots)

        def on_device(part: np.ndarray) -> Any:
            return device.array(device.upload(part), part.dtype, part.shape)

        return cls(
            device=device,
            schedule=schedule,
            precision=precision,
            vectors=Vectors(device, precision, plan.n_qubits, schedule.address_bits, schedule.strings),
            cuts=cuts,
            recomputes=recomputes,
            raw_columns=ColumnChoice(device, schedule, columns.raw_column, targets),
            sample_columns=ColumnChoice(device, schedule, columns.sample_column, np.arange(len(columns.sample_column))),
            slot_columns=slot_columns,
            device_slot_columns=[(on_device(index), on_device(factor)) for index, factor in slot_columns],
        )

    @property
    def drift_factor(self) -> float:
        """1, or NaN where states are kept, so that none is un-applied all the way (`Backward.drift_B`)."""
        return math.nan if self.cuts else 1.0

    @property
    def real(self) -> np.dtype:
        return real_of(self.precision)

    def scratch_values(self, samples: int) -> int:
        """Most gradient sums that one pass writes."""
        schedule = self.schedule
        return max(
            (samples * schedule.rows_per_sample(i) * one.columns for i, one in enumerate(schedule.passes)), default=0
        )

    def segments(self) -> list[tuple[int, int]]:
        """Passes [start, end) between cuts."""
        starts = sorted({0, *self.cuts})
        return list(zip(starts, [*starts[1:], len(self.schedule.passes)], strict=True))
