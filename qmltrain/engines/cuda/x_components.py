"""v_x of a rotation: summed by the kernel, or derived from v_z after the rotation and before it.

R = RY(beta) takes Z to cos(beta) Z + sin(beta) X, so with v right after R and z the v_z right before it

    z = cos(beta) v_z + sin(beta) v_x,      v_x = (z - cos(beta) v_z) / sin(beta).

Summing v_x costs as much as v_y, and z is often there already: nothing between R and the rotation before it on the
same qubit changes v_z, which was summed there. Where it is not (a CX came between), the kernel can sum z of all four
registers with one tree, cheaper than v_x of two. Both sums are rounded, by d at most; v_x is then wrong by at most
d (1 + |cos beta|) / |sin beta|, which SMALLEST_SINE keeps below 8 d; where sin(beta) is smaller v_x is summed. A gate
run of z rotations, one about y and z rotations needs no such care: its gradients are z, v_y and v_z, and sin(beta)
cancels.
"""

from __future__ import annotations

import numpy as np

from qmltrain.engines.cuda.tiling.records import RecordProgram
from qmltrain.engines.plan_values import PlanValues
from qmltrain.engines.protocol import FloatArray
from qmltrain.fusion.plan import GateRun, Plan
from qmltrain.gf2 import parity

SMALLEST_SINE = 0.25
Z_BEFORE = 16  # of enum Extra in tile_pass.cuh: z of all registers instead of v_x of those whose bits are set
_WORTH_Z_BEFORE = 2  # v_x that cost more than one z of all four registers
_TINY = 1e-30


class XComponents:
    """Of all gate runs whose v_x is wanted, arrays (V,): where they are, and which v_z is theirs before."""

    def __init__(self, plan: Plan, program: RecordProgram) -> None:
        wanted = [v for v in program.v_columns if _is_wanted(plan.gate_runs[v.gate_run])]
        before = _runs_before(plan)
        self.plan, self.records = plan, len(program.records_K)
        self.record = np.array([v.record for v in wanted], dtype=np.int64)
        self.register = np.array([v.register for v in wanted], dtype=np.int64)
        self.run = np.array([v.gate_run for v in wanted], dtype=np.int64)
        self.sign = np.array([-1.0 if v.flip else 1.0 for v in wanted])
        self.before = np.array([before.get(v.gate_run, (-1, False))[0] for v in wanted], dtype=np.int64)
        self.before_sign = np.array([-1.0 if before.get(v.gate_run, (-1, False))[1] else 1.0 for v in wanted])
        self.any_angle = np.array([_is_zyz(plan.gate_runs[v.gate_run]) for v in wanted], dtype=bool)

    def _choice(self, beta: FloatArray) -> tuple[np.ndarray, np.ndarray]:
        """(V,) whether z is the v_z of the rotation before, and whether it is summed in the record of this one."""
        safe = self.any_angle | (np.abs(np.sin(beta[self.run])) >= SMALLEST_SINE)
        known = safe & (self.before >= 0)

        def in_records(which: np.ndarray) -> np.ndarray:
            return np.bincount(self.record, which, minlength=self.records)

        summed = (in_records(~known) >= _WORTH_Z_BEFORE) & (in_records(~safe) == 0)
        return known, ~known & summed[self.record]

    def extra(self, beta: FloatArray) -> np.ndarray:
        """(records,) int32, which sums the kernel takes beside v_y and v_z. `beta` of all gate runs."""
        known, summed = self._choice(beta)
        extra = np.zeros(self.records, dtype=np.int32)
        left = ~known & ~summed
        np.bitwise_or.at(extra, self.record[left], (1 << self.register[left]).astype(np.int32))
        extra[self.record[summed]] = Z_BEFORE
        return extra

    def extra_at_random_angles(self) -> np.ndarray:
        """`extra` for slots that are uniform in a full circle, the same ones each time."""
        plan_values = PlanValues(self.plan)
        slots = np.random.default_rng(0).uniform(-np.pi, np.pi, self.plan.n_shared_slots)
        return self.extra(plan_values.shared_angles(slots).beta)

    def completed(self, raw_R: FloatArray, beta: FloatArray) -> FloatArray:
        """Raw sums (n_raw,) or (B, n_raw) with every v_x in its place."""
        known, summed = self._choice(beta)
        derived = known | summed
        run, before = self.run[derived], self.before[derived]
        x, z = 3 * run, 3 * run + 2
        result = raw_R.copy()
        z_before = np.where(
            known[derived],
            (self.sign * self.before_sign)[derived] * raw_R[..., 3 * before + 2],
            self.sign[derived] * raw_R[..., x],
        )
        sine, cosine = np.sin(beta[run]), np.cos(beta[run])
        usable = np.abs(sine) > _TINY  # else v_x of no use, see above
        difference = np.where(usable, z_before - cosine * raw_R[..., z], 0.0)
        result[..., x] = difference / np.where(usable, sine, 1.0)
        return result


def _is_wanted(gate_run: GateRun) -> bool:
    return gate_run.needs_v_z and not gate_run.per_sample


def _is_zyz(gate_run: GateRun) -> bool:
    """Whether a gate run is z rotations, at most one about y, and z rotations."""
    axes = [rotation.axis for rotation in gate_run.rotations]
    return "x" not in axes and axes.count("y") <= 1


def _runs_before(plan: Plan) -> dict[int, tuple[int, bool]]:
    """Gate run -> the one whose v_z is its v_z before, and whether that one is flipped: the last rotation on the same
    bit, if its v_z is summed and none since then has changed it."""
    found: dict[int, tuple[int, bool]] = {}
    last: dict[int, tuple[int, bool]] = {}  # parity mask -> gate run and flip of the rotation whose v_z still stands
    for moment in plan.moments:
        for rotation in moment.rotations:
            if rotation.parity_mask in last:
                found[rotation.gate_run] = last[rotation.parity_mask]
        for rotation in moment.rotations:
            last = {mask: run for mask, run in last.items() if not parity(mask & rotation.pair_mask)}
        for rotation in moment.rotations:
            if _is_wanted(plan.gate_runs[rotation.gate_run]):
                last[rotation.parity_mask] = (rotation.gate_run, rotation.flip)
    return found
