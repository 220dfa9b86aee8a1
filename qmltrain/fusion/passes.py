"""Passes: which tile of the state is in fast memory when, and what is done to it there.

A tile is a coset of the span of a few address masks: 2^tile_bits amplitudes, always with the low address bits for
contiguous access. Diagonals need no locality (address bits are known everywhere), so the schedule is a zigzag:

    pass:  what is left of step l  |  D(l)  |  as much of step l+1 as lies in the same tile  |  ...

For a ring of n = 20 qubits and tiles of 12 bits that is one pass a layer; a circuit of at most `tile_bits` qubits
is one pass in all.
"""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.errors import InputError
from qmltrain.fusion.lowering import Step
from qmltrain.fusion.plan import Diagonal, Operation, Pass, Rotation, Rotations
from qmltrain.gf2 import Span


def schedule(steps: Sequence[Step], n_qubits: int, tile_bits: int, low_bits: int) -> tuple[Pass, ...]:
    """Group steps into passes over tiles of at most 2^tile_bits amplitudes.

    Every rotation and every diagonal is in exactly one pass, in an order that keeps what does not commute apart.
    """
    if tile_bits >= n_qubits:
        return (_single_pass(steps, n_qubits),)
    if not 0 <= low_bits < tile_bits:
        raise InputError(f"tile of {tile_bits} bits with {low_bits} low bits: needs 0 <= low bits < tile bits")
    diagonals = [step.diagonal(layer) for layer, step in enumerate(steps)]
    passes: list[Pass] = []
    pending: list[Operation] = [diagonals[0]] if diagonals and diagonals[0] else []
    remaining = [list(step.rotations) for step in steps]
    current = 1
    while current < len(steps):
        span = _choose_tile(remaining, current, n_qubits, tile_bits, low_bits)
        operations, pending = pending, []
        while current < len(steps):
            inside = [r for r in remaining[current] if r.pair_mask in span]
            remaining[current] = [r for r in remaining[current] if r.pair_mask not in span]
            if inside:
                operations.append(Rotations(tuple(inside)))
            if remaining[current]:
                break
            diagonal = diagonals[current]
            if diagonal is not None:
                operations.append(diagonal)
            current += 1
        passes.append(Pass(tuple(span.basis), tuple(operations)))
    if pending:  # a circuit of diagonals alone
        span = _choose_tile([], 0, n_qubits, tile_bits, low_bits)
        passes.append(Pass(tuple(span.basis), tuple(pending)))
    return tuple(passes)


def _single_pass(steps: Sequence[Step], n_qubits: int) -> Pass:
    operations: list[Operation] = []
    for layer, step in enumerate(steps):
        if step.rotations:
            operations.append(Rotations(tuple(step.rotations)))
        diagonal: Diagonal | None = step.diagonal(layer)
        if diagonal is not None:
            operations.append(diagonal)
    return Pass(tuple(1 << q for q in range(n_qubits)), tuple(operations))


def _choose_tile(
    remaining: Sequence[Sequence[Rotation]], current: int, n_qubits: int, tile_bits: int, low_bits: int
) -> Span:
    """Low bits, then the masks still to do in this step, then those of the steps after it, then address bits."""
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
