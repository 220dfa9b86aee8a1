"""The kernels of vectors.cu one by one, through the emulator, against their twins in NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.cuda.device import Kernel, pointer
from qmltrain.engines.cuda.vectors import Vectors
from qmltrain.fusion.plan import PhysicalString
from tests.engines.cuda.emulator_device import EmulatorDevice, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
PRECISIONS = ["complex64", "complex128"]
STRINGS = (
    PhysicalString(0b0000, 0b0101, 1, 0),
    PhysicalString(0b1001, 0b0001, -1, 1),
    PhysicalString(0b0110, 0b0110, 1, 2),
    PhysicalString(0b1001, 0b1000, 1, 1),
    PhysicalString(0b0000, 0b0000, -1, 0),
)


def tolerance(precision: str) -> float:
    return 3e-6 if precision == "complex64" else 1e-13


def states(batch: int, bits: int, precision: str) -> np.ndarray:
    generator = np.random.default_rng(batch + bits)
    state = generator.normal(size=(batch, 1 << bits)) + 1j * generator.normal(size=(batch, 1 << bits))
    return (state / np.linalg.norm(state, axis=1, keepdims=True)).astype(precision)


def applied(state: np.ndarray, string: PhysicalString) -> np.ndarray:
    """The amplitude at z goes to z ^ x."""
    z = np.arange(state.shape[1])
    factor = string.sign * 1j**string.n_y * (1 - 2.0 * (np.bitwise_count(z & string.z_mask) & 1))
    result = np.empty_like(state, dtype=complex)
    result[:, z ^ string.x_mask] = state * factor
    return result


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("bits", "batch"), [(4, 1), (4, 300), (5, 17), (9, 3), (10, 5), (11, 2), (12, 3), (13, 2)])
def test_expectations_and_bra(bits, batch, precision):
    device = EmulatorDevice()
    vectors = Vectors(device, precision, bits, bits, STRINGS)
    state = states(batch, bits, precision)
    psi = device.upload(state)
    expected = np.stack([np.sum(state.conj() * applied(state, s), axis=1).real for s in STRINGS], axis=1)
    found = device.read(vectors.expectations(psi, batch), np.float64, expected.shape)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance(precision))
    cotangent = np.random.default_rng(0).normal(size=(batch, len(STRINGS)))
    bra = device.allocate(state.nbytes)
    judged = batch - (batch > 1)  # the last sample is beyond the batch: its bra is zero, its cotangent not read
    vectors.bra(psi, bra, device.upload(cotangent[:judged]), judged, batch)
    cotangent[judged:] = 0
    expected_bra = sum(cotangent[:, m, None] * applied(state, s) for m, s in enumerate(STRINGS))
    found = device.read(bra, precision, state.shape)
    np.testing.assert_allclose(found, expected_bra, rtol=0, atol=tolerance(precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(
    ("qubits", "bits", "batch", "samples"), [(2, 4, 3, 32), (4, 4, 1, 1), (9, 9, 2, 2), (13, 13, 1, 1)]
)
@pytest.mark.parametrize("encoded", [False, True])
def test_start_states_and_distances(qubits, bits, batch, samples, encoded, precision):
    device = EmulatorDevice()
    vectors = Vectors(device, precision, qubits, bits, ())
    amplitudes = states(batch, qubits, "complex128").real
    initial = device.upload(amplitudes.astype(vectors.real)) if encoded else None
    psi = device.allocate(samples * np.dtype(precision).itemsize << bits)
    vectors.start(psi, initial, batch, samples)
    found = device.read(psi, precision, (samples, 1 << bits))
    expected = np.zeros((samples, 1 << bits))
    if encoded:
        expected[:batch, : 1 << qubits] = amplitudes
    else:
        expected[:, 0] = 1
    np.testing.assert_allclose(found, expected, atol=tolerance(precision))
    moved = states(batch, bits, precision)
    out = device.allocate(8 * batch)
    vectors.distances(device.upload(moved), initial, batch, out)
    squared = np.sum(np.abs(moved - expected[:batch]) ** 2, axis=1)
    np.testing.assert_allclose(device.read(out, np.float64, (batch,)), squared, rtol=10 * tolerance(precision))


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("rows", "a_group"), [(1, 1), (7, 3), (40, 16), (33, 64), (100, 1)])
@pytest.mark.parametrize("by_column", [False, True])
def test_sums_of_rows(rows, a_group, by_column, precision):
    device = EmulatorDevice()
    vectors = Vectors(device, precision, 4, 4, ())
    values = np.random.default_rng(1).normal(size=(rows, 70)).astype(vectors.real)
    chosen = np.array([(c, c // 2 if c % 3 else -1 - c // 2) for c in range(1, 70, 2)], dtype=np.int32)
    groups = -(-rows // a_group)
    out = device.allocate(8 * groups * 40)
    device.clear(out)
    strides = (1, rows) if by_column else (70, 1)
    stored = device.upload(np.ascontiguousarray(values.T if by_column else values))
    vectors.sum_rows(stored, out, rows, a_group, device.upload(chosen), len(chosen), *strides, 40)
    expected = np.zeros((groups, 40))
    for column, target in chosen:
        sums = [values[a_group * g : a_group * (g + 1), column].sum(dtype=np.float64) for g in range(groups)]
        expected[:, -1 - target if target < 0 else target] = np.array(sums) * (-1 if target < 0 else 1)
    np.testing.assert_allclose(device.read(out, np.float64, (groups, 40)), expected, atol=1e-12)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("kernel", ["sample_shears", "sample_cycles"])
def test_angles_of_samples(kernel, precision):
    """Angles at the ends of their range and beyond; samples beyond the batch get angle zero."""
    device = EmulatorDevice()
    real = np.dtype(np.float32 if precision == "complex64" else np.float64)
    slots = np.random.default_rng(2).uniform(-20, 20, (5, 3))
    slots[0] = [np.pi, -np.pi, 0.0]
    slot, affine = np.array([2, 0, 1, 0], dtype=np.int32), np.array([[1, 0], [1, 0], [-1, 0], [0.5, 2.0]])
    width = 2 if kernel == "sample_shears" else 1
    out = device.allocate(8 * 4 * width * real.itemsize)
    held = [device.upload(a) for a in (slots, slot, affine)]
    arguments = (*(pointer(b) for b in held), pointer(out), np.int32(4), np.int32(3), np.int64(5), np.int64(32))
    device.launch(Kernel("vectors", kernel, precision), 1, 256, 0, arguments)
    found = device.read(out, real, (8, 4, width)).astype(np.float64)
    angle = np.zeros((8, 4))
    angle[:5] = affine[:, 0] * slots[:, slot] + affine[:, 1]
    if kernel == "sample_cycles":
        cycles = np.exp(2j * np.pi * found[..., 0])
        np.testing.assert_allclose(cycles, np.exp(1j * angle), atol=tolerance(precision))
        return
    a, b = found[..., 0], found[..., 1]  # three shears are the rotation up to a sign of the whole
    rotation = np.stack([1 - a * b, -a * (2 - a * b), b, 1 - a * b], axis=-1)
    expected = np.stack([np.cos(angle / 2), -np.sin(angle / 2), np.sin(angle / 2), np.cos(angle / 2)], axis=-1)
    overlap = np.abs(np.sum(rotation * expected, axis=-1)) / 2
    np.testing.assert_allclose(overlap, 1.0, atol=tolerance(precision))
    assert np.all(np.abs(a) <= 1 + 1e-6)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_tables_of_diagonals(precision):
    device = EmulatorDevice()
    threads = 8
    cycles = np.random.default_rng(3).uniform(-0.5, 0.5, 6)
    entries = [(0b0001, 0), (0b0110, 1), (0b0010000, 2), (0b1010000, 3), (0b1000000, 4), (0b0001, 5), (0b1000, 2)]
    ranges = np.array([(0, 3, 0, 0), (2, 5, 0x8A11, 0), (0, 0, 0, 0)], dtype=np.int32)
    entries = np.array(entries, dtype=np.int32)
    out = device.allocate(3 * (threads + 20) * np.dtype(precision).itemsize)
    held = [device.upload(a) for a in (ranges, entries, cycles)]
    arguments = (*(pointer(b) for b in held), pointer(out), np.int32(threads))
    device.launch(Kernel("vectors", "prepare_tables", precision), 3, 256, 0, arguments)
    found = device.read(out, precision, (3, threads + 20)).astype(complex)
    register = np.arange(16)
    ratios = np.prod(np.where(register[:, None] >> np.arange(4) & 1, found[:, None, threads : threads + 4], 1), axis=2)
    factors = found[:, :threads, None] * (ratios * found[:, threads + 4 :])[:, None]
    for d, (first, count, signs, _) in enumerate(ranges):
        expected = np.zeros((threads, 16))
        for coordinates, number in entries[first : first + count]:
            index = 16 * np.arange(threads)[:, None] + register
            expected += cycles[number] * (1 - 2 * (np.bitwise_count(index & coordinates).astype(int) & 1))
        expected = (1 - 2 * (signs >> register & 1)) * np.exp(-1j * np.pi * expected)
        np.testing.assert_allclose(factors[d], expected, atol=tolerance(precision))
