"""Launch geometry: blocks, threads and shared memory of a kernel, and the limits of each architecture."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.engines.cuda.device import DeviceLimits
from qmltrain.engines.protocol import Precision

SMALLEST_TILE = 9  # one warp; smaller tiles are for tests
LARGEST_TILE = {"complex64": 13, "complex128": 12}
WARP = 32
REGISTERS = 65536  # of a multiprocessor, on every architecture here
TILE_REGISTERS = 128  # of a thread of tile_pass_backward in complex64, which has the most
SHARED_RESERVED = 1 << 10  # bytes of shared memory that the driver takes for itself in each block
MAX_GRID = 2**31 - 1
MAX_PARAMETER_BYTES = 4096


@dataclass(frozen=True)
class Architecture:
    """Per multiprocessor: registers, shared memory, threads, blocks; per block: opt-in dynamic shared memory.

    `fp32_lanes`: float operations a clock of a multiprocessor; instructions are issued at 128 lanes a clock on all.
    """

    registers: int
    shared_bytes: int
    shared_bytes_per_block: int
    threads: int
    blocks: int
    fp32_lanes: int


# CUDA C++ Programming Guide, tables "Technical Specifications per Compute Capability" and, for the lanes, "Throughput
# of Native Arithmetic Instructions"
ARCHITECTURES = {
    "75": Architecture(REGISTERS, 64 << 10, 64 << 10, 1024, 16, 64),
    "80": Architecture(REGISTERS, 164 << 10, 163 << 10, 2048, 32, 64),
    "86": Architecture(REGISTERS, 100 << 10, 99 << 10, 1536, 16, 128),
    "89": Architecture(REGISTERS, 100 << 10, 99 << 10, 1536, 24, 128),
    "90": Architecture(REGISTERS, 228 << 10, 227 << 10, 2048, 32, 128),
    "100": Architecture(REGISTERS, 228 << 10, 227 << 10, 2048, 32, 128),
    "120": Architecture(REGISTERS, 100 << 10, 99 << 10, 1536, 24, 128),
}


def amplitude_bytes(precision: Precision) -> int:
    return 8 if precision == "complex64" else 16


def tile_threads(tile_bits: int) -> int:
    return 1 << (tile_bits - 4)


def tile_shared_bytes(tile_bits: int, precision: Precision, two_states: bool) -> int:
    """Exchange buffers of one state, or of two (psi and bra) and two rows of 12 sums per warp."""
    size = amplitude_bytes(precision) << tile_bits
    if not two_states:
        return size
    warps = max(1, tile_threads(tile_bits) // WARP)
    return 2 * size + 2 * warps * 12 * amplitude_bytes(precision) // 2


def largest_tile(limits: DeviceLimits, precision: Precision) -> int:
    """Most address bits of a tile whose backward pass fits into a block's shared memory: the largest resident n."""
    fitting = [
        t
        for t in range(SMALLEST_TILE, LARGEST_TILE[precision] + 1)
        if tile_shared_bytes(t, precision, two_states=True) <= limits.shared_bytes
    ]
    if not fitting:
        raise ValueError(f"{limits.name}: {limits.shared_bytes} bytes of shared memory hold no tile")
    return fitting[-1]


def working_tile(limits: DeviceLimits, precision: Precision) -> int:
    """Address bits of the tiles of states that do not fit: two blocks per multiprocessor overlap work and memory."""
    return max(SMALLEST_TILE, largest_tile(limits, precision) - 1)


def resident_blocks(threads: int, registers: int = TILE_REGISTERS) -> int:
    """Blocks that the registers of a multiprocessor hold at once, at so many for each thread."""
    of_warp = blocks(registers * WARP, 256) * 256  # handed out in units of 256
    return max(1, REGISTERS // (of_warp * blocks(threads, WARP)))


def shared_carveout(threads: int, registers: int, shared_bytes: int, multiprocessor_bytes: int) -> int:
    """Percent of a multiprocessor's shared memory that all blocks need which its registers hold, so that shared memory
    does not hold back one of them; what it does not need is L1 cache."""
    per_block = shared_bytes + SHARED_RESERVED
    fitting = min(resident_blocks(threads, registers), multiprocessor_bytes // per_block)
    return min(100, blocks(100 * max(1, fitting) * per_block, multiprocessor_bytes))


def blocks_of_short_launch(limits: DeviceLimits, threads: int, most: int) -> int:
    """Whole waves of at most `most` blocks of a launch: a wave is what all multiprocessors hold at once. Never less
    than a block for each, since a block alone takes as long as one on every multiprocessor."""
    wave = limits.multiprocessors * resident_blocks(threads)
    return max(limits.multiprocessors, most // wave * wave)


def blocks(n_items: int, per_block: int) -> int:
    return -(-n_items // per_block)
