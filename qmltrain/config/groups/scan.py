"""Config group `scan`: options of the verb `scan`; training does not read them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from qmltrain.config.groups.train import FREEZE
from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, POSITIVE, TEXT, Rule, between, each, one_of
from qmltrain.errors import InputError

_UNREAD = "training does not read it"
_PLACES = ("first", "last", "all")
_LIST = each(FREEZE, distinct=True)
QUANTITIES = ("loss", "gradient", "gradient_norms", "entanglement", "fidelity")  # as qmltrain/studies/study has them


def _accepts_shard(value: Any) -> bool:
    found = re.fullmatch(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})", value) if isinstance(value, str) else None
    return found is not None and int(found[1]) <= int(found[2])


SHARD = Rule(_accepts_shard, "k/K, the k-th of K shares, as 1/3")
GRADIENTS = Rule(
    lambda value: value in _PLACES if isinstance(value, str) else _LIST.accepts(value),
    f"first, last, all, or a list of {FREEZE.allowed}",
)


@dataclass
class ScanConfig(ConfigGroup):
    draws: int | None = option(
        None, "draws of every point (null: 100; with scan.line or scan.plane 1)", COUNT, same_run=_UNREAD
    )
    quantities: list[str] | None = option(
        None,
        "what each draw gives: loss, gradient, gradient_norms, entanglement, fidelity (null: the first three)",
        each(one_of(*QUANTITIES), distinct=True),
        same_run=_UNREAD,
    )
    gradients: Any = option(
        None,
        "parameters whose gradient is kept: first | last | all, or a list as train.freeze takes it (null: all)",
        GRADIENTS,
        same_run=_UNREAD,
    )
    rows: int | None = option(
        None,
        "with data: first samples of the training split, over which a loss is the mean (null: all)",
        COUNT,
        same_run=_UNREAD,
    )
    line: str | None = option(
        None,
        "instead of quantities the loss along a line: random | gradient | the name of a parameter | start (with "
        "scan.run: to the run's first parameters)",
        TEXT,
        same_run=_UNREAD,
    )
    plane: list[str] | None = option(
        None, "instead of quantities the loss on a plane: two directions as of scan.line", each(TEXT), same_run=_UNREAD
    )
    span: float | None = option(
        None, "line, plane: from -span to span, radians along a unit vector (null: pi)", POSITIVE, same_run=_UNREAD
    )
    resolution: int | None = option(
        None, "line, plane: points of an axis (null: 51)", between(2, 100_000), same_run=_UNREAD
    )
    run: str | None = option(
        None,
        "line, plane: around the best parameters of this run, with its model and data (null: around each draw)",
        TEXT,
        same_run=_UNREAD,
    )
    shard: str | None = option(
        None,
        "k/K: only every K-th point from the k-th on, in a file beside the others' (null: all)",
        SHARD,
        same_run=_UNREAD,
    )
    bins: int | None = option(
        None,
        "fidelity: bins of the histogram that expressibility compares (null: 75)",
        between(2, 100_000),
        same_run=_UNREAD,
    )

    @property
    def directions(self) -> tuple[str, ...]:
        """Of the line or the plane; () without."""
        return (self.line,) if self.line is not None else tuple(self.plane or ())

    def check(self) -> None:
        if self.line is not None and self.plane is not None:
            raise InputError("scan.plane: a scan has a line (scan.line) or a plane, not both; leave one null")
        if self.plane is not None and len(self.plane) != 2:
            raise InputError(
                f"scan.plane: found {len(self.plane)} directions; a plane has two, as [random,random]; "
                "for one direction use scan.line"
            )
        if self.directions:
            for name in ("quantities", "gradients", "bins"):
                if getattr(self, name) is not None:
                    raise InputError(f"scan.{name}: not used by scan.line and scan.plane, which give the loss alone")
            return
        for name in ("span", "resolution", "run"):
            if getattr(self, name) is not None:
                raise InputError(f"scan.{name}: only with scan.line or scan.plane; choose one, or leave it null")
        quantities = self.quantities or QUANTITIES[:3]
        for name, quantity in (("gradients", "gradient"), ("bins", "fidelity")):
            if getattr(self, name) is not None and quantity not in quantities:
                raise InputError(f"scan.{name}: only with {quantity} among scan.quantities; leave it null")
