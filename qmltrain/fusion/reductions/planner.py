"""Which reductions there are, and the planner that applies those of a plan, one after the other.

A reduction of a plan is a module with

    reduce(plan, circuit, strings, setting) -> Plan    the same plan where it does not apply
    line(plan) -> str                                  what it does to this plan, or why not, for `qmltrain plan`

It marks the plan, or makes another one of the circuit. What comes is still a plan that every engine can execute; an
engine that knows the mark does less work. Light cones cut the circuit before there is a plan
(`qmltrain.fusion.reductions.light_cones`).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Protocol

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan
from qmltrain.fusion.reductions import product_start, real_states, sample_angles, shared_blocks
from qmltrain.fusion.reductions.setting import Setting


class PlanReduction(Protocol):
    """What a module of a reduction offers."""

    def reduce(self, plan: Plan, circuit: Circuit, strings: tuple[PauliString, ...], setting: Setting) -> Plan: ...

    def line(self, plan: Plan) -> str: ...


# real_states and sample_angles may lower the circuit anew: they come first; shared_blocks names operations of the
# plan: it comes last
PLAN_REDUCTIONS: dict[str, PlanReduction] = {
    "real_states": real_states,
    "sample_angles": sample_angles,
    "product_start": product_start,
    "shared_blocks": shared_blocks,
}
REDUCTIONS = ("light_cones", *PLAN_REDUCTIONS)
MOST_SAID = 3  # different lines of one reduction


@dataclass
class ReducedPlanner:
    """compile_plan, then the reductions of `names` in the order of `PLAN_REDUCTIONS`. `plans`: those it made, one for
    equal circuits."""

    names: tuple[str, ...]
    setting: Setting
    plans: list[Plan] = field(default_factory=list)
    _known: dict[tuple[Circuit, tuple[PauliString, ...]], Plan] = field(default_factory=dict)

    def __call__(self, circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
        if (circuit, strings) not in self._known:
            self._known[circuit, strings] = self._plan(circuit, strings)
        self.plans.append(self._known[circuit, strings])
        return self.plans[-1]

    def _plan(self, circuit: Circuit, strings: tuple[PauliString, ...]) -> Plan:
        plan = replace(compile_plan(circuit, strings), shared_blocks=())  # chosen here, and nowhere else
        for name, reduction in PLAN_REDUCTIONS.items():
            if name in self.names:
                plan = reduction.reduce(plan, circuit, strings, self.setting)
        return plan

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Names of the reductions and what each did; where it did not do the same to all plans, what to how many."""
        found = []
        for name, one in PLAN_REDUCTIONS.items():
            said = Counter(one.line(plan) for plan in self.plans) if name in self.names else Counter()
            kinds = said.most_common()
            if len(kinds) > 1:
                kinds = [(f"{times} of {len(self.plans)} circuits: {text}", times) for text, times in kinds]
            if kinds:
                more = f"; ... {len(kinds) - MOST_SAID} more" * (len(kinds) > MOST_SAID)
                found.append((name, "; ".join(text for text, _ in kinds[:MOST_SAID]) + more))
        return found
