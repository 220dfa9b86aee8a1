"""Launch geometry: blocks, threads and shared memory of a kernel, and the limits of each architecture."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.engines.cuda.device import DeviceLimits
from qmltrain.engines.protocol import Precision

SMALLEST_TILE = 9  # one warp; smaller tiles are for tests
LARGEST_TILE = {"complex64": 13, "complex128": 12}
WARP = 32
MAX_GRID = 2**31 - 1
MAX_PARAMETER_BYTES = 4096


@dataclass(frozen=True)
class Architecture:
    """Per multiprocessor: registers, shared memory, threads, blocks; per block: opt-in dynamic shared memory."""

    registers: int
    shared_bytes: int
    shared_bytes_per_block: int
    threads: int
    blocks: int


# CUDA C++ Programming Guide, table "Technical Specifications per Compute Capability"
ARCHITECTURES = {
    "75": Architecture(65536, 64 << 10, 64 << 10, 1024, 16),
    "80": Architecture(65536, 164 << 10, 163 << 10, 2048, 32),
    "86": Architecture(65536, 100 << 10, 99 << 10, 1536, 16),
    "89": Architecture(65536, 100 << 10, 99 << 10, 1536, 24),
    "90": Architecture(65536, 228 << 10, 227 << 10, 2048, 32),
    "100": Architecture(65536, 228 << 10, 227 << 10, 2048, 32),
    "120": Architecture(65536, 100 << 10, 99 << 10, 1536, 24),
}


def amplitude_bytes(precision: Precision) -> int:
    return 8 if precision == "complex64" else 16


def tile_threads(tile_bits: int) -> int:
    return 1 << (tile_bits - 4)


def tile_shared_bytes(tile_bits: int, precision: Precision, backward: bool) -> int:
    """Exchange buffers of psi (and bra), and backward two rows of 12 sums per warp."""
    size = amplitude_bytes(precision) << tile_bits
    if not backward:
        return size
    warps = max(1, tile_threads(tile_bits) // WARP)
    return 2 * size + 2 * warps * 12 * amplitude_bytes(precision) // 2


def largest_tile(limits: DeviceLimits, precision: Precision) -> int:
    """Most address bits of a tile whose backward pass fits into a block's shared memory: the largest resident n."""
    fitting = [
        t
        for t in range(SMALLEST_TILE, LARGEST_TILE[precision] + 1)
        if tile_shared_bytes(t, precision, backward=True) <= limits.shared_bytes
    ]
    if not fitting:
        raise ValueError(f"{limits.name}: {limits.shared_bytes} bytes of shared memory hold no tile")
    return fitting[-1]


def working_tile(limits: DeviceLimits, precision: Precision) -> int:
    """Address bits of the tiles of states that do not fit: two blocks per multiprocessor overlap work and memory."""
    return max(SMALLEST_TILE, largest_tile(limits, precision) - 1)


def blocks(n_items: int, per_block: int) -> int:
    return -(-n_items // per_block)
