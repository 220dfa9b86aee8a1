"""Plans taken apart into rotations, phases and CZ signs."""

from __future__ import annotations

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.engines.cuda.tiling.cone_tiles import schedule_tiles
from qmltrain.engines.cuda.tiling.items import Sign, take_apart
from qmltrain.engines.cuda.tiling.record_writer import make_records
from qmltrain.fusion.compile import compile_plan
from tests.engines.cases import hea


def test_cz_comes_back_as_signs_alone():
    plan = compile_plan(hea(5, 3), ())
    moments, angles = take_apart(plan.moments)
    signs = [item for moment in moments for item in moment.items if isinstance(item, Sign)]
    assert len(signs) == 15
    assert not [angle for angle in angles.shared if isinstance(angle, float)]


def passes(circuit: Circuit) -> list[tuple[int, bool]]:
    """Rotations of each pass over one tile, and whether it is lean."""
    plan = compile_plan(circuit, ())
    moments, _ = take_apart(plan.moments)
    per_sample = [number for number, one in enumerate(plan.gate_runs) if one.per_sample]
    tiles = schedule_tiles(moments, plan.n_qubits, 9, 3, per_sample_runs=per_sample)
    program = make_records(tiles, plan.gate_runs, plan.n_qubits, 9, 8)
    counts = [sum(len(one.rotations) for one in tile.rounds) for tile in tiles]
    return list(zip(counts, [one.lean for one in program.passes], strict=True))


def test_a_long_stretch_without_samples_is_a_lean_pass_of_its_own():
    assert passes(hea(6, 43)) == [(6, False), (258, True)]
    assert passes(hea(6, 42)) == [(258, False)]  # shorter than a pass is worth


def test_what_is_measured_or_per_sample_last_leaves_no_lean_pass():
    circuit = hea(6, 43)
    for last in (Gate("ry", (2,), (feature(0),)), Gate("rzz", (0, 1), (parameter(0),))):
        whole = Circuit(6, (*circuit.gates, last, Gate("ry", (3,), (parameter(1),))), circuit.parameter_names, 6)
        assert [lean for _, lean in passes(whole)] == [False]
