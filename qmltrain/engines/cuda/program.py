"""A compiled circuit on a device: its memory, where states are kept, and sweeps with results on the host or there."""

from __future__ import annotations

import numpy as np

from qmltrain.engines.checkpointing import choose
from qmltrain.engines.cuda.device import Device, Pinned, real_of
from qmltrain.engines.cuda.geometry import amplitude_bytes
from qmltrain.engines.cuda.schedule import Schedule, gather_slots
from qmltrain.engines.cuda.staging import Staging, staged_bytes
from qmltrain.engines.cuda.step import CudaStep, GraphCache
from qmltrain.engines.cuda.sweep import Chosen, Sweep
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
        self.vectors = Vectors(device, precision, self.plan.n_qubits, schedule.address_bits, schedule.strings)
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
        longest = max((end - start for start, end in self.segments()), default=1)
        kept = len(self.cuts)
        states = 2 + kept + (longest if mode == "checkpoint" else 0)
        block_bytes = states * state_bytes + self.scratch_values(samples) * self.real.itemsize
        # sums by block and by sample; gradients of each sample may be asked for
        block_bytes += 8 * (schedule.preparation.n_raw * (1 + BLOCK) + samples * (len(columns.sample_column) + 2))
        block_bytes += samples * (
            schedule.sample_bytes() + 16 * self.vectors.n_strings << max(0, schedule.address_bits - 12)
        )
        # two places of inputs: per-sample slots and targets, initial states, and the shared angles
        inputs = 8 * BLOCK * (self.plan.n_per_sample_slots + 1)
        if self.plan.amplitude_encoded:
            inputs += BLOCK * self.real.itemsize << self.plan.n_qubits
        block_bytes += 2 * inputs
        shared = schedule.shared_arrays(np.zeros(self.plan.n_shared_slots))
        fixed_bytes = schedule.fixed_bytes + 2 * sum(staged_bytes(array.nbytes) for array in shared)
        self.forecast = Forecast(fixed_bytes, block_bytes, mode, interval, reason, memory_bytes)
        self.slot_columns = columns.slot_columns(self.plan.n_per_sample_slots)
        self.placed_slot_columns = [
            tuple(device.array(device.upload(part), part.dtype, part.shape) for part in pair)
            for pair in self.slot_columns
        ]
        self.staging, self.graphs = Staging(device), GraphCache(memory_bytes // 4)
        self.step_unfinished = False
        self._result_places: list[Pinned] = []

    def scratch_values(self, samples: int) -> int:
        """Most gradient sums that one pass writes."""
        schedule = self.schedule
        return max(
            (samples * schedule.rows_a_sample(i) * one.columns for i, one in enumerate(schedule.passes)), default=0
        )

    def segments(self) -> list[tuple[int, int]]:
        """Passes [start, end) between cuts."""
        n_passes = len(self.schedule.passes)
        starts = sorted({0, *self.cuts})
        return list(zip(starts, [*starts[1:], n_passes], strict=True))

    def result_place(self, number: int, n_bytes: int) -> Pinned:
        """Pinned memory for the results of chunk `number` of a step; the same for the next step."""
        if number == len(self._result_places):
            self._result_places.append(self.device.pinned(n_bytes))
        elif self._result_places[number].array.nbytes < n_bytes:
            self._result_places[number] = self.device.pinned(n_bytes)
        return self._result_places[number]

    def begin_step(self, shared_S: FloatArray) -> CudaStep:
        return CudaStep(self, shared_S)

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
    """See `qmltrain.engines.protocol.Tape`: a sweep whose results come to the host as they are made."""

    def __init__(self, program: CudaProgram, slots: SlotValues, initial_BN: FloatArray | None) -> None:
        self.program, self.slots, self.batch = program, slots, slots.batch
        device, schedule = program.device, program.schedule
        arrays = (*schedule.shared_arrays(slots.shared_S), *schedule.sample_arrays(slots))
        values = schedule.place([device.upload(array) for array in arrays], self.batch)
        initial = None
        if initial_BN is not None:
            initial = device.upload(np.ascontiguousarray(initial_BN, dtype=program.real))
        self.sweep = Sweep(program, values, initial, self.batch)
        shape = (self.batch, program.vectors.n_strings)
        self.expectations_BM: FloatArray = device.read(self.sweep.expectations, np.float64, shape)

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        program, device = self.program, self.program.device
        schedule, plan = program.schedule, program.plan
        cotangent = device.upload(np.ascontiguousarray(cotangent_BM, dtype=np.float64))
        sums = self.sweep.backward(cotangent, per_sample_shared)
        flat = device.read(sums.result, np.float64, (sums.ends[-1],))
        blocks, by_sample, shared, drift = (
            part.reshape(shape)
            for part, shape in zip(np.split(flat, sums.ends[1:-1]), sums.parts.values(), strict=True)
        )
        shared_BS = schedule.preparation.slot_gradient(shared, self.slots.shared_S) if per_sample_shared else None
        states = None
        if initial:
            shape = (self.sweep.samples, 1 << schedule.address_bits)
            states = device.read(self.sweep.bra, np.dtype(program.precision), shape)
            states = states[: self.batch, : 1 << plan.n_qubits]
        return Backward(
            block_sums_GR=blocks,
            per_sample_BS=gather_slots(np, by_sample, program.slot_columns),
            drift_B=np.sqrt(drift[:, 0]),
            shared_BS=shared_BS,
            initial_BN=states,
        )
