"""Passes of a finished plan: which tile of the state is in fast memory when, and what is done to it there.

A tile is a coset of the span of a few address masks: 2^tile_bits amplitudes, always with the low address bits for
contiguous access. Diagonals need no locality (address bits are known everywhere), so the schedule is a zigzag:

    pass:  what is left of moment l  |  D(l)  |  as much of moment l+1 as lies in the same tile  |  ...

For a ring of n = 20 qubits and tiles of 12 bits that is one pass per layer; a circuit of at most `tile_bits` qubits
is one pass in all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qmltrain.errors import InputError
from qmltrain.fusion.plan import Diagonal, Moment, Plan, Rotation
from qmltrain.gf2 import Span


@dataclass(frozen=True, slots=True)
class Rotations:
    """Rotations of one moment."""

    rotations: tuple[Rotation, ...]


Operation = Rotations | Diagonal


@dataclass(frozen=True, slots=True)
class Pass:
    """Every tile (coset of the span of `basis`) is loaded, worked on and stored once.

    `basis` are linearly independent address masks; the low address bits 1, 2, ... 2^(low_bits-1) come first.
    Every pair_mask of the pass lies in the span. A circuit whose state is one tile has one pass with the unit
    basis.
    """

    basis: tuple[int, ...]
    operations: tuple[Operation, ...]


def schedule(plan: Plan, tile_bits: int = 64, low_bits: int = 0) -> tuple[Pass, ...]:
    """The passes of `plan` over tiles of at most 2^tile_bits amplitudes; `low_bits` address bits are in every tile.

    Every rotation and every diagonal is in exactly one pass, in an order that keeps what does not commute apart.
    """
    n_qubits, moments = plan.n_qubits, plan.moments
    if tile_bits >= n_qubits:
        return (_single_pass(moments, n_qubits),)
    if not 0 <= low_bits < tile_bits:
        raise InputError(f"tile of {tile_bits} bits with {low_bits} low bits: needs 0 <= low bits < tile bits")
    passes: list[Pass] = []
    pending: list[Operation] = [] if moments[0].diagonal is None else [moments[0].diagonal]
    remaining = [moment.rotations for moment in moments]
    current = 1
    while current < len(moments):
        span = _choose_tile(remaining, current, n_qubits, tile_bits, low_bits)
        operations, pending = pending, []
        while current < len(moments):
            inside = tuple(r for r in remaining[current] if r.pair_mask in span)
            remaining[current] = tuple(r for r in remaining[current] if r.pair_mask not in span)
            if inside:
                operations.append(Rotations(inside))
            if remaining[current]:
                break
            diagonal = moments[current].diagonal
            if diagonal is not None:
                operations.append(diagonal)
            current += 1
        passes.append(Pass(tuple(span.basis), tuple(operations)))
    if pending:  # a circuit of diagonals alone
        span = _choose_tile([], 0, n_qubits, tile_bits, low_bits)
        passes.append(Pass(tuple(span.basis), tuple(pending)))
    return tuple(passes)


def _single_pass(moments: Sequence[Moment], n_qubits: int) -> Pass:
    operations: list[Operation] = []
    for moment in moments:
        if moment.rotations:
            operations.append(Rotations(moment.rotations))
        if moment.diagonal is not None:
            operations.append(moment.diagonal)
    return Pass(tuple(1 << q for q in range(n_qubits)), tuple(operations))


def _choose_tile(
    remaining: Sequence[Sequence[Rotation]], current: int, n_qubits: int, tile_bits: int, low_bits: int
) -> Span:
    """Low bits, then the masks still to do in this moment, then those of the next one, then address bits."""
    span = Span([1 << q for q in range(low_bits)])
    for rotations in remaining[current : current + 2]:
        for rotation in rotations:
            if len(span) == tile_bits:
                return span
            span.add(rotation.pair_mask)
    for q in range(n_qubits):
        if len(span) == tile_bits:
            break
        span.add(1 << q)
    return span
