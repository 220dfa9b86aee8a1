"""CpuProgram and CpuTape: the protocol on top of the extension's arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from types import ModuleType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu.layout import plan_data
from qmltrain.engines.protocol import BLOCK, Backward, FloatArray, Forecast, Precision, SlotValues
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
        self._kernel = extension.Program(
            plan_data(extension, plan),
            setting.instruction_set,
            setting.precision == "complex128",
            setting.kernel_mode,
            setting.kernel_interval,
            setting.threads,
            setting.fusion,
        )
        if setting.lane_bits is not None:
            self._kernel.force_lane_bits(setting.lane_bits)
        if setting.share_row_bits is not None:
            self._kernel.force_share_row_bits(setting.share_row_bits)
        self._ready: set[int] = set()
        self._twin: CpuProgram | None = None
        self.forecast = self._forecast()

    @property
    def n_raw(self) -> int:
        return int(self._kernel.n_raw)

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

    def _prepare(self, batch: int) -> None:
        """Plans for the layouts of this chunk's blocks."""
        if batch in self._ready:
            return
        blocks = {min(batch, BLOCK), batch % BLOCK or BLOCK}
        for samples in blocks:
            lane_bits = self._kernel.lane_bits(samples)
            if not self._kernel.has_shape(lane_bits):
                rows = self.plan.n_qubits - lane_bits
                row_bytes = self.setting.lanes * self.dtype.itemsize
                tile = tile_rows(rows, row_bytes, self.setting.tile_row_bits) + lane_bits
                plan = compile_plan(self.circuit, self.strings, tile_bits=tile, low_bits=lane_bits)
                self._kernel.add_shape(plan_data(self.extension, plan), lane_bits)
        self._ready.add(batch)

    def _check_memory(self, batch: int) -> None:
        forecast = self.forecast
        needed = forecast.fixed_bytes + ceil(batch / BLOCK * forecast.block_bytes)
        if needed > forecast.memory_bytes:
            raise MemoryLimitError(
                f"a chunk of {batch} samples needs {gib(needed)} of {gib(forecast.memory_bytes)}; use smaller chunks"
                " (training.micro_batch) or engine.precision=complex64"
            )

    def forward(self, slots: SlotValues, initial_BN: FloatArray | None = None) -> CpuTape:
        """Raises NonFiniteError where an angle or an expectation is NaN or infinite."""
        self._check_memory(slots.batch)
        self._require_finite_angles(slots)
        self._prepare(slots.batch)
        expectations_BM = np.empty((slots.batch, self.n_strings))
        tape = self._kernel.forward(
            _contiguous(slots.shared_S), _contiguous(slots.per_sample_BS), _optional(initial_BN), expectations_BM
        )
        self._require_finite(expectations_BM, "an expectation")
        return CpuTape(self, slots, initial_BN, tape, expectations_BM)

    def slot_gradient(self, total_R: FloatArray, shared_S: FloatArray) -> FloatArray:
        gradient_S = np.empty(self.plan.n_shared_slots)
        self._kernel.slot_gradient(_contiguous(total_R), _contiguous(shared_S), gradient_S)
        return gradient_S

    def expectation_gradient(
        self,
        slots: SlotValues,
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
        shared_S, per_sample_BS = slots.shared_S, slots.per_sample_BS
        batch = per_sample_BS.shape[0]
        self._prepare(batch)
        expectations_BM = np.empty((batch, self.n_strings))
        gradient_S = np.empty(self.plan.n_shared_slots)
        gradient_BS = np.empty((batch, self.plan.n_per_sample_slots)) if per_sample else None
        finite = self._kernel.expectation_gradient(
            shared_S,
            per_sample_BS,
            initial_BN,
            cotangent if cotangent.ndim == 2 else cotangent[None],
            expectations_BM,
            gradient_S,
            gradient_BS,
        )
        if not finite:
            self._require_finite_angles(slots)
            self._require_finite(expectations_BM, "an expectation")
            self._require_finite(gradient_S, "a gradient")
            if gradient_BS is not None:
                self._require_finite(gradient_BS, "a per-sample gradient")
        return expectations_BM, gradient_S, gradient_BS

    def _require_finite_angles(self, slots: SlotValues) -> None:
        self._require_finite(slots.shared_S, "a shared angle")
        self._require_finite(slots.per_sample_BS, "a sample's angle")

    def _require_finite(self, values: FloatArray, what: str) -> None:
        if self.extension.all_finite(values):
            return
        where = np.argwhere(~np.isfinite(values))[0]
        raise NonFiniteError(
            f"{what} is {values[tuple(where)]} (index {', '.join(map(str, where))}); an angle, an input state or a"
            " cotangent is NaN or infinite"
        )

    def bra_at_start(self, slots: SlotValues, cotangent_BM: FloatArray) -> NDArray[np.complexfloating]:
        """U^dagger O U |0...0> of each sample: the twin of this program that takes its start from the caller."""
        if self._twin is None:
            circuit = replace(self.circuit, amplitude_encoded=True)
            setting = replace(self.setting, kernel_mode="reversible", kernel_interval=0)
            self._twin = CpuProgram(self.extension, circuit, self.strings, compile_plan(circuit, self.strings), setting)
        start_BN = np.zeros((slots.batch, 1 << self.circuit.n_qubits))
        start_BN[:, 0] = 1.0
        bra_BN = self._twin.forward(slots, start_BN).backward(cotangent_BM, initial=True).initial_BN
        assert bra_BN is not None
        return bra_BN


class CpuTape:
    def __init__(
        self,
        program: CpuProgram,
        slots: SlotValues,
        initial_BN: FloatArray | None,
        tape: Any,
        expectations_BM: FloatArray,
    ) -> None:
        self.program, self.slots, self.expectations_BM = program, slots, expectations_BM
        self._encoded = initial_BN is not None
        self._tape = tape

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        """Raises NonFiniteError where a gradient is NaN or infinite, InputError when called twice."""
        if self._tape is None:
            raise InputError("backward of a tape may be called once; its states are gone")
        tape, self._tape = self._tape, None
        program, batch = self.program, self.slots.batch
        plan = program.plan
        block_sums_GR = np.empty((ceil(batch / BLOCK), program.n_raw))
        per_sample_BS = np.empty((batch, plan.n_per_sample_slots))
        drift_B = np.empty(batch)
        shared_BS = np.empty((batch, plan.n_shared_slots)) if per_sample_shared else None
        bra_BN = np.empty((batch, 1 << plan.n_qubits), dtype=program.dtype) if initial and self._encoded else None
        cotangent_BM = _contiguous(cotangent_BM)
        program._kernel.backward(tape, cotangent_BM, block_sums_GR, per_sample_BS, drift_B, shared_BS, bra_BN)
        program._require_finite(block_sums_GR, "a gradient")
        program._require_finite(per_sample_BS, "a per-sample gradient")
        if initial and not self._encoded:
            bra_BN = program.bra_at_start(self.slots, cotangent_BM)
        return Backward(block_sums_GR, per_sample_BS, drift_B, shared_BS, bra_BN)


def _contiguous(array: FloatArray) -> FloatArray:
    return np.ascontiguousarray(array, dtype=np.float64)


def _optional(array: FloatArray | None) -> FloatArray | None:
    return None if array is None else _contiguous(array)
