"""Where the states of a gradient sweep are kept: the two modes of `gradient.mode`, as plain arithmetic.

A layer is one D-to-D step of the plan. *Checkpoint* means gradient checkpointing here
(`gradient.checkpoint_interval`); saved training state is a snapshot (`run.save_every`).
"""

from __future__ import annotations

from math import ceil, sqrt
from typing import Literal

from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.units import gib


def states_in_flight(mode: Literal["reversible", "checkpoint"], n_steps: int, interval: int | None) -> int:
    """Most states of one sample alive at once: psi, lambda and what is kept.

    reversible: 2, and one every `interval` steps where given; checkpoint: one every `interval` steps, those of
    one recomputed segment, and lambda.
    """
    if mode == "reversible":
        return 2 + (ceil(n_steps / interval) if interval else 0)
    interval = interval or default_interval(n_steps)
    return ceil(n_steps / interval) + min(interval, n_steps) + 1


def default_interval(n_steps: int) -> int:
    """About the square root of the depth, where L/k + k is least."""
    return max(1, round(sqrt(n_steps)))


def choose(
    options: GradientOptions, n_steps: int, state_bytes: int, memory_bytes: int, what: str
) -> tuple[Literal["reversible", "checkpoint"], int | None, str]:
    """Mode, interval and the reason, before anything is allocated.

    `state_bytes` is one state of the smallest number of samples that runs at once (`what` says which).
    `auto` is reversible: un-applying is exact to rounding and needs two states at any depth; with an interval it
    also keeps psi every so many layers, so that rounding cannot add up over more.
    Raises MemoryLimitError with the numbers where that cannot fit.
    """
    interval = options.checkpoint_interval
    if interval is not None and interval < 1:
        raise InputError(f"gradient.checkpoint_interval: {interval} is not possible; choose null or at least 1")
    mode: Literal["reversible", "checkpoint"] = "checkpoint" if options.mode == "checkpoint" else "reversible"
    if mode == "checkpoint" and interval is None:
        interval = default_interval(n_steps)
    states = states_in_flight(mode, n_steps, interval)
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
