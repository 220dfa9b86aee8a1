"""NVRTC compiles the kernels for every architecture, and what they need fits: registers, spills, launch table."""

from __future__ import annotations

import json
import re

import pytest

from qmltrain.engines.cuda import geometry
from qmltrain.engines.cuda.device import DeviceLimits
from qmltrain.engines.cuda.engine import MAX_QUBITS
from qmltrain.engines.cuda.fused import PASS_ARGUMENTS
from qmltrain.engines.cuda.sources import kernel_source
from qmltrain.engines.cuda.unfused.unfused_schedule import PAIR_ARGUMENTS, PHASE_ARGUMENTS
from qmltrain.shipped_files import kernels_directory
from tests.engines.cuda import nvrtc

RECORDED = json.loads(nvrtc.RECORDED.read_text())
needs_nvrtc = pytest.mark.skipif(nvrtc.library() is None, reason=nvrtc.ADVICE)


def check_usage(source: str, precision: str, tile_bits: int | None, architecture: str) -> None:
    used = nvrtc.usage(source, precision, tile_bits, architecture)
    recorded = RECORDED[architecture][nvrtc.name_of(source, precision, tile_bits)]
    assert set(used) == set(recorded)
    for name, found in used.items():
        registers, spilled = recorded[name]
        where = f"{name} {precision} {tile_bits} sm_{architecture}: {found}, recorded {registers}, {spilled}"
        assert found.registers <= registers + 8, where
        assert found.spilled <= spilled + (8 if spilled else 0), where


@needs_nvrtc
@pytest.mark.parametrize(
    ("source", "precision", "tile_bits", "architecture"),
    [
        ("tile_pass", "complex64", 12, "90"),
        ("tile_pass_lean", "complex64", 12, "90"),
        ("vectors", "complex64", None, "75"),
        ("gates", "complex128", None, "120"),
    ],
)
def test_a_selection_compiles_within_the_recorded_table(source, precision, tile_bits, architecture):
    check_usage(source, precision, tile_bits, architecture)


@needs_nvrtc
@pytest.mark.slow
@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_everything_compiles_within_the_recorded_table(architecture):
    for instance in nvrtc.instances():
        check_usage(*instance, architecture)


@needs_nvrtc
def test_a_compile_error_names_file_and_line():
    """The `#line` directives survive the spelling out of includes."""
    text = kernel_source("tile_pass").replace("walsh_hadamard(values);", "walsh_hadamard(nonsense);", 1)
    with pytest.raises(nvrtc.CompileError) as caught:
        nvrtc.compile_source(text, ("-DREAL=float", "-DTILE_BITS=9", "--std=c++17"), "80")
    match = re.search(r"kernels/cuda/tile_pass\.cuh\((\d+)\): error", str(caught.value))
    assert match, str(caught.value)
    lines = (kernels_directory() / "cuda" / "tile_pass.cuh").read_text().splitlines()
    assert "walsh_hadamard(values)" in lines[int(match.group(1)) - 1]


@needs_nvrtc
def test_kernels_are_compiled_with_what_cupy_adds():
    """Else registers and instructions are counted in another binary than runs. A function that is for host and device
    by no word of ours is for the device; denormal floats are zero."""
    text = """
        float twice(float x) { return 2 * x; }
        extern "C" __global__ void probe(float* x) { x[0] = twice(x[1]) + x[2]; }
    """
    assert "add.ftz.f32" in nvrtc.compile_ptx(text, ("--std=c++17",), "90") or "fma.rn.ftz.f32" in nvrtc.compile_ptx(
        text, (), "90"
    )
    nvrtc.compile_source(text, ("--std=c++17",), "90")


def test_the_table_covers_every_instance_and_architecture():
    assert set(RECORDED) == set(nvrtc.ARCHITECTURES)
    for architecture, table in RECORDED.items():
        assert set(table) == {nvrtc.name_of(*instance) for instance in nvrtc.instances()}, architecture


