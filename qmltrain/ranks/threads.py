"""Threads of a rank: its node's CPUs, over the ranks that may use them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from qmltrain.job_limits import ROOT, cpu_limits


@dataclass(frozen=True)
class Place:
    """Where a rank runs: its node, and the CPUs that it may use."""

    node: str
    cpus: tuple[int, ...]

    def to_text(self) -> bytes:
        return json.dumps([self.node, self.cpus]).encode()

    @classmethod
    def from_text(cls, text: bytes) -> Place:
        node, cpus = json.loads(text)
        return cls(node, tuple(cpus))


def ranks_beside(places: Sequence[Place], rank: int) -> int:
    """Ranks on this rank's node, itself included."""
    return sum(place.node == places[rank].node for place in places)


def number_beside(places: Sequence[Place], rank: int) -> int:
    """The rank's number among those of its node."""
    return ranks_beside(places[: rank + 1], rank) - 1


def threads_of(places: Sequence[Place], rank: int, root: Path = ROOT, environ: Mapping[str, str] = os.environ) -> int:
    """One at least. A CPU that several ranks may use counts in parts, whether a launcher binds its ranks or not; what a
    control group grants is granted to all ranks of the node; SLURM's CPUs are those of a task already."""
    own, here = places[rank], [place for place in places if place.node == places[rank].node]
    limits = cpu_limits(root, environ, len(here))
    affinity, slurm = limits.pop("affinity"), limits.pop("SLURM", None)
    shared = sum((Fraction(1, sum(cpu in place.cpus for place in here)) for cpu in own.cpus), Fraction(0))
    found = [int(shared) if own.cpus else affinity // len(here), *(limit // len(here) for limit in limits.values())]
    return max(1, min(found if slurm is None else [*found, slurm]))
