"""Execution: one chunk through the passes of a schedule on the device, forward and back in all gradient modes."""

from __future__ import annotations

from typing import Any

import numpy as np

from qmltrain.engines.cuda.device import Buffer, View
from qmltrain.engines.cuda.device_plan import ColumnChoice, DevicePlan
from qmltrain.engines.cuda.geometry import amplitude_bytes
from qmltrain.engines.protocol import BLOCK


class Execution:
    """The states of one chunk: forward when it is made, backward once. Nothing here waits for the device.

    `expectations`: (batch, M) double, in the order of the strings.
    """

    def __init__(self, plan: DevicePlan, values: Any, initial: Buffer | View | None, batch: int) -> None:
        """`values` of the schedule's angles; `initial` (batch, 2^n) real amplitudes, None for |0>."""
        self.plan, self.values, self.initial, self.batch = plan, values, initial, batch
        schedule, device = plan.schedule, plan.device
        self.samples = schedule.padded(batch)
        self.state_bytes = self.samples * amplitude_bytes(plan.precision) << schedule.address_bits
        self.kept: dict[int, Buffer] = {}
        self.psi: Buffer | None = device.allocate(self.state_bytes)
        from_zero = schedule.starts_itself and initial is None
        if not from_zero or 0 in plan.cuts or not schedule.passes:
            plan.vectors.start(self.psi, initial, batch, self.samples)
        cuts = set(plan.cuts)
        for index in range(len(schedule.passes)):
            if index in cuts:
                self.kept[index] = self._copy(self.psi)
            schedule.forward(index, self.psi, values, self.samples, from_zero and index == 0)
        self.expectations = plan.vectors.expectations(self.psi, batch)

    def _copy(self, state: Buffer) -> Buffer:
        result = self.plan.device.allocate(self.state_bytes)
        self.plan.device.copy(result, state)
        return result

    def backward(self, cotangent: Buffer | View, per_sample_shared: bool = False) -> Sums:
        """`cotangent` (batch, M) double. Leaves the gradient bra at the start in `self.bra`."""
        if self.psi is None:
            raise RuntimeError("a tape can be played back once")
        plan, device = self.plan, self.plan.device
        psi, self.psi = self.psi, None
        self.bra = device.allocate(self.state_bytes)
        plan.vectors.bra(psi, self.bra, cotangent, self.batch, self.samples)
        sums = Sums(plan, self.batch, self.samples, per_sample_shared)
        if plan.recomputes:
            self._backward_from_checkpoints(psi, sums)
        else:
            for index in range(len(plan.schedule.passes) - 1, -1, -1):
                self._backward_pass(index, psi, sums)
                if index in self.kept:
                    device.copy(psi, self.kept.pop(index))
        plan.vectors.distances(psi, self.initial, self.batch, sums.views["drift"])
        return sums

    def _backward_pass(self, index: int, psi: Buffer, sums: Sums) -> None:
        self.plan.schedule.backward(index, psi, self.bra, self.values, self.samples, sums.scratch)
        sums.collect(index)

    def _backward_from_checkpoints(self, psi: Buffer, sums: Sums) -> None:
        """Recompute each segment with its pass boundaries; un-apply only inside a pass."""
        schedule, device = self.plan.schedule, self.plan.device
        for start, end in reversed(self.plan.segments()):
            boundaries: list[Buffer] = []  # psi before passes start + 1, ..., end - 1
            if end - start > 1:
                working = self._copy(self.kept[start])
                for index in range(start, end - 1):
                    schedule.forward(index, working, self.values, self.samples, False)
                    boundaries.append(self._copy(working))
            for index in range(end - 1, start - 1, -1):
                self._backward_pass(index, psi, sums)
                device.copy(psi, boundaries.pop() if index > start else self.kept.pop(start))


class Sums:
    """Gradient sums of one execution: a scratch for the rows of a pass, and totals by block and by sample.

    `parts` are shapes and `views` the memory of "blocks" (G, R), "slots" (batch, sample columns), "shared" (batch, R,
    where wanted) and "drift" (batch, 1, squared), double, one after another in `result`.
    """

    def __init__(self, plan: DevicePlan, batch: int, samples: int, per_sample_shared: bool) -> None:
        self.plan, self.batch, self.samples = plan, batch, samples
        schedule, device = plan.schedule, plan.device
        self.scratch = device.allocate(max(1, plan.scratch_values(samples)) * plan.real.itemsize)
        n_raw = schedule.plan_values.n_raw
        # (name, rows, columns) in one piece: one copy to the host
        self.parts = {
            "blocks": (-(-batch // BLOCK), n_raw),
            "slots": (batch, len(schedule.column_map.sample_column)),
            "shared": (batch if per_sample_shared else 0, n_raw),
            "drift": (batch, 1),
        }
        sizes = [rows * columns for rows, columns in self.parts.values()]
        self.result = device.allocate(8 * sum(sizes))
        device.clear(self.result)
        ends = np.cumsum([0, *sizes]).tolist()
        self.views = {name: View(self.result, 8 * end) for name, end in zip(self.parts, ends, strict=False)}
        self.ends = ends

    def collect(self, index: int) -> None:
        """Add up the rows of pass `index`: samples in blocks of 16, and each sample where it is wanted."""
        plan = self.plan
        self._sum(index, plan.raw_columns, "blocks", BLOCK)
        self._sum(index, plan.sample_columns, "slots", 1)
        if self.parts["shared"][0]:
            self._sum(index, plan.raw_columns, "shared", 1)

    def _sum(self, index: int, choice: ColumnChoice, name: str, samples_per_group: int) -> None:
        schedule = self.plan.schedule
        pairs, count = choice.of(index)
        if pairs is None or not count:
            return
        rows_per_sample = schedule.rows_per_sample(index)
        row_stride, column_stride = schedule.strides(index, self.samples * rows_per_sample)
        self.plan.vectors.sum_rows(
            self.scratch,
            self.views[name],
            self.batch * rows_per_sample,
            samples_per_group * rows_per_sample,
            pairs,
            count,
            row_stride,
            column_stride,
            self.parts[name][1],
        )
