"""What is chosen when a circuit is compiled for the CPU: what the kernels do, what is reported, how states are cut."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import Literal

from qmltrain.engines.protocol import Precision
from qmltrain.fusion.plan import Plan

_LANES = {"avx512": 16, "avx2": 8, "baseline": 4}  # float32 numbers of a vector
TILE_BYTES = 32 << 10  # of a tile: psi and the bra stay near the first cache
RESIDENT_BYTES = 2 << 20  # psi and the bra stream from the outer caches faster than tiles of them are gathered
# as in the kernels (tests/engines/cpu/test_setting.py compares)
ROW_BITS_ENTANGLED = 12  # kRowBitsEntangled: rows of a state beyond which qubits move into the lanes, at most
TABLE_BYTES = 32 << 20  # kWholeTableBytes: most that tables of diagonals across the lanes take


@dataclass(frozen=True)
class Overrides:
    """What tests set instead of the engine: bits of a tile's rows, qubits in the lanes, rows that make a share."""

    tile_row_bits: int | None = None
    lane_bits: int | None = None
    share_row_bits: int | None = None


@dataclass(frozen=True)
class KernelSetting:
    """What the extension's `Program` is made with. `keep`: psi of every moment is kept; `interval`: moments, or 0."""

    precision: Precision
    instruction_set: str
    mode: Literal["keep", "reversible", "checkpoint"]
    interval: int
    threads: int
    fusion: bool

    @property
    def lanes(self) -> int:
        return lanes_of(self.instruction_set, self.precision)


@dataclass(frozen=True)
class Reported:
    """The same as the forecast tells it: `keep` is checkpoint with interval 1."""

    mode: Literal["reversible", "checkpoint"]
    interval: int | None
    reason: str
    memory_bytes: int


def lanes_of(instruction_set: str, precision: Precision) -> int:
    """Numbers of a vector."""
    return _LANES[instruction_set] // (1 if precision == "complex64" else 2)


def kept_states(plan: Plan) -> int:
    """States of a sample when psi after every set of rotations is kept, and the bra; an upper bound."""
    return 2 + sum(bool(moment.rotations) + (moment.diagonal is not None) for moment in plan.moments)


def most_in_unit(n_qubits: int, lanes: int) -> int:
    """Most samples that one unit of work may hold: its lanes, less those that hold qubits (Engine::lane_bits_of)."""
    return lanes >> max(0, min(n_qubits - ROW_BITS_ENTANGLED, lanes.bit_length() - 1))


def tile_rows(row_bits: int, row_bytes: int, override: int | None = None) -> int:
    """Bits of a tile of the 2^row_bits rows: all where the state is resident; else as few tiles as `TILE_BYTES`
    allows, of even size, so that rotations go in pairs. `override`: at most so many, whatever the caches."""
    most = override or (TILE_BYTES // row_bytes).bit_length() - 1
    if row_bits <= (override or (RESIDENT_BYTES // row_bytes).bit_length() - 1):
        return row_bits
    count = ceil(row_bits / most)
    bits = ceil(row_bits / count)
    return min(most, bits + bits % 2)
