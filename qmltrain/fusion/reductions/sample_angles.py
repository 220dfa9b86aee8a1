"""Angles per sample nearer to the price of shared ones.

Data re-uploading, feature maps and batches of parameter vectors give many rotations an angle of their own for every
sample. Their gate runs are merged where that saves enough rotations (`qmltrain.fusion.lowering`), and engines may take
what is faster for such angles and rounds differently: phases as products instead of a transform and a sine for every
amplitude, rotations whose cosines are multiplied in once for several. A plan whose samples enter in the initial product
state alone stays as it is.
"""

from __future__ import annotations

from dataclasses import replace

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan
from qmltrain.fusion.reductions.setting import Setting


def reduce(plan: Plan, circuit: Circuit, strings: tuple[PauliString, ...], setting: Setting) -> Plan:
    """The plan with merged gate runs, or the same one where no sample acts after the initial product state, or
    states are real."""
    if plan.real or not _sampled(plan):
        return plan
    return replace(compile_plan(circuit, strings, sample_angles=True), shared_blocks=plan.shared_blocks)


def line(plan: Plan) -> str:
    if plan.real:
        return "states are real: RY of every sample as it is"
    if not plan.sample_angles:
        return "no angle per sample after the initial product state"
    merged = [run for run in plan.gate_runs if run.per_sample and len(run.rotations) > 1]
    own = sum(run.per_sample for run in plan.gate_runs)
    if not merged:
        return f"{own} rotations per sample, their cosines multiplied in once a group; phases as products"
    gates = sum(len(run.rotations) for run in merged)
    return f"{gates} gates merged to {len(merged)} of {own} rotations per sample; phases as products"


def _sampled(plan: Plan) -> bool:
    """Whether angles per sample act after the first moment of rotations."""
    for moment in plan.moments[1:]:
        if moment.diagonal is not None and moment.diagonal.per_sample:
            return True
    return any(plan.gate_runs[r.gate_run].per_sample for moment in plan.moments[2:] for r in moment.rotations)
