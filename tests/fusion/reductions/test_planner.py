"""The planner of reductions: one after the other, and none where none is asked for."""

from __future__ import annotations

from dataclasses import replace

from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.reductions import planner
from qmltrain.fusion.reductions.planner import ReducedPlanner, Setting
from tests.engines.cases import hea


def test_without_names_it_is_the_plan_itself():
    strings = (PauliString(0, 1),)
    reduced = ReducedPlanner((), Setting(16, "complex64"))
    assert reduced(hea(3, 2), strings) == replace(compile_plan(hea(3, 2), strings), shared_blocks=())
    assert reduced.lines == []


def test_reductions_are_applied_in_order_and_say_what_they_did(monkeypatch):
    class Marks:
        def __init__(self, name):
            self.name = name

        def reduce(self, plan, circuit, strings, setting):
            done.append((self.name, setting.samples))
            return plan

        def line(self, plan):
            return f"{self.name} of {plan.n_qubits}"

    done = []
    monkeypatch.setattr(planner, "PLAN_REDUCTIONS", {name: Marks(name) for name in "abc"})
    reduced = ReducedPlanner(("c", "a"), Setting(8, "complex128"))
    reduced(hea(3, 2), ())
    assert done == [("a", 8), ("c", 8)]
    assert reduced.lines == [("a", "a of 3"), ("c", "c of 3")]
    reduced(hea(3, 2), ())
    assert reduced.lines == [("a", "a of 3"), ("c", "c of 3")]
    reduced(hea(4, 2), ())
    assert reduced.lines[0] == ("a", "2 of 3 circuits: a of 3; 1 of 3 circuits: a of 4")
    for n_qubits in (1, 2):
        reduced(hea(n_qubits, 2), ())
    assert reduced.lines[1][1].startswith("2 of 5 circuits: c of 3; ") and reduced.lines[1][1].endswith("; ... 1 more")
