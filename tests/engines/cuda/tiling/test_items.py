"""Plans taken apart into rotations, phases and CZ signs."""

from __future__ import annotations

from qmltrain.engines.cuda.tiling.items import Sign, take_apart
from qmltrain.fusion.compile import compile_plan
from tests.engines.cases import hea


def test_cz_comes_back_as_signs_alone():
    plan = compile_plan(hea(5, 3), ())
    moments, angles = take_apart(plan.moments)
    signs = [item for moment in moments for item in moment.items if isinstance(item, Sign)]
    assert len(signs) == 15
    assert not [angle for angle in angles.shared if isinstance(angle, float)]
