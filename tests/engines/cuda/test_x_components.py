"""v_x that is derived from v_z: when, from which, and that gradients are those of v_x that is summed."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.angle import parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.engines.cuda import CudaEngine, x_components
from qmltrain.engines.cuda.fused import FusedSchedule
from qmltrain.engines.cuda.x_components import SMALLEST_SINE, Z_BEFORE, XComponents
from qmltrain.engines.protocol import EngineOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from tests.circuit.strategies import random_inputs
from tests.engines.cases import hea
from tests.engines.comparison import assert_close, run
from tests.engines.cuda.emulator_device import EmulatorDevice, compiler
from tests.engines.cuda.matrix import some_strings

needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


def components(circuit: Circuit, tile_bits: int = 9) -> tuple[XComponents, FusedSchedule]:
    schedule = FusedSchedule(EmulatorDevice(), compile_plan(circuit, ()), "complex64", tile_bits, 3, 1 << 14)
    return schedule.x_components, schedule


def strongly(n_qubits: int, layers: int) -> Circuit:
    """RZ RY RZ on every qubit and a ring of CX."""
    gates, count = [], 0
    for _ in range(layers):
        for q in range(n_qubits):
            gates += [Gate(name, (q,), (parameter(count + k),)) for k, name in enumerate(("rz", "ry", "rz"))]
            count += 3
        gates += [Gate("cx", (q, (q + 1) % n_qubits)) for q in range(n_qubits)]
    return Circuit(n_qubits, tuple(gates), tuple(f"theta.{k}" for k in range(count)))


def test_with_cz_the_rotation_before_on_the_same_qubit_gives_z():
    circuit = hea(5, 4)
    found, schedule = components(circuit)
    runs = schedule.plan.gate_runs
    assert len(found.run) == 20
    for number, before in zip(found.run.tolist(), found.before.tolist(), strict=True):
        earlier = [k for k in found.run.tolist() if runs[k].qubit == runs[number].qubit and k < number]
        assert before == max(earlier, default=-1)


def test_with_cx_between_nothing_is_known_before():
    found, _ = components(hea(5, 3, "cx"))
    assert np.all(found.before == -1)


def test_a_rotation_of_no_use_between_breaks_the_chain():
    """RY alone has no v_z among the raw sums; a fixed rotation has no sums at all."""
    for between in (Gate("ry", (0,), (parameter(3),)), Gate("h", (0,))):
        turns = [Gate(name, (0,), (parameter(k),)) for k, name in enumerate(("rx", "ry", "rz"))]
        again = [Gate(name, (0,), (parameter(k + 4),)) for k, name in enumerate(("rx", "ry", "rz"))]
        gates = (*turns, Gate("cz", (0, 1)), between, Gate("cz", (0, 1)), *again)
        found, schedule = components(Circuit(2, gates, tuple(f"theta.{k}" for k in range(7))))
        assert found.before.tolist() == [-1] * len(found.run), schedule.describe()


def test_the_choice_follows_the_sine():
    """Just above the bound v_x is derived; just below it is summed, alone by its bit; where one of a record whose z is
    not known is below, all four are summed."""
    circuit = hea(4, 2)
    found, schedule = components(circuit)
    beta = np.full(schedule.plan_values.n_gate_runs, np.pi / 2)
    known = found.before >= 0
    assert known.sum() == 4
    extra = found.extra(beta)
    assert sorted(extra[extra != 0].tolist()) == [Z_BEFORE]  # of the first layer
    for sine, summed in ((1.001 * SMALLEST_SINE, False), (0.999 * SMALLEST_SINE, True)):
        for angle in (np.arcsin(sine), np.pi - np.arcsin(sine)):
            beta[found.run[known][0]] = angle
            extra = found.extra(beta)[found.record[known][0]]
            assert extra == (1 << found.register[known][0] if summed else 0)
    beta[:] = np.pi / 2
    beta[found.run[~known][0]] = 0.1
    assert found.extra(beta)[found.record[~known][0]] == 15


def test_z_rotations_around_one_about_y_need_no_sine():
    found, schedule = components(strongly(4, 2))
    assert found.any_angle.all()
    extra = found.extra(np.zeros(schedule.plan_values.n_gate_runs))
    assert set(extra.tolist()) <= {0, Z_BEFORE}


def test_completed_sums_are_the_rotated_ones():
    """v before R, rotated by hand; in rows of samples too."""
    circuit = hea(4, 3)
    found, schedule = components(circuit)
    runs = schedule.plan_values.n_gate_runs
    generator = np.random.default_rng(4)
    beta = generator.uniform(0, np.pi, runs)
    raw = generator.normal(size=(3, schedule.plan_values.n_raw))
    known, summed = found._choice(beta)
    expected = raw.copy()
    for k in np.flatnonzero(known | summed):
        x, z = 3 * found.run[k], 3 * found.run[k] + 2
        angle = beta[found.run[k]]
        z_before = np.cos(angle) * raw[:, z] + np.sin(angle) * raw[:, x]  # raw[:, x] is the truth
        if summed[k]:
            z_before = z_before * found.sign[k]
        expected[:, x] = raw[:, x]
        given = raw.copy()
        given[:, 3 * found.before[k] + 2 if known[k] else x] = z_before * (
            found.sign[k] * found.before_sign[k] if known[k] else 1
        )
        if known[k]:
            given[:, x] = np.nan
        np.testing.assert_allclose(found.completed(given, beta)[:, x], expected[:, x], atol=1e-12)


@needs_compiler
@pytest.mark.parametrize("entangler", ["cz", "cx"])
@pytest.mark.parametrize("bound", [0.0, 2.0])
@pytest.mark.parametrize(("n_qubits", "tile"), [(4, None), (8, (6, 2))])
def test_gradients_are_the_same_whether_derived_or_summed(monkeypatch, n_qubits, tile, bound, entangler):
    monkeypatch.setattr(x_components, "SMALLEST_SINE", bound)
    circuit = hea(n_qubits, 3, entangler)
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, theta, x)
    found = run(CudaEngine(EmulatorDevice(), *(tile or (None, None))), circuit, strings, theta, x)
    assert_close(found, expected, "complex128")


@needs_compiler
@pytest.mark.parametrize("circuit", [hea(5, 3), hea(5, 3, "cx"), strongly(5, 3)], ids=["cz", "cx", "strongly"])
@pytest.mark.parametrize("scale", [0.0, 1e-12, 1e-3, 0.5 * SMALLEST_SINE, 2 * SMALLEST_SINE])
def test_small_angles_lose_nothing(circuit, scale):
    """Near the identity, at it, and about the bound, in single precision."""
    theta, x = random_inputs(circuit, 2)
    strings = some_strings(circuit.n_qubits)
    expected = run(ReferenceEngine(), circuit, strings, scale * theta, x)
    found = run(CudaEngine(EmulatorDevice()), circuit, strings, scale * theta, x, precision="complex64")
    assert_close(found, expected, "complex64")


@needs_compiler
def test_fusion_off_derives_nothing():
    circuit = hea(3, 1)
    theta, x = random_inputs(circuit, 1)
    program = CudaEngine(EmulatorDevice()).compile(circuit, some_strings(3), options=EngineOptions(fusion=False))
    raw = np.arange(program.schedule.plan_values.n_raw, dtype=np.float64)
    angles = program.schedule.plan_values.shared_angles(theta)
    np.testing.assert_array_equal(program.schedule.completed(raw, angles), raw)
