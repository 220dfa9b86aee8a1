"""CpuProgram, CpuStep and CpuTape: the protocol on top of the extension's arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu.plan_arrays import plan_data
from qmltrain.engines.host_step import HostStep
from qmltrain.engines.protocol import BLOCK, Backward, FloatArray, Forecast, Precision
from qmltrain.errors import InputError, MemoryLimitError, NonFiniteError
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan
from qmltrain.units import gib


@dataclass(frozen=True)
class Setting:
    """Everything that was chosen at compile time; `mode` and `interval` are what the forecast reports."""

    precision: Precision
    kernel_mode: Literal["keep", "reversible", "checkpoint"]
    kernel_interval: int
    threads: int
    fusion: bool
    instruction_set: str
    tile_row_bits: int | None
    lane_bits: int | None
    share_row_bits: int | None
    mode: Literal["reversible", "checkpoint"]
    interval: int | None
    reason: str
    memory_bytes: int
    kept_states: int
    lanes: int


TILE_BYTES = 32 << 10  # of a tile: psi and lambda stay near the first cache
RESIDENT_BYTES = 2 << 20  # psi and lambda stream from the second and third cache faster than tiles of them are gathered
TABLE_BYTES = 32 << 20  # most that tables of diagonals across the lanes take; kWholeTableBytes of shape.hpp


def most_in_unit(n_qubits: int, lanes: int) -> int:
    """Most samples that one unit of work may hold: its lanes, less those that hold qubits (Engine::lane_bits_of)."""
    return lanes >> max(0, min(n_qubits - 12, lanes.bit_length() - 1))


def tile_rows(row_bits: int, row_bytes: int, override: int | None = None) -> int:
    """Bits of a tile of the 2^row_bits rows: all where the state is resident; else as few tiles as `TILE_BYTES`
    allows, of even size, so that rotations go in pairs. `override`: at most so many, whatever the caches."""
    most = override or (TILE_BYTES // row_bytes).bit_length() - 1
    if row_bits <= (override or (RESIDENT_BYTES // row_bytes).bit_length() - 1):
        return row_bits
    count = ceil(row_bits / most)
    bits = ceil(row_bits / count)
    return min(most, bits + bits % 2)


class CpuProgram:
    """One circuit on the CPU engine. Blocks of 16 samples run in the layout that suits their number of samples; the
    plan of a layout is made when it is first needed."""

    def __init__(
        self,
        extension: ModuleType | Any,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        plan: Plan,
        setting: Setting,
    ) -> None:
        self.extension, self.circuit, self.strings, self.plan, self.setting = extension, circuit, strings, plan, setting
        self.n_strings = len(strings)
        self.dtype = np.dtype(setting.precision)
        self.kernel = extension.Program(
            plan_data(extension, plan),
            setting.instruction_set,
            setting.precision == "complex128",
            setting.kernel_mode,
            setting.kernel_interval,
            setting.threads,
            setting.fusion,
        )
        if setting.lane_bits is not None:
            self.kernel.force_lane_bits(setting.lane_bits)
        if setting.share_row_bits is not None:
            self.kernel.force_share_row_bits(setting.share_row_bits)
        self._ready: set[int] = set()
        self._twin: CpuProgram | None = None
        self.forecast = self._forecast()

    @property
    def n_raw(self) -> int:
        return int(self.kernel.n_raw)

    def _forecast(self) -> Forecast:
        setting, plan = self.setting, self.plan
        state = self.dtype.itemsize << plan.n_qubits
        if setting.kernel_mode == "keep":
            stored, working = setting.kept_states - 1, 1
        else:
            interval = setting.kernel_interval
            stored = 1 + (ceil(max(1, plan.n_steps) / interval) if interval else 0)
            working = 1 + (interval if setting.kernel_mode == "checkpoint" else 0)
        unit = most_in_unit(plan.n_qubits, setting.lanes)
        tables = (self.dtype.itemsize * (plan.n_steps + 1) << min(plan.n_qubits, 13)) + TABLE_BYTES
        fixed = (
            tables + setting.threads * unit * working * state + 16 * setting.lanes * self.dtype.itemsize * self.n_raw
        )
        return Forecast(
            fixed, BLOCK * stored * state, setting.mode, setting.interval, setting.reason, setting.memory_bytes
        )

    def prepare(self, batch: int) -> None:
        """Make the kernels' plans for the blocks of a chunk."""
        if batch in self._ready:
            return
        blocks = {min(batch, BLOCK), batch % BLOCK or BLOCK}
        for samples in blocks:
            lane_bits = self.kernel.lane_bits(samples)
            if not self.kernel.has_shape(lane_bits):
                rows = self.plan.n_qubits - lane_bits
                row_bytes = self.setting.lanes * self.dtype.itemsize
                tile = tile_rows(rows, row_bytes, self.setting.tile_row_bits) + lane_bits
                plan = compile_plan(self.circuit, self.strings, tile_bits=tile, low_bits=lane_bits)
                self.kernel.add_shape(plan_data(self.extension, plan), lane_bits)
        self._ready.add(batch)

    def check_memory(self, batch: int) -> None:
        """Raise MemoryLimitError where the states of a chunk do not fit."""
        forecast = self.forecast
        needed = forecast.fixed_bytes + ceil(batch / BLOCK * forecast.block_bytes)
        if needed > forecast.memory_bytes:
            raise MemoryLimitError(
                f"a chunk of {batch} samples needs {gib(needed)} of {gib(forecast.memory_bytes)}; use smaller chunks, "
                "engine.precision=complex64, or raise engine.memory_gib"
            )

    def begin_step(self, shared_S: FloatArray) -> CpuStep:
        """Raises NonFiniteError where an angle is NaN or infinite."""
        return CpuStep(self, shared_S)

    @property
    def twin(self) -> CpuProgram:
        """This program with a start from the caller, for `CpuStep.bra_at_start`."""
        if self._twin is None:
            circuit = replace(self.circuit, amplitude_encoded=True)
            setting = replace(self.setting, kernel_mode="reversible", kernel_interval=0)
            self._twin = CpuProgram(self.extension, circuit, self.strings, compile_plan(circuit, self.strings), setting)
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