def test_training_precision_does_not_spill():
    """No kernel of complex64, at any tile; of complex128, which is for checking, a few bytes."""
    for architecture, table in RECORDED.items():
        for name, kernels in table.items():
            for kernel, (_, spilled) in kernels.items():
                allowed = 8 if name.startswith("tile_pass_lean complex128") else 0
                assert spilled <= allowed, (architecture, name, kernel, spilled)


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
def test_every_launch_fits_the_architecture(architecture):
    """Registers x threads and shared memory of each kernel, at every tile size the engine would take."""
    limits = geometry.ARCHITECTURES[architecture]
    for precision in geometry.LARGEST_TILE:
        device = DeviceLimits(architecture, architecture, limits.shared_bytes_per_block, 1 << 30, 1)
        largest = geometry.largest_tile(device, precision)
        assert geometry.working_tile(device, precision) <= largest
        for tile_bits in range(geometry.SMALLEST_TILE, largest + 1):
            threads = geometry.tile_threads(tile_bits)
            assert threads <= min(1024, limits.threads)
            for source in nvrtc.TILE_SOURCES:
                for name, (registers, _) in RECORDED[architecture][nvrtc.name_of(source, precision, tile_bits)].items():
                    a_warp = -(-registers * 32 // 256) * 256  # registers are handed out in units of 256 per warp
                    assert a_warp * -(-threads // 32) <= limits.registers
                    two_states = name == "tile_pass_backward" or source == "tile_pass_two"
                    assert geometry.tile_shared_bytes(tile_bits, precision, two_states) <= limits.shared_bytes_per_block
        for source in ("vectors", "gates"):
            for registers, _ in RECORDED[architecture][nvrtc.name_of(source, precision, None)].values():
                assert -(-registers * 32 // 256) * 256 * 8 <= limits.registers


@pytest.mark.parametrize("architecture", nvrtc.ARCHITECTURES)
@pytest.mark.parametrize("tile_bits", range(10, 14))
def test_four_lean_passes_forward_share_a_multiprocessor(architecture, tile_bits):
    """By their registers: 1,024 threads, where the way back has 512. Two samples in a thread have as many as that."""
    table = RECORDED[architecture]
    forward = table[nvrtc.name_of("tile_pass_lean", "complex64", tile_bits)]["tile_pass_forward"]
    assert forward == [64, 0]
    for source, name in (("tile_pass_lean", "tile_pass_backward"), ("tile_pass_two", "tile_pass_forward")):
        registers, _ = table[nvrtc.name_of(source, "complex64", tile_bits)][name]
        assert registers <= 128


def test_the_largest_resident_circuit():
    def largest(architecture: str, precision: str) -> int:
        shared = geometry.ARCHITECTURES[architecture].shared_bytes_per_block
        return geometry.largest_tile(DeviceLimits("", architecture, shared, 1 << 30, 1), precision)

    assert [largest(a, "complex64") for a in ("75", "80", "86", "90", "120")] == [11, 13, 12, 13, 12]
    assert [largest(a, "complex128") for a in ("75", "80", "86", "90", "120")] == [10, 12, 11, 12, 11]


def test_parameters_fit():
    for dtype in (PASS_ARGUMENTS, PAIR_ARGUMENTS, PHASE_ARGUMENTS):
        assert dtype.itemsize <= geometry.MAX_PARAMETER_BYTES
        assert dtype.isalignedstruct


@pytest.mark.parametrize("n_qubits", [1, 4, 12, 20, MAX_QUBITS])
def test_grids_fit_any_batch_that_fits_memory(n_qubits):
    """1 TiB of states: one block per tile, 256 amplitudes or pairs a block, 4096 amplitudes per block."""
    amplitudes = (1 << 40) // 8
    samples = max(1, amplitudes >> max(4, n_qubits))
    total = samples << max(4, n_qubits)
    assert total >> geometry.SMALLEST_TILE <= geometry.MAX_GRID  # tile numbers are 32-bit
    assert geometry.blocks(total, 256) <= geometry.MAX_GRID


def test_addresses_in_kernels_are_64_bit():
    """n = 30 and a batch exceed 32 bits: every global index starts from a 64-bit number."""
    text = kernel_source("tile_pass")
    assert "const size_t base = (size_t)(tile >> A.tile_count_bits)" in text
    for source in ("vectors", "gates"):
        assert "blockIdx.x * 256ll" in kernel_source(source)
        assert not re.search(r"blockIdx\.x \* 256\b(?!ll)", kernel_source(source))


def test_no_atomics():
    """Sums have one order: the same bits on every run."""
    for source in (*nvrtc.TILE_SOURCES, "vectors", "gates"):
        assert "atomic" not in kernel_source(source).lower()
