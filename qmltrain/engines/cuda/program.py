"""A compiled circuit on a device: the sweeps over the passes of a schedule, forward and in all gradient modes."""

from __future__ import annotations

import numpy as np

from qmltrain.engines.checkpointing import choose
from qmltrain.engines.cuda.device import Buffer, Device, View, real_of
from qmltrain.engines.cuda.geometry import amplitude_bytes
from qmltrain.engines.cuda.schedule import IntArray, Schedule
from qmltrain.engines.cuda.vectors import Vectors
from qmltrain.engines.protocol import (
    BLOCK,
    Backward,
    FloatArray,
    Forecast,
    GradientOptions,
    Precision,
    SlotValues,
)
from qmltrain.errors import InputError


class CudaProgram:
    """See `qmltrain.engines.protocol.Program`."""

    def __init__(
        self,
        device: Device,
        schedule: Schedule,
        precision: Precision,
        gradient: GradientOptions,
        memory_bytes: int,
    ) -> None:
        self.device, self.schedule, self.precision = device, schedule, precision
        self.plan = schedule.plan
        self.real = real_of(precision)
        self.vectors = Vectors(device, precision, self.plan.n_qubits, schedule.address_bits, self.plan.strings)
        columns = schedule.column_map
        places = np.where(columns.raw_sign < 0, -1 - columns.raw_row, columns.raw_row)
        self.raw_chosen = Chosen(device, schedule, columns.raw_column, places)
        self.sample_chosen = Chosen(device, schedule, columns.sample_column, np.arange(len(columns.sample_column)))
        samples = schedule.padded(BLOCK)
        state_bytes = samples * amplitude_bytes(precision) << schedule.address_bits
        mode, interval, reason = choose(
            gradient, self.plan.n_steps, state_bytes, max(0, memory_bytes - schedule.fixed_bytes), f"{BLOCK} samples"
        )
        self.cuts = _cuts([one.rotations for one in schedule.passes], self.plan.n_steps, interval)
        longest = max((end - start for start, end in self._segments()), default=1)
        kept = len(self.cuts)
        states = 2 + kept + (longest if mode == "checkpoint" else 0)
        block_bytes = states * state_bytes + self.scratch_values(samples) * self.real.itemsize
        # sums by block and by sample; gradients of each sample may be asked for
        block_bytes += 8 * (schedule.preparation.n_raw * (1 + BLOCK) + samples * (len(columns.sample_column) + 2))
        block_bytes += samples * (
            schedule.sample_bytes() + 16 * self.vectors.n_strings << max(0, schedule.address_bits - 12)
        )
        if self.plan.amplitude_encoded:
            block_bytes += samples * self.real.itemsize << self.plan.n_qubits
        self.forecast = Forecast(schedule.fixed_bytes, block_bytes, mode, interval, reason, memory_bytes)

    def scratch_values(self, samples: int) -> int:
        """Most gradient sums that one pass writes."""
        schedule = self.schedule
        return max(
            (samples * schedule.rows_a_sample(i) * one.columns for i, one in enumerate(schedule.passes)), default=0
        )

    def _segments(self) -> list[tuple[int, int]]:
        """Passes [start, end) between cuts."""
        n_passes = len(self.schedule.passes)
        starts = sorted({0, *self.cuts})
        return list(zip(starts, [*starts[1:], n_passes], strict=True))

    def forward(self, slots: SlotValues, initial_BN: FloatArray | None = None) -> CudaTape:
        if self.plan.amplitude_encoded != (initial_BN is not None):
            raise InputError("initial states are needed exactly where the circuit is amplitude encoded")
        return CudaTape(self, slots, initial_BN)

    def slot_gradient(self, total_R: FloatArray, shared_S: FloatArray) -> FloatArray:
        return self.schedule.preparation.slot_gradient(total_R, shared_S)


def _cuts(rotations: list[int], n_steps: int, interval: int | None) -> list[int]:
    """Passes before which psi is kept: the first, then every `interval` steps of progress counted in rotations."""
    if interval is None:
        return []
    per_step = sum(rotations) / max(1, n_steps)
    cuts, done, due = [0], 0, interval * per_step
    for index, count in enumerate(rotations):
        if index and done >= due:
            cuts.append(index)
            due = done + interval * per_step
        done += count
    return cuts


