"""Tiling, first: items, the rotations, phases and CZ signs of a plan, one by one, in their order.

The general schedule (`qmltrain.fusion.passes`) moves whole diagonals; a GPU pass applies only the terms that the
rotations of its tile need. Here a diagonal is taken apart into `Phase`s and `Sign`s. A constant ZZ term of +-pi/2 is a
CZ up to two single-qubit phases of the same angle,

    exp(-i/2 phi Z_a Z_b) = CZ_ab exp(-i/2 phi Z_a) exp(-i/2 phi Z_b) up to a global phase,  phi = +-pi/2,

so that the CZs of a circuit come back as signs, which cost no table, and their single phases cancel.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from math import pi, remainder, tau

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS
from qmltrain.fusion.plan import AffineAngle, Diagonal, EulerAngle, Moment, Rotation

LANES = 3  # address bits that stay out of the registers where a state is loaded: 64 bytes of complex64
_ROUNDING = 1e-12  # radians
_WORTH_A_PASS = 256  # rotations: a pass more is a launch each way, and a tile loaded and stored


@dataclass(frozen=True, slots=True)
class Phase:
    """exp(-i/2 angle Z_mask): `number` of its angle in `Angles.shared` or `Angles.per_sample`.

    `measured`: its gradient is wanted. `is_gamma`: best applied right after the rotation of its gate run.
    """

    mask: int
    number: int
    per_sample: bool
    measured: bool
    is_gamma: bool

    def blocks(self, pair_mask: int) -> bool:
        """Whether it does not commute with a rotation on `pair_mask`."""
        return bool((self.mask & pair_mask).bit_count() & 1)

    @property
    def support(self) -> int:
        return self.mask


@dataclass(frozen=True, slots=True)
class Sign:
    """CZ: -1 where address bits `a` and `b` are both one."""

    a: int
    b: int

    def blocks(self, pair_mask: int) -> bool:
        return bool(((pair_mask >> self.a) | (pair_mask >> self.b)) & 1)

    @property
    def support(self) -> int:
        return 1 << self.a | 1 << self.b


Item = Phase | Sign


@dataclass(frozen=True, slots=True)
class TermEntry:
    """Where an angle comes from: term `index` of the D of moment `moment`."""

    moment: int
    index: int


@dataclass(frozen=True)
class Angles:
    """Sources of the numbered angles. Shared: terms of the plan's diagonals, or constants in radians; per sample:
    affine angles with the sign of their term, equal ones once."""

    shared: tuple[TermEntry | float, ...]
    per_sample: tuple[AffineAngle, ...]


@dataclass(frozen=True)
class MomentItems:
    """A moment taken apart: its rotations, and the items of its diagonal."""

    rotations: tuple[Rotation, ...]
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Round:
    """Items to apply, then rotations of one tile that commute."""

    items: tuple[Item, ...]
    rotations: tuple[Rotation, ...]


@dataclass(frozen=True)
class TilePass:
    """A pass over tiles that are cosets of the span of `basis`.

    `lanes` are vectors of the span that have the lowest places when the tile is loaded (see `Placement`), and hence
    also in the span of the pass before; address bits in the first pass.
    """

    basis: tuple[int, ...]
    rounds: tuple[Round, ...]
    lanes: tuple[int, ...]


def take_apart(moments: Iterable[Moment]) -> tuple[tuple[MomentItems, ...], Angles]:
    """The moments of a plan with their diagonals in items, and where the angles of these come from."""
    shared: list[TermEntry | float] = []
    per_sample: dict[AffineAngle, int] = {}
    found = []
    for moment in moments:
        diagonal = moment.diagonal
        items = [] if diagonal is None else _diagonal_items(diagonal, shared, per_sample)
        found.append(MomentItems(moment.rotations, tuple(items)))
    return tuple(found), Angles(tuple(shared), tuple(per_sample))


def _diagonal_items(
    diagonal: Diagonal, shared: list[TermEntry | float], per_sample: dict[AffineAngle, int]
) -> list[Item]:
    items: list[Item] = []
    constants: dict[int, float] = {}
    for index, term in enumerate(diagonal.shared):
        if isinstance(term.angle, AffineAngle) and term.angle.slot is None:
            constants[term.mask] = constants.get(term.mask, 0.0) + term.sign * term.angle.offset
            continue
        is_gamma = isinstance(term.angle, EulerAngle) and term.angle.which == "gamma"
        items.append(Phase(term.mask, len(shared), False, term.has_gradient, is_gamma))
        shared.append(TermEntry(diagonal.moment, index))
    for term in diagonal.per_sample:
        angle = term.angle
        assert isinstance(angle, AffineAngle)
        signed = AffineAngle(angle.slot, True, term.sign * angle.coefficient, term.sign * angle.offset)
        number = per_sample.setdefault(signed, len(per_sample))
        items.append(Phase(term.mask, number, True, term.has_gradient, False))
    signs, rest = _constant_items(constants)
    items.extend(signs)
    for mask, value in rest.items():
        items.append(Phase(mask, len(shared), False, False, False))
        shared.append(value)
    return items


def _constant_items(constants: dict[int, float]) -> tuple[list[Sign], dict[int, float]]:
    """CZ signs, and the constants left, reduced modulo 2 pi (a global sign)."""
    signs: list[Sign] = []
    rest: dict[int, float] = {}
    for mask, angle in constants.items():
        reduced = remainder(angle, tau)
        if mask.bit_count() == 2 and abs(abs(reduced) - pi / 2) < _ROUNDING:
            a, b = (mask & -mask).bit_length() - 1, mask.bit_length() - 1
            signs.append(Sign(a, b))
            for single in (1 << a, 1 << b):
                rest[single] = rest.get(single, 0.0) + reduced
        else:
            rest[mask] = rest.get(mask, 0.0) + angle
    reduced_rest = {mask: remainder(angle, tau) for mask, angle in rest.items()}
    return signs, {mask: angle for mask, angle in reduced_rest.items() if abs(angle) > _ROUNDING}


def resident_passes(
    moments: Sequence[MomentItems], n_bits: int, rotations_per_pass: int, per_sample_runs: Collection[int] = ()
) -> tuple[TilePass, ...]:
    """The state is one tile: one pass, or several of about `rotations_per_pass` rotations.

    A long stretch at the end in which nothing is per sample or measured is a pass of its own, for the lean kernel;
    `per_sample_runs` are the gate runs that are per sample.
    """
    basis = tuple(1 << b for b in range(n_bits))
    lanes = basis[: min(LANES, max(0, n_bits - REGISTER_BITS))]
    rounds = _rounds(moments)
    lean = len(rounds)
    while lean and not _is_general(rounds[lean - 1], per_sample_runs):
        lean -= 1
    if sum(len(one.rotations) for one in rounds[lean:]) < _WORTH_A_PASS:
        lean = 0
    passes: list[TilePass] = []
    first, done, due = 0, 0, rotations_per_pass
    for k, one in enumerate(rounds):
        if k > first and one.rotations and (done >= due or k == lean):
            passes.append(TilePass(basis, tuple(rounds[first:k]), lanes))
            due += rotations_per_pass if done >= due else 0
            first = k
        done += len(one.rotations)
    return (*passes, TilePass(basis, tuple(rounds[first:]), lanes))


def _rounds(moments: Sequence[MomentItems]) -> list[Round]:
    """The rotations of each moment with the items before them, and the items that come last."""
    rounds: list[Round] = []
    items: tuple[Item, ...] = ()
    for moment in moments:
        if moment.rotations:
            rounds.append(Round(items, moment.rotations))
            items = ()
        items += moment.items
    return [*rounds, Round(items, ())] if items else rounds


def _is_general(one: Round, per_sample_runs: Collection[int]) -> bool:
    """Whether a round needs what the lean kernel has not."""
    phases = (item for item in one.items if isinstance(item, Phase))
    return any(p.per_sample or p.measured for p in phases) or any(r.gate_run in per_sample_runs for r in one.rotations)
