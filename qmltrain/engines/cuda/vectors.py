"""The kernels of vectors.cu as methods: start states, expectation values, bras, distances, sums of rows, angles."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from qmltrain.engines.cuda.device import Buffer, Device, Kernel, View, pointer, real_of
from qmltrain.engines.cuda.geometry import blocks
from qmltrain.engines.protocol import Precision
from qmltrain.fusion.plan import AffineAngle, PhysicalString

_THREADS = 256
_PART_BITS = 12  # amplitudes of one block: 2^12


class Vectors:
    """Vector operations on states of 2^address_bits amplitudes per sample (address_bits >= 4)."""

    def __init__(
        self, device: Device, precision: Precision, n_qubits: int, address_bits: int, strings: Sequence[PhysicalString]
    ) -> None:
        self.device, self.precision = device, precision
        self.n_qubits, self.address_bits = n_qubits, address_bits
        self.real = real_of(precision)
        self.order = sorted(range(len(strings)), key=lambda m: (strings[m].x_mask, strings[m].z_mask))
        self.n_strings = len(strings)
        self.strings = device.upload(np.array([_encoded(strings[m]) for m in self.order] or [(0,) * 4], dtype=np.int32))
        self.column = device.upload(np.array(self.order or [0], dtype=np.int32))  # of a string in the cotangents
        # sums of rows that keep their columns: string `order[k]` stands at column k
        self.by_string = device.upload(np.array([(k, m) for k, m in enumerate(self.order)] or [(0, 0)], dtype=np.int32))

        self.one_column = device.upload(np.zeros((1, 2), dtype=np.int32))

    def _launch(self, name: str, grid: int, shared_bytes: int, *arguments: np.generic) -> None:
        if grid:
            self.device.launch(Kernel("vectors", name, self.precision), grid, _THREADS, shared_bytes, arguments)

    def start(self, psi: Buffer, initial: Buffer | View | None, batch: int, samples: int) -> None:
        """psi becomes |0> or the real amplitudes `initial` (batch, 2^n); rows from `batch` on are zero or |0>."""
        total = samples << self.address_bits
        self._launch(
            "start_state",
            blocks(total, _THREADS),
            0,
            pointer(psi),
            pointer(initial),
            np.int32(self.n_qubits),
            np.int32(self.address_bits),
            np.int64(batch),
            np.int64(total),
        )

    def _rows(self, samples: int) -> tuple[int, int, int]:
        """Blocks, rows, and rows per sample of a sum over amplitudes."""
        rows_per_sample = 1 << max(0, self.address_bits - _PART_BITS)
        return blocks(samples << self.address_bits, 1 << _PART_BITS), samples * rows_per_sample, rows_per_sample

    def expectations(self, psi: Buffer, batch: int) -> Buffer:
        """(batch, M) double: expectation values in the order of the strings."""
        totals = self.device.allocate(8 * batch * self.n_strings)
        if not self.n_strings:
            return totals
        grid, rows, rows_per_sample = self._rows(batch)
        out = self.device.allocate(rows * self.n_strings * self.real.itemsize)
        self._launch(
            "expectations",
            grid,
            8 * self.real.itemsize,
            pointer(psi),
            pointer(self.strings),
            np.int32(self.n_strings),
            np.int32(self.address_bits),
            np.int64(batch),
            np.int64(rows),
            pointer(out),
        )
        self.sum_rows(
            out, totals, rows, rows_per_sample, self.by_string, self.n_strings, self.n_strings, 1, self.n_strings
        )
        return totals

    def bra(self, psi: Buffer, bra: Buffer, cotangent: Buffer | View, batch: int, samples: int) -> None:
        """bra = sum_m cotangent_m P_m psi, cotangent (batch, M) double; samples beyond the batch get zero."""
        total = samples << self.address_bits
        self._launch(
            "start_bra",
            blocks(total, _THREADS),
            0,
            pointer(psi),
            pointer(bra),
            pointer(self.strings),
            pointer(self.column),
            np.int32(self.n_strings),
            pointer(cotangent),
            np.int32(self.address_bits),
            np.int64(batch),
            np.int64(total),
        )

    def distances(self, psi: Buffer, initial: Buffer | View | None, batch: int, out: Buffer | View) -> None:
        """out (batch,) double: |psi - start|^2 of each sample."""
        grid, rows, rows_per_sample = self._rows(batch)
        parts = self.device.allocate(rows * self.real.itemsize)
        self._launch(
            "distances",
            grid,
            8 * self.real.itemsize,
            pointer(psi),
            pointer(initial),
            np.int32(self.n_qubits),
            np.int32(self.address_bits),
            np.int64(batch),
            np.int64(rows),
            pointer(parts),
        )
        self.sum_rows(parts, out, rows, rows_per_sample, self.one_column, 1, 1, 1, 1)

    def sum_rows(
        self,
        values: Buffer,
        out: Buffer | View,
        rows: int,
        rows_per_group: int,
        chosen: Buffer | View,
        columns: int,
        row_stride: int,
        column_stride: int,
        out_stride: int,
    ) -> None:
        """Sums of each group of rows, in double and in a fixed order.

        `chosen`: (columns, 2) int32, {column, place in the output}; a place -1 - t is minus the sum at t.
        """
        self._launch(
            "sum_rows",
            blocks(rows, rows_per_group) * blocks(columns, 32),
            8 * _THREADS,
            pointer(values),
            pointer(chosen),
            pointer(out),
            np.int64(rows),
            np.int64(rows_per_group),
            np.int32(columns),
            np.int64(row_stride),
            np.int64(column_stride),
            np.int64(out_stride),
        )


class SampleAngles:
    """The kernel sample_shears or sample_cycles: what it makes of coefficient * slot + offset of per-sample slots."""

    def __init__(
        self, device: Device, kernel: str, precision: Precision, reals: int, angles: Sequence[tuple[AffineAngle, bool]]
    ) -> None:
        """`kernel` leaves so many `reals` for each angle; an angle is negated where its flag is set."""
        self.device, self.kernel = device, Kernel("vectors", kernel, precision)
        self.bytes_each = reals * real_of(precision).itemsize
        self.columns = len(angles)
        if not angles:
            return
        signs = [-1.0 if negated else 1.0 for _, negated in angles]
        affine = [(s * angle.coefficient, s * angle.offset) for s, (angle, _) in zip(signs, angles, strict=True)]
        self.slot = device.upload(np.array([angle.slot for angle, _ in angles], dtype=np.int32))
        self.affine = device.upload(np.array(affine, dtype=np.float64))

    def prepared(self, slots: Buffer | View, n_slots: int, batch: int, samples: int) -> Buffer | None:
        """(samples, columns) of what the kernel makes; None without columns."""
        if not self.columns:
            return None
        total = samples * self.columns
        out = self.device.allocate(total * self.bytes_each)
        arguments = (
            pointer(slots),
            pointer(self.slot),
            pointer(self.affine),
            pointer(out),
            np.int32(self.columns),
            np.int32(n_slots),
            np.int64(batch),
            np.int64(total),
        )
        self.device.launch(self.kernel, blocks(total, _THREADS), _THREADS, 0, arguments)
        return out


def _encoded(string: PhysicalString) -> tuple[int, int, int, int]:
    """x, z and the factor sign * i^n_y as (real, imaginary)."""
    real, imaginary = ((1, 0), (0, 1), (-1, 0), (0, -1))[string.n_y % 4]
    return string.x_mask, string.z_mask, string.sign * real, string.sign * imaginary