class CudaTape:
    """See `qmltrain.engines.protocol.Tape`."""

    def __init__(self, program: CudaProgram, slots: SlotValues, initial_BN: FloatArray | None) -> None:
        self.program, self.slots = program, slots
        self.batch = slots.batch
        schedule, device = program.schedule, program.device
        self.samples = schedule.padded(self.batch)
        self.state_bytes = self.samples * amplitude_bytes(program.precision) << schedule.address_bits
        self.values = schedule.values(slots)
        self.initial: Buffer | None = None
        self.kept: dict[int, Buffer] = {}
        self.psi: Buffer | None = device.allocate(self.state_bytes)
        if initial_BN is not None:
            self.initial = device.upload(np.ascontiguousarray(initial_BN, dtype=program.real))
        from_zero = schedule.starts_itself and initial_BN is None
        if not from_zero or 0 in program.cuts or not schedule.passes:
            program.vectors.start(self.psi, self.initial, self.batch, self.samples)
        cuts = set(program.cuts)
        for index in range(len(schedule.passes)):
            if index in cuts:
                self.kept[index] = self._copy(self.psi)
            schedule.forward(index, self.psi, self.values, self.samples, from_zero and index == 0)
        self.expectations_BM = program.vectors.expectations(self.psi, self.batch)

    def _copy(self, state: Buffer) -> Buffer:
        result = self.program.device.allocate(self.state_bytes)
        self.program.device.copy(result, state)
        return result

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        if self.psi is None:
            raise RuntimeError("a tape can be played back once")
        program, schedule, device = self.program, self.program.schedule, self.program.device
        psi, self.psi = self.psi, None
        bra = device.allocate(self.state_bytes)
        program.vectors.bra(psi, bra, cotangent_BM, self.samples)
        sums = _Sums(program, self.batch, self.samples, per_sample_shared)
        if program.forecast.mode == "checkpoint":
            self._backward_from_checkpoints(psi, bra, sums)
        else:
            for index in range(len(schedule.passes) - 1, -1, -1):
                self._backward_pass(index, psi, bra, sums)
                if index in self.kept:
                    device.copy(psi, self.kept.pop(index))
        program.vectors.distances(psi, self.initial, self.batch, sums.drift)
        return sums.finish(self.slots, self._states(bra) if initial else None)

    def _backward_pass(self, index: int, psi: Buffer, bra: Buffer, sums: _Sums) -> None:
        self.program.schedule.backward(index, psi, bra, self.values, self.samples, sums.scratch)
        sums.collect(index)

    def _backward_from_checkpoints(self, psi: Buffer, bra: Buffer, sums: _Sums) -> None:
        """Recompute each segment with its pass boundaries; un-apply only inside a pass."""
        schedule, device = self.program.schedule, self.program.device
        segments = self.program._segments()
        for start, end in reversed(segments):
            boundaries: list[Buffer] = []  # psi before passes start + 1, ..., end - 1
            if end - start > 1:
                working = self._copy(self.kept[start])
                for index in range(start, end - 1):
                    schedule.forward(index, working, self.values, self.samples, False)
                    boundaries.append(self._copy(working))
            for index in range(end - 1, start - 1, -1):
                self._backward_pass(index, psi, bra, sums)
                device.copy(psi, boundaries.pop() if index > start else self.kept.pop(start))

    def _states(self, buffer: Buffer) -> np.ndarray:
        schedule = self.program.schedule
        dtype = np.dtype(self.program.precision)
        states = self.program.device.read(buffer, dtype, (self.samples, 1 << schedule.address_bits))
        return states[: self.batch, : 1 << self.program.plan.n_qubits]


class Chosen:
    """Which columns of the sums go where, pass by pass, on the device: see `Vectors.sum_rows`."""

    def __init__(self, device: Device, schedule: Schedule, columns: IntArray, places: IntArray) -> None:
        """`columns` ascending over all passes; `places` in the output, -1 - t for minus the sum."""
        starts = np.array([one.first_column for one in schedule.passes], dtype=np.int64)
        # passes without columns start where the next one does: the last of equal starts is the owner
        owner = np.searchsorted(starts, columns, side="right") - 1
        self.first = np.searchsorted(owner, np.arange(len(starts) + 1)).tolist()
        pairs = np.stack([columns - starts[owner], places], axis=1).astype(np.int32)
        self.pairs = device.upload(pairs) if len(pairs) else None

    def of(self, index: int) -> tuple[View | None, int]:
        """Pairs of pass `index` and their number."""
        first, end = self.first[index], self.first[index + 1]
        return (None if self.pairs is None else View(self.pairs, 8 * first)), end - first


class _Sums:
    """Gradient sums of one backward sweep: a scratch for the rows of a pass, and totals by block and by sample."""

    def __init__(self, program: CudaProgram, batch: int, samples: int, per_sample_shared: bool) -> None:
        self.program, self.batch, self.samples = program, batch, samples
        schedule, device = program.schedule, program.device
        self.scratch = device.allocate(max(1, program.scratch_values(samples)) * program.real.itemsize)
        n_raw = schedule.preparation.n_raw
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
        self.drift = self.views["drift"]

    def collect(self, index: int) -> None:
        """Add up the rows of pass `index`: samples in blocks of 16, and each sample where it is wanted."""
        program = self.program
        self._sum(index, program.raw_chosen, "blocks", BLOCK)
        self._sum(index, program.sample_chosen, "slots", 1)
        if self.parts["shared"][0]:
            self._sum(index, program.raw_chosen, "shared", 1)

    def _sum(self, index: int, chosen: Chosen, name: str, samples_a_group: int) -> None:
        schedule = self.program.schedule
        pairs, count = chosen.of(index)
        if pairs is None or not count:
            return
        rows_a_sample = schedule.rows_a_sample(index)
        row_stride, column_stride = schedule.strides(index, self.samples * rows_a_sample)
        self.program.vectors.sum_rows(
            self.scratch,
            self.views[name],
            self.batch * rows_a_sample,
            samples_a_group * rows_a_sample,
            pairs,
            count,
            row_stride,
            column_stride,
            self.parts[name][1],
        )

    def finish(self, slots: SlotValues, initial_BN: np.ndarray | None) -> Backward:
        schedule = self.program.schedule
        flat = self.program.device.read(self.result, np.float64, (self.ends[-1],))
        blocks, by_sample, shared, drift = (
            part.reshape(shape)
            for part, shape in zip(np.split(flat, self.ends[1:-1]), self.parts.values(), strict=True)
        )
        return Backward(
            block_sums_GR=blocks,
            per_sample_BS=schedule.column_map.per_sample(by_sample, self.program.plan.n_per_sample_slots),
            drift_B=np.sqrt(drift[:, 0]),
            shared_BS=schedule.preparation.slot_gradient(shared, slots.shared_S) if len(shared) else None,
            initial_BN=initial_BN,
        )
