"""The product start of a plan: its one-qubit gates before anything entangles, and the plan that is left.

A rotation of one address bit belongs to it where no gate outside of it has touched the bit before, a phase of one bit
where no rotation outside of it has: both then commute with everything outside that comes earlier. What they make of
|0...0> is a product of one factor a bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from qmltrain.fusion.plan import Diagonal, EulerAngle, GateRun, Moment, Plan, Rotation, Term


@dataclass(frozen=True)
class StartRotation:
    """A rotation of the start, and the phases of its bit up to the bit's next one."""

    bit: int
    rotation: Rotation
    shared: tuple[Term, ...]
    per_sample: tuple[Term, ...]


def split(plan: Plan) -> tuple[tuple[StartRotation, ...], Plan]:
    """The rotations of the start, for each bit in time order, and the rest as a plan without the mark. Phases before
    all rotations are of |0...0> and in neither. Of a real plan, phases after a bit's last rotation stay in the rest:
    they are signs only together with others there."""
    if plan.amplitude_encoded:
        return (), replace(plan, product_start=False)
    last = _last_rotations(plan)
    rotated = 0  # bits of rotations outside of the start
    found: dict[int, list[StartRotation]] = {}
    moments = [Moment((), None)]
    for number, moment in enumerate(plan.moments[1:], 1):
        starting = [one for one in moment.rotations if number <= last.get(one.pair_mask, 0) and _may_start(plan, one)]
        rest = tuple(one for one in moment.rotations if one not in starting)
        for rotation in rest:
            rotated |= rotation.pair_mask | rotation.parity_mask
        for rotation in starting:
            bit = rotation.pair_mask.bit_length() - 1
            found.setdefault(rotation.pair_mask, []).append(StartRotation(bit, rotation, (), ()))
        diagonal = moment.diagonal
        if diagonal is not None:
            inside = {mask for mask in found if not mask & rotated and not (plan.real and number >= last[mask])}
            for mask in inside:
                before = found[mask][-1]
                shared = tuple(term for term in diagonal.shared if term.mask == mask)
                per_sample = tuple(term for term in diagonal.per_sample if term.mask == mask and not _of_run(term))
                found[mask][-1] = replace(
                    before, shared=(*before.shared, *shared), per_sample=(*before.per_sample, *per_sample)
                )
            diagonal = Diagonal(
                diagonal.moment,
                tuple(term for term in diagonal.shared if term.mask not in inside),
                tuple(term for term in diagonal.per_sample if term.mask not in inside or _of_run(term)),
            )
        _append(moments, rest, diagonal)
    ordered = tuple(one for mask in sorted(found) for one in found[mask])
    return ordered, replace(plan, moments=tuple(moments), product_start=False)


def _last_rotations(plan: Plan) -> dict[int, int]:
    """The moment of each bit's last rotation in the start, by the bit's mask."""
    touched = rotated = 0  # bits of what is not in the start
    last: dict[int, int] = {}
    for number, moment in enumerate(plan.moments[1:], 1):
        for rotation in moment.rotations:
            if _may_start(plan, rotation) and not rotation.pair_mask & touched:
                last[rotation.pair_mask] = number
            else:
                rotated |= rotation.pair_mask | rotation.parity_mask
        touched |= rotated
        if moment.diagonal is not None:
            own = {term for term in moment.diagonal.per_sample if _of_run(term)}
            for term in (*moment.diagonal.shared, *moment.diagonal.per_sample):
                if term.mask not in last or term.mask & rotated or term in own:
                    touched |= term.mask
    return last


def _may_start(plan: Plan, rotation: Rotation) -> bool:
    """Whether it is of one bit, by shared angles or RY of one per-sample angle."""
    gate_run = plan.gate_runs[rotation.gate_run]
    of_one_bit = rotation.pair_mask == rotation.parity_mask and rotation.pair_mask.bit_count() == 1
    return of_one_bit and (not gate_run.per_sample or _is_one_of_a_sample(gate_run))


def _of_run(term: Term) -> bool:
    """Whether it is alpha or gamma of a gate run: per-sample ones stay where the run's rotation is."""
    return isinstance(term.angle, EulerAngle)


def _is_one_of_a_sample(gate_run: GateRun) -> bool:
    """Whether it is one RY of a per-sample angle: a merged run whose phases are elsewhere may have a shared one."""
    return gate_run.real and len(gate_run.rotations) == 1 and gate_run.rotations[0].angle.per_sample


def _append(moments: list[Moment], rotations: Sequence[Rotation], diagonal: Diagonal | None) -> None:
    """What is left of a moment; a diagonal without rotations before it joins the one before."""
    if diagonal is not None and not (diagonal.shared or diagonal.per_sample):
        diagonal = None
    before = moments[-1].diagonal
    if rotations:
        moments.append(Moment(tuple(rotations), diagonal))
    elif diagonal is not None:
        if before is not None:
            shared, per_sample = (*before.shared, *diagonal.shared), (*before.per_sample, *diagonal.per_sample)
            diagonal = Diagonal(before.moment, shared, per_sample)
        moments[-1] = replace(moments[-1], diagonal=diagonal)
