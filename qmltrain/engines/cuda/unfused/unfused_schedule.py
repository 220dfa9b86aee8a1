"""The baseline's schedule: one in-place launch per gate. It shows what fusion gains, and is a second opinion on it.

Every gate of the circuit as written is one launch over all amplitudes: a one-qubit gate a general 2x2 unitary on
pairs, a diagonal gate a phase; CX, X and SWAP stay bookkeeping (they are free here, which flatters the baseline).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda.device import Buffer, Device, Kernel, View, real_of, structure
from qmltrain.engines.cuda.geometry import amplitude_bytes, blocks
from qmltrain.engines.cuda.schedule import ColumnMap, Launches
from qmltrain.engines.cuda.unfused.gate_launches import Launch, PairLaunch, PhaseLaunch, gate_launches
from qmltrain.engines.plan_values import PlanValues, SharedAngles
from qmltrain.engines.protocol import FloatArray, Precision
from qmltrain.fusion.compile import physical_string, readout
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.plan import AffineAngle, Diagonal, GateRun, Moment, Plan, Term

_THREADS = 256
# struct PairArguments and struct PhaseArguments of gates.cu
PAIR_ARGUMENTS = np.dtype(
    [(name, np.uint64) for name in ("psi", "bra", "factor", "sums")]
    + [("pairs", np.int64)]
    + [(name, np.int32) for name in ("pair_mask", "parity_mask", "pivot", "address_bits", "per_sample", "measures")],
    align=True,
)
PHASE_ARGUMENTS = np.dtype(
    [(name, np.uint64) for name in ("psi", "bra", "mask", "cycles", "sums")]
    + [("amplitudes", np.int64)]
    + [(name, np.int32) for name in ("terms", "address_bits", "per_sample", "measures")],
    align=True,
)


@dataclass
class UnfusedValues:
    """Angles of one chunk on the device, and the address of those of each launch."""

    factor: Buffer | View
    cycles: Buffer | View
    pointers: list[int]


class UnfusedSchedule:
    starts_itself = False
    tile_bits = 1  # pairs

    def __init__(
        self, device: Device, circuit: Circuit, strings: tuple[PauliString, ...], precision: Precision
    ) -> None:
        self.device, self.precision = device, precision
        self.real = real_of(precision)
        self.launches, gate_runs, frame = gate_launches(circuit)
        self.plan = self._plan(circuit, strings, gate_runs, frame)
        self.strings, self.readout = self.plan.strings, self.plan.readout
        self.plan_values = PlanValues(self.plan)
        self.address_bits = max(4, circuit.n_qubits)
        self.masks = device.upload(
            np.array(
                [t.mask for one in self.launches if isinstance(one, PhaseLaunch) for t in one.terms] or [0], np.int32
            )
        )
        self.first_mask: list[int] = []  # of each launch
        self._number_columns()

    def _plan(
        self, circuit: Circuit, strings: tuple[PauliString, ...], gate_runs: tuple[GateRun, ...], frame: Frame
    ) -> Plan:
        """The circuit lowered gate by gate: moment k + 1 is launch k."""
        moments = [Moment((), None)]
        for number, one in enumerate(self.launches):
            if isinstance(one, PairLaunch):
                moments.append(Moment((one.rotation,), None))
            else:
                shared = tuple(t for t in one.terms if not _per_sample(t))
                own = tuple(t for t in one.terms if _per_sample(t))
                moments.append(Moment((), Diagonal(number + 1, shared, own)))
        return Plan(
            n_qubits=circuit.n_qubits,
            amplitude_encoded=circuit.amplitude_encoded,
            gate_runs=gate_runs,
            moments=tuple(moments),
            strings=tuple(physical_string(s, frame) for s in strings),
            readout=readout(frame),
            n_shared_slots=len(circuit.slots.shared),
            n_per_sample_slots=len(circuit.slots.per_sample),
        )

    def _number_columns(self) -> None:
        """Columns of the sums, and the map from them to raw sums and slots."""
        raw: list[tuple[int, int, int]] = []
        sample: list[tuple[int, int, float]] = []
        passes, column, masks = [], 0, 0
        for number, one in enumerate(self.launches):
            self.first_mask.append(masks)
            first = column
            if isinstance(one, PairLaunch):
                gate_run = self.plan.gate_runs[one.rotation.gate_run]
                sign = -1 if one.rotation.flip else 1
                if gate_run.is_trainable:
                    column += 3
                    if gate_run.per_sample:
                        angle = gate_run.rotations[0].angle
                        assert angle.slot is not None
                        sample.append((first + 1, angle.slot, sign * angle.coefficient))
                    else:
                        row = 3 * one.rotation.gate_run
                        raw += [(first, row, 1), (first + 1, row + 1, sign), (first + 2, row + 2, sign)]
                passes.append(Launches(1, first, column - first))
                continue
            masks += len(one.terms)
            if any(_slot(t) is not None for t in one.terms):
                column += len(one.terms)
                rows = iter(self.plan_values.shared_terms[number + 1].gradient_rows)
                for k, term in enumerate(one.terms):
                    angle = _slot_angle(term)
                    if angle.per_sample:
                        assert angle.slot is not None
                        sample.append((first + k, angle.slot, term.sign * angle.coefficient))
                    else:
                        row = int(next(rows))
                        if row >= 0:
                            raw.append((first + k, row, 1))
            passes.append(Launches(0, first, column - first))
        self.passes = tuple(passes)
        self.n_columns = column
        self.column_map = ColumnMap.of(raw, sample)
        self.fixed_bytes = 4 * masks + 6 * self.real.itemsize * len(self.plan.gate_runs)

    def padded(self, batch: int) -> int:
        return batch

    def rows_per_sample(self, index: int) -> int:
        threads = 1 << (self.address_bits - int(isinstance(self.launches[index], PairLaunch)))
        return max(1, threads // _THREADS)

    def strides(self, index: int, rows: int) -> tuple[int, int]:
        return self.passes[index].columns, 1

    def sample_bytes(self) -> int:
        entries = sum(
            6 if isinstance(one, PairLaunch) else len(one.terms) for one in self.launches if self._by_sample(one)
        )
        return entries * self.real.itemsize

    def _by_sample(self, one: Launch) -> bool:
        if isinstance(one, PairLaunch):
            return self.plan.gate_runs[one.rotation.gate_run].per_sample
        return any(_per_sample(t) for t in one.terms)

    def shared_arrays(self, angles: SharedAngles) -> tuple[NDArray[Any], ...]:
        """None: the baseline computes everything for every chunk."""
        return ()

    def completed(self, raw_R: FloatArray, angles: SharedAngles) -> FloatArray:
        return raw_R

    def sample_arrays(self, angles: SharedAngles, per_sample_BS: FloatArray) -> tuple[NDArray[Any], ...]:
        """cos and sin of alpha/2, beta/2, gamma/2 of the pair launches; angles / 2 pi of the phases."""
        factors: list[NDArray[np.float64]] = []
        cycles: list[NDArray[np.float64]] = []
        for one in self.launches:
            if isinstance(one, PairLaunch):
                flip = -1.0 if one.rotation.flip else 1.0
                number = one.rotation.gate_run
                gate_run = self.plan.gate_runs[number]
                if gate_run.per_sample:
                    beta = _value(gate_run.rotations[0].angle, angles.shared_S, per_sample_BS)
                    alpha, gamma = np.full_like(beta, one.alpha), np.full_like(beta, -one.alpha)
                else:
                    alpha, beta, gamma = (a[number : number + 1] for a in (angles.alpha, angles.beta, angles.gamma))
                half = np.stack([alpha, beta, gamma], axis=-1) * (flip / 2)
                factors.append(np.stack([np.cos(half), np.sin(half)], axis=-1).ravel())
            else:
                rows = len(per_sample_BS) if self._by_sample(one) else 1
                values = [t.sign * _value(_slot_angle(t), angles.shared_S, per_sample_BS) for t in one.terms]
                block = np.stack([np.broadcast_to(v, (rows,)) for v in values], axis=1) / (2 * np.pi)
                cycles.append((block - np.rint(block)).ravel())
        return tuple(np.concatenate([*parts, [0.0]]).astype(self.real) for parts in (factors, cycles))

    def prepare(self, buffers: Sequence[Buffer | View], batch: int) -> UnfusedValues:
        factor, cycles = buffers
        pointers, factor_end, terms_end = [], 0, 0
        for one in self.launches:
            rows = batch if self._by_sample(one) else 1
            if isinstance(one, PairLaunch):
                pointers.append(factor.pointer + self.real.itemsize * factor_end)
                factor_end += 6 * rows
            else:
                pointers.append(cycles.pointer + self.real.itemsize * terms_end)
                terms_end += len(one.terms) * rows
        return UnfusedValues(factor, cycles, pointers)

    def seconds(self, samples: int) -> float:
        """At 100 GB/s: psi read and written forward, psi and bra backward."""
        moved = len(self.launches) * 6 * amplitude_bytes(self.precision) * samples << self.address_bits
        return moved / 1e11

    def forward(self, index: int, psi: Buffer, values: UnfusedValues, samples: int, from_zero: bool) -> None:
        self._launch(index, "forward", psi, None, values, samples, None)

    def backward(self, index: int, psi: Buffer, bra: Buffer, values: UnfusedValues, samples: int, sums: Buffer) -> None:
        self._launch(index, "backward", psi, bra, values, samples, sums)

    def _launch(
        self,
        index: int,
        direction: str,
        psi: Buffer,
        bra: Buffer | None,
        values: UnfusedValues,
        samples: int,
        sums: Buffer | None,
    ) -> None:
        one, size = self.launches[index], self.real.itemsize
        fields = {
            "psi": psi.pointer,
            "bra": 0 if bra is None else bra.pointer,
            "sums": 0 if sums is None else sums.pointer,
            "address_bits": self.address_bits,
            "per_sample": int(self._by_sample(one)),
            "measures": int(self.passes[index].columns > 0),
        }
        if isinstance(one, PairLaunch):
            items = samples << (self.address_bits - 1)
            fields |= {
                "factor": values.pointers[index],
                "pairs": items,
                "pair_mask": one.rotation.pair_mask,
                "parity_mask": one.rotation.parity_mask,
                "pivot": one.rotation.pair_mask.bit_length() - 1,
            }
            name, dtype = f"pair_gate_{direction}", PAIR_ARGUMENTS
        else:
            items = samples << self.address_bits
            fields |= {
                "mask": View(self.masks, 4 * self.first_mask[index]).pointer,
                "cycles": values.pointers[index],
                "amplitudes": items,
                "terms": len(one.terms),
            }
            name, dtype = f"phase_gate_{direction}", PHASE_ARGUMENTS
        kernel = Kernel("gates", name, self.precision)
        arguments = structure(dtype, fields)
        self.device.launch(kernel, blocks(items, _THREADS), _THREADS, 8 * size, (arguments,))

    def describe(self) -> str:
        size = amplitude_bytes(self.precision)
        return f"fusion off: {len(self.launches)} launches, each reads and writes {2 * size} bytes per amplitude"


def _slot_angle(term: Term) -> AffineAngle:
    assert isinstance(term.angle, AffineAngle)
    return term.angle


def _per_sample(term: Term) -> bool:
    return _slot_angle(term).per_sample


def _slot(term: Term) -> int | None:
    return _slot_angle(term).slot


def _value(angle: AffineAngle, shared_S: FloatArray, per_sample_BS: FloatArray) -> FloatArray:
    """(1,) or (B,) radians."""
    if angle.slot is None:
        return np.array([angle.offset])
    if angle.per_sample:
        return angle.coefficient * per_sample_BS[:, angle.slot] + angle.offset
    return angle.coefficient * shared_S[angle.slot : angle.slot + 1] + angle.offset
