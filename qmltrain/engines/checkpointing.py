"""Which states a gradient keeps: the modes of `gradient.mode`, what `auto` becomes, and refusal where they do not fit.

*Checkpoint* means gradient checkpointing here (`gradient.checkpoint_interval`, in moments of the plan; `depth` is the
number of those with rotations); saved training state is a snapshot (`run.save_every`).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, sqrt
from typing import Literal

from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.units import gib


def states_in_flight(mode: Literal["reversible", "checkpoint"], depth: int, interval: int | None) -> int:
    """Most states of one sample alive at once: psi, the bra and what is kept.

    reversible: 2, and one every `interval` moments where given; checkpoint: one every `interval` moments, those of
    one recomputed segment, and the bra.
    """
    if mode == "reversible":
        return 2 + (ceil(depth / interval) if interval else 0)
    interval = interval or default_interval(depth)
    return ceil(depth / interval) + min(interval, depth) + 1


def default_interval(depth: int) -> int:
    """About the square root of the depth, where depth/k + k is least."""
    return max(1, round(sqrt(depth)))


def cuts_of_progress(rotations: Sequence[int], depth: int, interval: int, *, on_grid: bool) -> list[int]:
    """Which of some pieces of a plan, in time order with so many rotations each, psi is kept before.

    The first, then one every `interval` moments of progress. Progress is counted in rotations, of which a moment has
    sum(rotations) / depth on average, so that circuits without diagonals (RY and CX) have cuts too. `on_grid`: at
    multiples of the interval; else each one interval after the last cut, which pieces of many moments overshoot.
    """
    every = interval * (sum(rotations) / max(1, depth))
    cuts, done, due = [0], 0, every
    for index, count in enumerate(rotations):
        if index and done >= due:
            cuts.append(index)
            due = every + (due if on_grid else done)
        done += count
    return cuts


def choose(
    options: GradientOptions, depth: int, state_bytes: int, memory_bytes: int, what: str
) -> tuple[Literal["reversible", "checkpoint"], int | None, str]:
    """Mode, interval and the reason, before anything is allocated.

    `state_bytes` is one state of the smallest number of samples that runs at once (`what` says which).
    `auto` is reversible: un-applying is exact to rounding and needs two states at any depth; with an interval it
    also keeps psi every so many moments, so that rounding cannot add up over more.
    Raises MemoryLimitError with the numbers where that cannot fit.
    """
    interval = options.checkpoint_interval
    if interval is not None and interval < 1:
        raise InputError(f"gradient.checkpoint_interval: {interval} is not possible; choose null or at least 1")
    mode: Literal["reversible", "checkpoint"] = "checkpoint" if options.mode == "checkpoint" else "reversible"
    if mode == "checkpoint" and interval is None:
        interval = default_interval(depth)
    states = states_in_flight(mode, depth, interval)
    if states * state_bytes > memory_bytes:
        raise MemoryLimitError(
            f"gradient.mode={mode}: {states} states of {what} need {gib(states * state_bytes)} of "
            f"{gib(memory_bytes)}; " + _advice(mode, interval, state_bytes, memory_bytes)
        )
    chosen = "auto is reversible: " if options.mode == "auto" else ""
    reason = f"{chosen}{states} states of {what}, {gib(states * state_bytes)} of {gib(memory_bytes)}"
    return mode, interval, reason


def _advice(mode: str, interval: int | None, state_bytes: int, memory_bytes: int) -> str:
    if (mode == "checkpoint" or interval) and 2 * state_bytes <= memory_bytes:
        return "set gradient.mode=reversible and gradient.checkpoint_interval=null (two states)"
    return "use fewer qubits, engine.precision=complex64, or raise engine.memory_gib"
