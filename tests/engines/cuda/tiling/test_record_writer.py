"""Records: their NumPy executor against the reference, no bank conflicts, contiguous loads and stores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda.tiling.cone_tiles import schedule_tiles
from qmltrain.engines.cuda.tiling.items import TermEntry, take_apart
from qmltrain.engines.cuda.tiling.record_writer import make_records
from qmltrain.engines.cuda.tiling.records import FLAGS, HAS_EXCHANGE
from qmltrain.engines.plan_values import PlanValues
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.lowering import lower
from qmltrain.training.angles import AngleMap
from tests.circuit.strategies import circuits, random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import forward
from tests.engines.cuda.tiling.record_executor import execute
from tests.examples import examples


def executed_state(circuit, theta, x, tile_bits: int, low_bits: int) -> np.ndarray:  # noqa: ANN001
    """(B, 2^n) final states, logical order, through schedule, records and their executor."""
    plan, frame = compile_plan(circuit, ()), lower(circuit).frame
    plan_values, per_sample_BS = PlanValues(plan), AngleMap(circuit).per_sample(theta, x)
    moments, angles = take_apart(plan.moments)
    tiles = schedule_tiles(moments, plan.n_qubits, tile_bits, low_bits)
    program = make_records(tiles, plan.gate_runs, plan.n_qubits, tile_bits, 16)
    given = plan_values.shared_angles(AngleMap(circuit).shared(theta))
    shared = np.zeros(len(angles.shared) + 1)
    for k, entry in enumerate(angles.shared):
        if isinstance(entry, TermEntry):
            table = plan_values.shared_terms[entry.moment]
            shared[k] = table.coefficients[entry.index] * given.sources[table.source[entry.index]]
            shared[k] += table.offsets[entry.index]
        else:
            shared[k] = entry

    def by_sample(affine, sign: float) -> np.ndarray:  # noqa: ANN001
        return sign * (affine.coefficient * per_sample_BS[:, affine.slot] + affine.offset)

    empty = np.zeros((len(x), 1))
    sample = np.column_stack([empty[:, :0], *(by_sample(a, 1.0) for a in angles.per_sample), empty])
    sample_betas = np.column_stack([*(by_sample(a, -1.0 if flip else 1.0) for a, flip in program.sample_shears), empty])
    betas = np.zeros(4 * len(program.records_K) + 4)
    for shear in program.shears:
        betas[shear.entry] = given.beta[shear.gate_run] * (-1.0 if shear.flip else 1.0)
    start = np.zeros((len(x), 1 << program.address_bits), dtype=complex)
    start[:, 0] = 1
    final = execute(program, start, shared, betas, sample, sample_betas)[:, : 1 << plan.n_qubits]
    address = np.arange(1 << plan.n_qubits)
    logical = np.zeros_like(address)
    for q, row in enumerate(frame.rows):
        bit = np.bitwise_count(address & row).astype(np.int64) & 1
        logical |= (bit ^ frame.offsets[q]) << q
    result = np.empty_like(final)
    result[:, logical] = final
    return result


def assert_same_states(circuit, tile_bits: int, low_bits: int, batch: int = 2) -> None:  # noqa: ANN001
    theta, x = random_inputs(circuit, batch)
    expected = forward(ReferenceEngine().compile(circuit, (PauliString(0, 0),)), circuit, theta, x).state
    found = executed_state(circuit, theta, x, tile_bits, low_bits)
    overlap = np.abs(np.sum(found.conj() * expected, axis=1))
    np.testing.assert_allclose(overlap, 1.0, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1.0, atol=1e-12)


@settings(max_examples=examples(60), deadline=None)
@given(circuits(min_qubits=1, max_qubits=7, max_gates=24), st.sampled_from([5, 6, 9]))
def test_random_circuits(circuit, tile_bits):
    assert_same_states(circuit, tile_bits, 1)


@pytest.mark.parametrize("entangler", ["cz", "cx"])
@pytest.mark.parametrize(("n_qubits", "tile_bits"), [(3, 9), (7, 5), (8, 6), (9, 9)])
def test_layered_circuits(n_qubits, tile_bits, entangler):
    assert_same_states(hea(n_qubits, 5, entangler), tile_bits, 1)


@pytest.mark.parametrize("amplitude_bytes", [8, 16])
@pytest.mark.parametrize("entangler", ["cz", "cx"])
@pytest.mark.parametrize(("n_qubits", "tile_bits"), [(9, 9), (12, 12), (14, 10)])
def test_exchanges_have_no_bank_conflicts(n_qubits, tile_bits, entangler, amplitude_bytes):
    plan = compile_plan(hea(n_qubits, 3, entangler), ())
    moments, _ = take_apart(plan.moments)
    tiles = schedule_tiles(moments, n_qubits, tile_bits, 3)
    program = make_records(tiles, plan.gate_runs, n_qubits, tile_bits, amplitude_bytes)
    assert np.any(program.records_K[:, FLAGS] & HAS_EXCHANGE)
    for tables, access_bytes in zip(np.split(program.exchange_thread, 2), (amplitude_bytes, 16), strict=True):
        lanes = 128 // access_bytes
        for side in tables.reshape(-1, *program.exchange_thread.shape[2:]):
            banks = (side[:, 0] // access_bytes % lanes).reshape(-1, lanes)
            assert all(len(set(row)) == lanes for row in banks.tolist())


@pytest.mark.parametrize("entangler", ["cz", "cx"])
@pytest.mark.parametrize(("n_qubits", "tile_bits"), [(9, 9), (12, 12), (14, 10), (16, 12)])
def test_passes_load_and_store_whole_segments(n_qubits, tile_bits, entangler):
    """The first eight threads of a warp touch eight neighbouring amplitudes: 64 bytes."""
    plan = compile_plan(hea(n_qubits, 9, entangler), ())
    moments, _ = take_apart(plan.moments)
    program = make_records(schedule_tiles(moments, n_qubits, tile_bits, 3), plan.gate_runs, n_qubits, tile_bits, 8)
    for edge in program.edge_thread:
        for side in edge:
            assert sorted(side[:8, 0].tolist()) == list(range(8))
