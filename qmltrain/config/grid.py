"""A grid: the points that a verb takes together, every combination of the values of its swept keys."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from qmltrain.config.schema import Config
from qmltrain.config.validation import validate

T = TypeVar("T")
Settle = Callable[[Callable[[Config], T]], T]


@dataclass(frozen=True)
class GridPoint:
    """`values`: of each swept key. `settle(act)` is ``act(config)`` with the point's validated config, without options
    that only an experiment sets and that `act` finds unused; raises what `act` raises otherwise."""

    values: dict[str, Any]
    settle: Settle[Any]


@dataclass(frozen=True)
class Grid:
    """`swept`: keys with a value in every point, a group's key being its entry; `derived`: keys whose values are made
    of others (interpolations)."""

    points: tuple[GridPoint, ...]
    swept: tuple[str, ...] = ()
    derived: tuple[str, ...] = ()


def single_point(config: Config) -> Grid:
    """A grid of one point."""
    return Grid((GridPoint({}, lambda act: act(validate(config))),))
