"""What CX costs a tiled schedule. That the schedule is right, `test_cone_tiles.py` shows for both kinds of plans."""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest


@cache
def counted(derived: ModuleType, layers: int, kind: str):
    return derived.planned(20, layers, kind, 12)[1]


@pytest.mark.parametrize(("ansatz", "passes", "ratio"), [("strongly", 1.05, 1.3), ("cx", 0.75, 1.25)])
def test_plans_with_cx_cost_little_more_than_cz(ansatz, passes, ratio, monkeypatch):
    """By the instructions that the benchmark derives times from: strongly entangling layers at most 1.3 times."""
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[4] / "scripts" / "bench"))
    derived = importlib.import_module("gpu_derived")
    layers = 60
    counts = {kind: counted(derived, layers, kind) for kind in ("cz", ansatz)}
    assert counts[ansatz].passes <= passes * layers
    assert sum(counts[ansatz].slots()) <= ratio * sum(counts["cz"].slots())
