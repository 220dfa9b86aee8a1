"""The interpreter: executes Plans in plain NumPy. It knows only R and D and shares nothing with `reference`.

It proves the lowering and is the living definition of what a fast engine must do. States are (B, N) arrays in
physical addresses; passes matter only for counting (a test compares the counts with the cost model).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.checkpointing import choose, cuts_of_progress, states_in_flight
from qmltrain.engines.host_step import HostStep, check_addresses
from qmltrain.engines.plan_values import PlanValues, SampleRun, TermTable
from qmltrain.engines.protocol import (
    BLOCK,
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    Backward,
    EngineOptions,
    FloatArray,
    Forecast,
    GradientOptions,
    Precision,
    Traffic,
    check_states,
)
from qmltrain.fusion.cost import D_MULTIPLY_ADDS, R_MULTIPLY_ADDS, V_PAIR_MULTIPLY_ADDS, W_MULTIPLY_ADDS
from qmltrain.fusion.passes import Operation, Pass, Rotations, schedule
from qmltrain.fusion.plan import Diagonal, PhysicalString, Plan, Rotation
from qmltrain.gf2 import walsh_hadamard
from qmltrain.job_limits import available_bytes

State = NDArray[np.complexfloating]  # (B, N)

_TEMPORARIES = 4  # NumPy's intermediate arrays of a state's size


@dataclass
class Count:
    """What was done, summed over samples; compare with `qmltrain.fusion.cost`."""

    multiply_adds: int = 0
    bytes: int = 0


class InterpreterEngine:
    """`engine.name=interpreter`: runs anywhere, slowly. `tile_bits` and `low_bits` are for tests of tiled plans."""

    name = "interpreter"
    has_baseline = False
    reductions: tuple[str, ...] = ("light_cones", "sample_angles")
    joint_training_steps = None

    def __init__(self, tile_bits: int = 64, low_bits: int = 0) -> None:
        self.tile_bits = tile_bits
        self.low_bits = low_bits

    def describe(self) -> str:
        return "interpreter: NumPy, one thread"

    def compile(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision = "complex64",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> InterpreterProgram:
        check_addresses(self.name, circuit)
        plan = options.planner(circuit, strings)
        passes = schedule(plan, self.tile_bits, self.low_bits)
        return InterpreterProgram(plan, passes, precision, gradient, options)


class InterpreterProgram:
    training_steps = None

    def __init__(
        self,
        plan: Plan,
        passes: tuple[Pass, ...],
        precision: Precision,
        gradient: GradientOptions,
        options: EngineOptions,
    ) -> None:
        self.plan, self.passes = plan, passes
        self.plan_values = PlanValues(plan)
        self.dtype = np.dtype(precision)
        size = 1 << plan.n_qubits
        state_bytes = self.dtype.itemsize * size
        memory = options.memory_bytes or available_bytes()
        mode, interval, reason = choose(gradient, plan.depth, state_bytes, memory, "1 sample")
        segment = 2 * (interval or 0) if mode == "checkpoint" else 0  # a moment is about one R and one D
        states = states_in_flight(mode, plan.depth, interval) + segment + _TEMPORARIES
        sample = states * state_bytes
        self.forecast = Forecast(8 * size, BLOCK * sample, mode, interval, reason, memory, (8 * size, sample))
        self.address = np.arange(size, dtype=np.int64)
        self.n_raw = self.plan_values.n_raw
        self.operations: list[Operation] = [operation for one in passes for operation in one.operations]
        self.checkpoints = self._checkpoints(interval)
        self.count = Count()

    def _checkpoints(self, interval: int | None) -> set[int]:
        """Positions in `operations` before which psi is kept: the start, then before rotations."""
        if interval is None:
            return set()
        found = [(k, len(one.rotations)) for k, one in enumerate(self.operations) if isinstance(one, Rotations)]
        cuts = cuts_of_progress([count for _, count in found], self.plan.depth, interval, on_grid=True)
        return {0, *(found[index][0] for index in cuts[1:])}

    def traffic(self) -> Traffic:
        return Traffic(len(self.passes), len(self.passes[0].basis))

    def begin_step(self, shared_S: FloatArray) -> InterpreterStep:
        return InterpreterStep(self, shared_S)


class InterpreterStep(HostStep):
    def __init__(self, program: InterpreterProgram, shared_S: FloatArray) -> None:
        super().__init__()
        self.program, self.angles = program, program.plan_values.shared_angles(shared_S)

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> InterpreterTape:
        return InterpreterTape(self, per_sample_BS, initial_BN)

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> State:
        plan = self.program.plan
        check_states(len(plan.strings))
        return np.take(self.forward(per_sample_BS, initial_BN).state, plan.readout.addresses(), axis=1)

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        return self.program.plan_values.slot_gradient(total_R, self.angles)


class InterpreterTape:
    def __init__(self, step: InterpreterStep, per_sample_BS: FloatArray, initial_BN: FloatArray | None) -> None:
        self.step, self.program, self.angles = step, step.program, step.angles
        self.per_sample_BS = per_sample_BS
        program = self.program
        self.sample_angles = program.plan_values.sample_angles(per_sample_BS, self.angles)
        self.start: State = np.zeros((len(per_sample_BS), len(program.address)), dtype=program.dtype)
        if initial_BN is None:
            self.start[:, 0] = 1
        else:
            self.start[:] = initial_BN
        self.kept: dict[int, State] = {}
        state = self.start
        for position in range(len(program.operations)):
            if position in program.checkpoints:
                self.kept[position] = state
            state = self._apply(state, position)
        self._count_passes(states=1)
        self.state = state
        self.expectations_BM = self._expectations(state)

    def _count_passes(self, states: int) -> None:
        self.program.count.bytes += 2 * states * self.start.nbytes * len(self.program.passes)

    def _apply(self, state: State, position: int, inverse: bool = False) -> State:
        operation = self.program.operations[position]
        if isinstance(operation, Rotations):
            for rotation in operation.rotations:  # they commute
                state = self._rotate(state, rotation, inverse)
            return state
        self.program.count.multiply_adds += D_MULTIPLY_ADDS * state.size
        factor = self._diagonal(operation)
        return state * (factor.conj() if inverse else factor)

    def _rotate(self, state: State, rotation: Rotation, inverse: bool) -> State:
        """RY(beta): bit 0 gets cos x0 - sin x1, bit 1 gets cos x1 + sin x0, with x_other at z ^ pair_mask."""
        program = self.program
        program.count.multiply_adds += R_MULTIPLY_ADDS * state.size
        run = program.plan_values.sample_runs.get(rotation.gate_run)
        own_beta = self.sample_angles.beta_BQ
        half = (self.angles.beta[rotation.gate_run] if run is None else own_beta[:, run.position, None]) / 2
        real = program.dtype.char.lower()  # complex64 -> f, complex128 -> d
        cosine = np.asarray(np.cos(half)).astype(real)
        sine = np.asarray(np.sin(half) * (-1 if inverse else 1)).astype(real)
        sign = -self._z_sign(rotation.parity_mask, rotation.flip).astype(real)
        return cosine * state + (sine * sign) * state[:, program.address ^ rotation.pair_mask]

    def _z_sign(self, mask: int, flip: bool = False) -> NDArray[np.int64]:
        """(N,) +1 where the parity of z & mask (xor flip) is 0, else -1."""
        return 1 - 2 * ((np.bitwise_count(self.program.address & mask) & 1) ^ int(flip)).astype(np.int64)

    def _diagonal(self, operation: Diagonal) -> State:
        """(1 or B, N) factors exp(-i/2 sum_S phi_S Z_S): a Walsh-Hadamard transform of the angles over masks."""
        plan_values = self.program.plan_values
        shared = plan_values.shared_terms[operation.moment]
        phases = self._walsh(shared, (shared.coefficients * self.angles.sources[shared.source] + shared.offsets)[None])
        if operation.per_sample:
            table = plan_values.per_sample_terms[operation.moment]
            values = table.coefficients * self.sample_angles.sources[:, table.source] + table.offsets
            phases = phases + self._walsh(table, values)
        return np.exp(-0.5j * phases).astype(self.program.dtype)

    def _walsh(self, table: TermTable, angles_BT: FloatArray) -> FloatArray:
        weights = np.zeros((len(angles_BT), len(self.program.address)))
        for k, mask in enumerate(table.masks):
            weights[:, mask] += angles_BT[:, k]
        return walsh_hadamard(weights)

    def _expectations(self, state: State) -> FloatArray:
        """(B, M). Those of all strings of Z at once: the Walsh-Hadamard transform of the probabilities."""
        strings = self.program.plan.strings
        found_BM = np.empty((len(state), len(strings)))
        if any(not string.x_mask for string in strings):
            sums_BN = walsh_hadamard(np.square(state.real, dtype=np.float64) + np.square(state.imag, dtype=np.float64))
        for column, string in enumerate(strings):
            if string.x_mask:
                found_BM[:, column] = np.sum((state.conj() * self._string(state, string)).real, axis=1)
            else:
                found_BM[:, column] = string.sign * sums_BN[:, string.z_mask]
        return found_BM

    def measured(self, sample: int, shots: int, generator: np.random.Generator) -> FloatArray:
        """(M,) every string of I and Z averaged over `shots` measurements of this sample in the computational basis;
        zero for strings with X or Y."""
        cumulative = np.cumsum(np.abs(self.state[sample].astype(np.complex128)) ** 2)
        drawn = np.searchsorted(cumulative, generator.random(shots) * cumulative[-1], side="right")
        addresses = np.minimum(drawn, len(cumulative) - 1)
        sums_N = walsh_hadamard(np.bincount(addresses, minlength=len(cumulative)).astype(np.float64))
        strings = self.program.plan.strings  # on addresses too a string of Z is a sign by parity
        return np.array([0.0 if s.x_mask else s.sign * sums_N[s.z_mask] / shots for s in strings])

    def _bra(self, state: State, cotangent_BM: FloatArray) -> State:
        """sum_m c_m P_m psi."""
        weights_BN = np.zeros(state.shape)
        bra = np.zeros_like(state)
        for column, string in enumerate(self.program.plan.strings):
            if string.x_mask:
                bra += cotangent_BM[:, column, None].astype(self.program.dtype) * self._string(state, string)
            else:
                weights_BN[:, string.z_mask] += string.sign * cotangent_BM[:, column]
        return bra + walsh_hadamard(weights_BN).astype(self.program.dtype) * state

    def _string(self, state: State, string: PhysicalString) -> State:
        """P psi: amplitude at z goes to z ^ x_mask with sign * i^n_y * (-1)^parity(z & z_mask)."""
        factor = string.sign * 1j**string.n_y * self._z_sign(string.z_mask)
        return (state * factor.astype(state.dtype))[:, self.program.address ^ string.x_mask]

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        program, plan = self.program, self.program.plan
        batch = len(self.per_sample_BS)
        raw_BR = np.zeros((batch, program.plan_values.n_raw))
        per_sample_BS = np.zeros((batch, plan.n_per_sample_slots))
        state, bra = self.state, self._bra(self.state, cotangent_BM)
        recompute = program.forecast.mode == "checkpoint"
        segment: dict[int, State] = {}
        for position in range(len(program.operations) - 1, -1, -1):
            if recompute and position not in segment:
                segment = self._recompute(position)
            operation = program.operations[position]
            if isinstance(operation, Rotations):
                self._rotation_gradients(operation, state, bra, raw_BR, per_sample_BS)
            else:
                self._diagonal_gradients(operation, state, bra, raw_BR, per_sample_BS)
            if recompute:
                state = segment[position]
            else:
                state = self._apply(state, position, inverse=True)
                state = self.kept.get(position, state)
            bra = self._apply(bra, position, inverse=True)
        self._count_passes(states=2)
        drift_B = np.full(batch, np.nan) if self.kept else np.linalg.norm(state - self.start, axis=1)
        return Backward(
            block_sums_GR=np.add.reduceat(raw_BR, np.arange(0, batch, BLOCK), axis=0),
            per_sample_BS=per_sample_BS,
            drift_B=drift_B,
            shared_BS=self.step.slot_gradient(raw_BR) if per_sample_shared else None,
            initial_BN=bra if initial else None,
        )

    def _recompute(self, position: int) -> dict[int, State]:
        """States before each operation of the checkpoint segment that holds `position`."""
        start = max(k for k in self.kept if k <= position)
        states = {start: self.kept[start]}
        for k in range(start, position):
            states[k + 1] = self._apply(states[k], k)
        return states

    def _rotation_gradients(
        self, operation: Rotations, state: State, bra: State, raw_BR: FloatArray, per_sample_BS: FloatArray
    ) -> None:
        """v right after the R's; rotations of one moment act on different qubits, so all v are taken at once."""
        program, gate_runs = self.program, self.program.plan.gate_runs
        plan_values, address = program.plan_values, program.address
        w_BN = None
        if any(gate_runs[r.gate_run].needs_v_z for r in operation.rotations):
            w_BN = self._w(state, bra)
        for rotation in operation.rotations:
            gate_run = gate_runs[rotation.gate_run]
            if not gate_run.is_trainable:
                continue
            # paired_z = conj(bra at z ^ mask) psi_z
            paired = bra[:, address ^ rotation.pair_mask].conj() * state
            sign = self._z_sign(rotation.parity_mask, rotation.flip)
            v_y = np.sum(paired.real * sign, axis=1, dtype=np.float64)
            program.count.multiply_adds += V_PAIR_MULTIPLY_ADDS * state.size
            v_3B = np.zeros((3, len(state)))
            v_3B[1] = v_y
            if not gate_run.real:
                program.count.multiply_adds += V_PAIR_MULTIPLY_ADDS * state.size
                v_3B[0] = np.sum(paired.imag, axis=1, dtype=np.float64)
                assert w_BN is not None
                v_3B[2] = np.sum(w_BN * sign, axis=1, dtype=np.float64)
            if gate_run.per_sample:
                self._sample_run_gradients(plan_values.sample_runs[rotation.gate_run], v_3B, raw_BR, per_sample_BS)
            else:
                raw_BR[:, 3 * rotation.gate_run : 3 * rotation.gate_run + 3] = v_3B.T

    def _sample_run_gradients(
        self, run: SampleRun, v_3B: FloatArray, raw_BR: FloatArray, per_sample_BS: FloatArray
    ) -> None:
        along_kB = self.program.plan_values.along_sample_run(run, self.sample_angles, v_3B)
        for k, (column, row) in enumerate(zip(run.columns, run.raw_rows, strict=True)):
            if row >= 0:
                raw_BR[:, row] = along_kB[k]
            elif column < per_sample_BS.shape[1]:
                per_sample_BS[:, column] += run.coefficients[k] * along_kB[k]

    def _w(self, state: State, bra: State) -> FloatArray:
        self.program.count.multiply_adds += W_MULTIPLY_ADDS * state.size
        return (bra.conj() * state).imag.astype(np.float64)

    def _diagonal_gradients(
        self, operation: Diagonal, state: State, bra: State, raw_BR: FloatArray, per_sample_BS: FloatArray
    ) -> None:
        """Im <bra|Z_S|psi> of every mask S at once: the Walsh-Hadamard transform of w = Im(conj(bra) psi)."""
        if not operation.has_gradient:
            return
        sums_BN = walsh_hadamard(self._w(state, bra))
        plan_values = self.program.plan_values
        shared = plan_values.shared_terms[operation.moment]
        for mask, row in zip(shared.masks, shared.gradient_rows, strict=True):
            if row >= 0:
                raw_BR[:, row] = sums_BN[:, mask]
        table = plan_values.per_sample_terms[operation.moment]
        for k, (mask, slot) in enumerate(zip(table.masks, table.slots, strict=True)):
            if slot >= 0:
                per_sample_BS[:, slot] += table.coefficients[k] * sums_BN[:, mask]
