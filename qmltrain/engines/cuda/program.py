"""A compiled circuit on a device: where states are kept, and the memory that takes."""

from __future__ import annotations

import numpy as np

from qmltrain.engines.checkpointing import choose, cuts_of_progress
from qmltrain.engines.cuda.absent_device import AbsentDevice
from qmltrain.engines.cuda.derived import Counts, Derived, derive, derive_unfused
from qmltrain.engines.cuda.device import Device
from qmltrain.engines.cuda.device_plan import DevicePlan
from qmltrain.engines.cuda.fused import FusedSchedule
from qmltrain.engines.cuda.geometry import amplitude_bytes
from qmltrain.engines.cuda.schedule import Schedule
from qmltrain.engines.cuda.staging import staged_bytes
from qmltrain.engines.cuda.step import CudaStep, StepMemory
from qmltrain.engines.protocol import BLOCK, FloatArray, Forecast, GradientOptions, Precision, Traffic


class CudaProgram:
    """See `qmltrain.engines.protocol.Program`."""

    training_steps = None

    def __init__(
        self,
        device: Device,
        schedule: Schedule,
        precision: Precision,
        gradient: GradientOptions,
        memory_bytes: int,
    ) -> None:
        self.schedule, self.plan = schedule, schedule.plan
        least = schedule.padded(1)
        state_bytes = least * amplitude_bytes(precision) << schedule.address_bits
        samples = "1 sample" if least == 1 else f"{least} samples"
        mode, interval, reason = choose(
            gradient, self.plan.depth, state_bytes, max(0, memory_bytes - schedule.fixed_bytes), samples
        )
        cuts: list[int] = []
        if interval is not None:
            rotations = [one.rotations for one in schedule.passes]
            cuts = cuts_of_progress(rotations, self.plan.depth, interval, on_grid=False)
        self.device_plan = DevicePlan.of(device, schedule, precision, tuple(cuts), mode == "checkpoint")
        few = _bytes(self.device_plan, 1) if least == 1 else None
        self.forecast = Forecast(*_bytes(self.device_plan, BLOCK), mode, interval, reason, memory_bytes, few)
        self._memory = StepMemory(device, self.forecast)

    def traffic(self) -> Traffic:
        return Traffic(len(self.schedule.passes), self.schedule.tile_bits)

    def derived(self, batch: int, chunk: int) -> Derived | None:
        """Times of a step of `batch` samples, `chunk` at a time, on a GPU that is not here; None where it is, or where
        nobody has counted the instructions (complex128)."""
        device, schedule = self.device_plan.device, self.schedule
        if not isinstance(device, AbsentDevice):
            return None
        if isinstance(schedule, FusedSchedule):
            known = self.device_plan.precision == "complex64"
            counts = Counts.of(schedule.program, schedule.x_components.extra_at_random_angles())
            return derive(schedule.program, counts, device.gpu, batch, chunk) if known else None
        return derive_unfused(
            len(schedule.passes), device.gpu, batch, schedule.address_bits, self.device_plan.precision
        )

    def begin_step(self, shared_S: FloatArray) -> CudaStep:
        return CudaStep(self.device_plan, self._memory, shared_S)


def _bytes(plan: DevicePlan, count: int) -> tuple[int, int]:
    """Fixed bytes, and those of so many samples of one block."""
    schedule, circuit, real = plan.schedule, plan.schedule.plan, plan.real
    samples = schedule.padded(count)
    state_bytes = samples * amplitude_bytes(plan.precision) << schedule.address_bits
    longest = max((end - start for start, end in plan.segments()), default=1)
    states = 2 + len(plan.cuts) + (longest if plan.recomputes else 0)
    block_bytes = states * state_bytes + plan.scratch_values(samples) * real.itemsize
    # sums by block and by sample; gradients of each sample may be asked for
    n_raw, sample_columns = schedule.plan_values.n_raw, len(schedule.column_map.sample_column)
    block_bytes += 8 * (n_raw * (1 + count) + samples * (sample_columns + 2))
    per_sample = schedule.sample_bytes() + 16 * plan.vectors.n_strings
    block_bytes += samples * (per_sample << max(0, schedule.address_bits - 12))
    # two stages of inputs: per-sample slots and targets, initial states, and the shared angles
    inputs = 8 * count * (circuit.n_per_sample_slots + 1)
    if circuit.amplitude_encoded:
        inputs += count * real.itemsize << circuit.n_qubits
    block_bytes += 2 * inputs
    shared = schedule.shared_arrays(schedule.plan_values.shared_angles(np.zeros(circuit.n_shared_slots)))
    return schedule.fixed_bytes + 2 * sum(staged_bytes(array.nbytes) for array in shared), block_bytes
