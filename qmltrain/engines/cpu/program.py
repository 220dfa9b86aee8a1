"""CpuProgram, CpuStep and CpuTape: the protocol on top of the extension's arrays."""

from __future__ import annotations

from dataclasses import replace
from math import ceil
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cpu.extension import kernels_of
from qmltrain.engines.cpu.plan_arrays import plan_data
from qmltrain.engines.cpu.setting import (
    SHARE_ROW_BITS,
    SHARES,
    STAYING_BYTES,
    KernelSetting,
    Overrides,
    Reported,
    amplitude_bytes,
    cache_sizes,
    choose_lane_bits,
    kept_states,
    most_in_unit,
    tile_rows,
)
from qmltrain.engines.cpu.training_steps import CpuTrainingSteps, states_at_once
from qmltrain.engines.host_step import HostStep
from qmltrain.engines.protocol import BLOCK, Backward, FloatArray, Forecast, Traffic, check_states
from qmltrain.engines.step_recipe import StepRecipe
from qmltrain.errors import InputError, MemoryLimitError, NonFiniteError
from qmltrain.fusion.passes import Pass, schedule
from qmltrain.fusion.plan import Plan
from qmltrain.fusion.product_starts import split
from qmltrain.fusion.stretches import whole_pass
from qmltrain.units import gib


class CpuProgram:
    """One plan on the CPU engine. Blocks of 16 samples run in the shape that suits their number of samples; a shape and
    its schedule are made when they are first needed."""

    def __init__(
        self, extension: ModuleType | Any, plan: Plan, kernels: KernelSetting, reported: Reported, overrides: Overrides
    ) -> None:
        self.extension, self.plan = extension, plan
        self.kernels, self.overrides = kernels, overrides
        self.sizes = cache_sizes(kernels.instruction_set)
        self.n_strings = len(plan.strings)
        self.dtype = np.dtype(kernels.precision)
        # what the passes do, and the product start that they find
        starts = plan.product_start and kernels.fusion and not plan.shared_blocks
        self._start, self._rest = split(plan) if starts else ((), plan)
        self.amplitude_bytes = amplitude_bytes(plan, kernels.precision)
        self.kernel = extension.Program(
            plan_data(extension, plan, schedule(self._rest), self._start),
            instruction_set=kernels_of(kernels.instruction_set),
            precision=kernels.precision,
            mode=kernels.mode,
            interval=kernels.interval,
            threads=kernels.threads,
            fusion=kernels.fusion,
            share_row_bits=overrides.share_row_bits or SHARE_ROW_BITS,
            table_bytes=self.sizes.table_bytes,
            # runs that began before the planner chose go on by the rule that native steps had then
            own_matrix=plan.shared_blocks is None,
        )
        if self.with_blocks:
            ranges = [(one.first, one.last) for one in plan.shared_blocks or ()]
            self.kernel.set_blocks(plan_data(extension, plan, [whole_pass(plan)]), ranges)
        self._ready: set[int] = set()  # sizes of chunks
        self._shapes: set[int] = set()  # lane bits
        self._twin: CpuProgram | None = None
        fixed, block, few = self._bytes()
        self.forecast = Forecast(
            fixed, block, reported.mode, reported.interval, reported.reason, reported.memory_bytes, few
        )

    @property
    def n_raw(self) -> int:
        return int(self.kernel.n_raw)

    @property
    def with_blocks(self) -> bool:
        """Whether stretches of shared gates are matrices, in native steps and evaluations."""
        return bool(self.plan.shared_blocks) and self.kernels.fusion

    def _bytes(self) -> tuple[int, int, tuple[int, int] | None]:
        """Fixed bytes, those of a block of 16 samples, and `Forecast.few`, where a sample is a unit of its own."""
        plan, kernels = self.plan, self.kernels
        state = self.amplitude_bytes << plan.n_qubits
        if kernels.mode == "keep":
            stored, working = kept_states(plan) - 1, 1
        else:
            interval = kernels.interval
            stored = 1 + (ceil(max(1, plan.depth) / interval) if interval else 0)
            working = 1 + (interval if kernels.mode == "checkpoint" else 0)
        unit = most_in_unit(plan.n_qubits, kernels.lanes, plan.sample_angles)
        of_all = self.amplitude_bytes * (plan.depth + 1) << plan.n_qubits
        across_lanes = min(self.sizes.table_bytes, of_all)
        tables = (self.amplitude_bytes * (plan.depth + 1) << min(plan.n_qubits, 13)) + across_lanes
        sums = 16 * kernels.lanes * self.dtype.itemsize * self.n_raw
        few = (tables + sums, (stored + working) * state) if unit == 1 else None  # not more threads than samples work
        fixed = tables + kernels.threads * unit * working * state + sums + self._bytes_of_blocks()
        return fixed, BLOCK * stored * state, few

    def _bytes_of_blocks(self) -> int:
        """Of the matrices: states of columns, U and U^dagger, sums over samples in shares (host/shared_blocks.hpp)."""
        size, amplitude = 1 << self.plan.n_qubits, self.dtype.itemsize
        of_matrix = size * max(size, self.kernels.lanes)
        each = STAYING_BYTES + of_matrix * (3 * amplitude + SHARES * (amplitude + 16))
        return len(self.plan.shared_blocks or ()) * each if self.with_blocks else 0

    def _lane_bits(self, samples: int) -> int:
        return choose_lane_bits(samples, self.plan, self.kernels.lanes, self.overrides.lane_bits, self.sizes)

    def _schedule(self, lane_bits: int) -> tuple[int, tuple[Pass, ...]]:
        """Bits of a tile, and the passes, of states with so many qubits in the lanes."""
        row_bytes = self.kernels.lanes * self.amplitude_bytes
        rows = tile_rows(self.plan.n_qubits - lane_bits, row_bytes, self.overrides.tile_row_bits, self.sizes)
        return rows + lane_bits, schedule(self._rest, rows + lane_bits, lane_bits)

    def traffic(self) -> Traffic:
        tile_bits, passes = self._schedule(self._lane_bits(BLOCK))
        return Traffic(len(passes), tile_bits, self.plan.real)

    def prepare(self, batch: int) -> None:
        """Make the shapes of a chunk's blocks."""
        if batch in self._ready:
            return
        blocks = {min(batch, BLOCK), batch % BLOCK or BLOCK}
        for samples in blocks:
            lane_bits = self._lane_bits(samples)
            if lane_bits not in self._shapes:
                _, passes = self._schedule(lane_bits)
                self.kernel.add_shape(plan_data(self.extension, self.plan, passes, self._start), lane_bits)
                self._shapes.add(lane_bits)
            self.kernel.use_shape(samples, lane_bits)
        self._ready.add(batch)

    def check_memory(self, batch: int) -> None:
        """Raise MemoryLimitError where the states of a chunk do not fit."""
        forecast, needed = self.forecast, self.forecast.bytes(batch)
        if needed > forecast.memory_bytes:
            raise MemoryLimitError(
                f"a chunk of {batch} samples needs {gib(needed)} of {gib(forecast.memory_bytes)}; use smaller chunks, "
                "engine.precision=complex64, or raise engine.memory_gib"
            )

    def begin_step(self, shared_S: FloatArray) -> CpuStep:
        """Raises NonFiniteError where an angle is NaN or infinite."""
        return CpuStep(self, shared_S)

    def training_steps(self, recipe: StepRecipe) -> CpuTrainingSteps:
        """Spans of whole training steps. Raises ValueError for a recipe that the extension does not know."""
        one_bundle = states_at_once(self) < self.kernels.threads
        return CpuTrainingSteps(self.extension, self.kernel, [self], recipe, one_bundle)

    @property
    def twin(self) -> CpuProgram:
        """This program with a start from the caller, for `CpuStep.bra_at_start`."""
        if self._twin is None:
            plan = replace(self.plan, amplitude_encoded=True, product_start=False, shared_blocks=())
            kernels = replace(self.kernels, mode="reversible", interval=0)
            forecast = self.forecast
            reported = Reported(forecast.mode, forecast.checkpoint_interval, forecast.reason, forecast.memory_bytes)
            self._twin = CpuProgram(self.extension, plan, kernels, reported, self.overrides)
        return self._twin

    def require_finite(self, values: FloatArray, what: str) -> None:
        """Raise NonFiniteError with the first value that is not."""
        if self.extension.all_finite(values):
            return
        where = np.argwhere(~np.isfinite(values))[0]
        raise NonFiniteError(
            f"{what} is {values[tuple(where)]} (index {', '.join(map(str, where))}); an angle, an input state or a"
            " cotangent is NaN or infinite"
        )


class CpuStep(HostStep):
    """Raises NonFiniteError where an angle, an expectation or a gradient is NaN or infinite."""

    def __init__(self, program: CpuProgram, shared_S: FloatArray) -> None:
        super().__init__()
        self.program, self.shared_S = program, _contiguous(shared_S)
        program.require_finite(self.shared_S, "a shared angle")
        self.handle = program.kernel.begin_step(self.shared_S)

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> CpuTape:
        program, batch = self.program, len(per_sample_BS)
        program.check_memory(batch)
        per_sample_BS = _contiguous(per_sample_BS)
        program.require_finite(per_sample_BS, "a sample's angle")
        program.prepare(batch)
        expectations_BM = np.empty((batch, program.n_strings))
        tape = program.kernel.forward(self.handle, per_sample_BS, _optional(initial_BN), expectations_BM)
        program.require_finite(expectations_BM, "an expectation")
        return CpuTape(self, per_sample_BS, initial_BN is not None, tape, expectations_BM)

    def expectations(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> FloatArray:
        program, batch = self.program, len(per_sample_BS)
        per_sample_BS = _contiguous(per_sample_BS)
        program.require_finite(per_sample_BS, "a sample's angle")
        program.prepare(batch)
        expectations_BM = np.empty((batch, program.n_strings))
        program.kernel.evaluate(self.handle, per_sample_BS, _optional(initial_BN), expectations_BM)
        program.require_finite(expectations_BM, "an expectation")
        return expectations_BM

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> NDArray[np.complexfloating]:
        program, batch = self.program, len(per_sample_BS)
        check_states(program.n_strings)
        per_sample_BS, initial_BN = _contiguous(per_sample_BS), _optional(initial_BN)
        program.require_finite(per_sample_BS, "a sample's angle")
        if initial_BN is not None:
            program.require_finite(initial_BN, "an amplitude")
        program.prepare(batch)
        states_BN = np.empty((batch, 1 << program.plan.n_qubits), dtype=program.dtype)
        order = program.plan.readout
        program.kernel.states(self.handle, per_sample_BS, initial_BN, order.start, list(order.masks), states_BN)
        return states_BN

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        gradient_S = np.empty(self.program.plan.n_shared_slots)
        self.program.kernel.slot_gradient(self.handle, _contiguous(total_R), gradient_S)
        return gradient_S

    def expectation_gradient(
        self,
        per_sample_BS: FloatArray,
        cotangent: FloatArray,
        initial_BN: FloatArray | None = None,
        *,
        per_sample: bool = True,
    ) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Forward and backward in one call: expectations (B, M), gradient of the shared slots (S,) and of the
        per-sample slots (B, S') of ``sum_bm cotangent_bm * expectation_bm``, for cotangents known beforehand: (M,)
        for all samples or (B, M). Without `per_sample` the gradients of the per-sample slots are neither taken nor
        returned (None), which small circuits notice. Blocks are added along the tree of
        `qmltrain.training.reduction`: the same bits as forward, backward and slot_gradient. Only a few states exist at
        a time, whatever the batch.
        """
        program, batch = self.program, len(per_sample_BS)
        program.prepare(batch)
        expectations_BM = np.empty((batch, program.n_strings))
        gradient_S = np.empty(program.plan.n_shared_slots)
        gradient_BS = np.empty((batch, program.plan.n_per_sample_slots)) if per_sample else None
        finite = program.kernel.expectation_gradient(
            self.handle,
            per_sample_BS,
            initial_BN,
            cotangent if cotangent.ndim == 2 else cotangent[None],
            expectations_BM,
            gradient_S,
            gradient_BS,
        )
        if not finite:
            program.require_finite(per_sample_BS, "a sample's angle")
            program.require_finite(expectations_BM, "an expectation")
            program.require_finite(gradient_S, "a gradient")
            if gradient_BS is not None:
                program.require_finite(gradient_BS, "a per-sample gradient")
        return expectations_BM, gradient_S, gradient_BS

    def bra_at_start(self, per_sample_BS: FloatArray, cotangent_BM: FloatArray) -> NDArray[np.complexfloating]:
        """U^dagger O U |0...0> of each sample: the twin of the program takes its start from the caller."""
        start_BN = np.zeros((len(per_sample_BS), 1 << self.program.plan.n_qubits))
        start_BN[:, 0] = 1.0
        tape = CpuStep(self.program.twin, self.shared_S).forward(per_sample_BS, start_BN)
        bra_BN = tape.backward(cotangent_BM, initial=True).initial_BN
        assert bra_BN is not None
        return bra_BN


class CpuTape:
    def __init__(
        self, step: CpuStep, per_sample_BS: FloatArray, encoded: bool, tape: Any, expectations_BM: FloatArray
    ) -> None:
        self.step, self.per_sample_BS, self.expectations_BM = step, per_sample_BS, expectations_BM
        self._encoded = encoded
        self._tape = tape

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        """Raises NonFiniteError where a gradient is NaN or infinite, InputError when called twice."""
        if self._tape is None:
            raise InputError("backward of a tape may be called once; its states are gone")
        tape, self._tape = self._tape, None
        program, batch = self.step.program, len(self.per_sample_BS)
        plan = program.plan
        block_sums_GR = np.empty((ceil(batch / BLOCK), program.n_raw))
        per_sample_BS = np.empty((batch, plan.n_per_sample_slots))
        drift_B = np.empty(batch)
        shared_BS = np.empty((batch, plan.n_shared_slots)) if per_sample_shared else None
        bra_BN = np.empty((batch, 1 << plan.n_qubits), dtype=program.dtype) if initial and self._encoded else None
        cotangent_BM = _contiguous(cotangent_BM)
        program.kernel.backward(tape, cotangent_BM, block_sums_GR, per_sample_BS, drift_B, shared_BS, bra_BN)
        program.require_finite(block_sums_GR, "a gradient")
        program.require_finite(per_sample_BS, "a per-sample gradient")
        if initial and not self._encoded:
            bra_BN = self.step.bra_at_start(self.per_sample_BS, cotangent_BM)
        return Backward(block_sums_GR, per_sample_BS, drift_B, shared_BS, bra_BN)


def _contiguous(array: FloatArray) -> FloatArray:
    return np.ascontiguousarray(array, dtype=np.float64)


def _optional(array: FloatArray | None) -> FloatArray | None:
    return None if array is None else _contiguous(array)
