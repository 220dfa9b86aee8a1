"""`qmltrain plan`: what is printed, and what cannot fit is refused."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.engines.cpu.setting import COMMON
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.verbs import plan
from tests.small_configs import CONTEXT, ising_chain, moons


def test_plan_prints_the_composition(tmp_path, capsys):
    assert plan.run(moons(tmp_path), CONTEXT) == 0
    printed = capsys.readouterr().out
    for word in ("passes", "multiply-adds", "bytes moved", "with 17 samples in flight", "reversible"):
        assert word in printed
    assert not list(tmp_path.iterdir())


def test_plan_counts_the_parameters_of_head_and_loss(tmp_path, capsys):
    mlp = moons(tmp_path, head__name="mlp", head__hidden=[5])
    assert plan.run(mlp, CONTEXT) == 0
    printed = capsys.readouterr().out
    assert "mlp, 27 parameters" in printed and "\nloss " not in printed
    weighted = moons(tmp_path, head__name="raw", loss__name="weighted_fidelity")
    assert plan.run(weighted, CONTEXT) == 0
    assert "weighted_fidelity, 4 parameters" in capsys.readouterr().out


def test_plan_refuses_what_cannot_fit(tmp_path):
    config = moons(tmp_path, circuit__n_qubits=38, engine__reductions=[])
    with pytest.raises(MemoryLimitError, match="TiB"):
        plan.run(config, CONTEXT)


def test_plan_says_what_light_cones_leave_out(tmp_path, capsys):
    few = moons(tmp_path, circuit__n_qubits=40)
    lines = lines_of_plan(few, capsys)
    assert "groups of Pauli strings, of at most" in lines["light cones"]
    assert "circuit" in lines and lines["one state"].split()[1] in ("KiB,", "MiB,")
    assert lines["cannot matter"].startswith("40 parameters, whose gradients are 0: ")
    whole = lines_of_plan(moons(tmp_path, ansatz__entangler="cx_ring", circuit__n_qubits=4), capsys)
    assert whole["light cones"] == "none: the light cone of Z0 has 4 of 4 qubits"


def test_qubits_of_large_circuits_can_be_measured(tmp_path, capsys):
    one = ising_chain(tmp_path, circuit__n_qubits=900, observable__name="z", observable__qubits=[899])
    assert lines_of_plan(one, capsys)["one state"] != ""


def test_plan_counts_what_the_reduced_plan_does(tmp_path, capsys):
    merged = {"circuit__n_qubits": 8, "encoding__gates": ["rx", "ry", "rz"], "encoding__trainable": "none"}
    changes = {**merged, "ansatz__name": "real_amplitudes", "engine__name": "interpreter"}
    lines = lines_of_plan(moons(tmp_path, **changes), capsys)
    whole = lines_of_plan(moons(tmp_path, **changes, engine__reductions=[]), capsys)
    assert "gates merged to" in lines["sample angles"]
    assert int(lines["fused to"].split()[0]) < int(whole["fused to"].split()[0])


def test_plan_of_cones_on_the_reference(tmp_path, capsys):
    lines = lines_of_plan(ising_chain(tmp_path, circuit__n_qubits=60, engine__name="reference"), capsys)
    assert "TiB" not in lines["bytes moved"] and lines["one state"].endswith(f"of {lines['light cones'].split()[0]}")
    assert lines["shared blocks"] == "none: not with engine.name=reference"


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
def test_real_states_are_half_as_large_where_the_engine_has_them(tmp_path, capsys):
    changes = {"ansatz__name": "real_amplitudes", "circuit__n_qubits": 8, "ansatz__layers": 9}
    size = {
        engine: lines_of_plan(ising_chain(tmp_path, **changes, engine__name=engine), capsys)["one state"]
        for engine in ("cpu", "interpreter")
    }
    assert size == {"cpu": "2 KiB", "interpreter": "4 KiB"}  # complex128


def test_plan_refuses_a_cone_that_does_not_fit(tmp_path):
    config = ising_chain(tmp_path, circuit__n_qubits=500, ansatz__entangler="cx_ring")
    line = r": 500 qubits; at most 40 are possible; the light cone of Z0 Z1 has 500 of 500 qubits$"
    with pytest.raises(InputError, match=line):
        plan.run(config, CONTEXT)
    with pytest.raises(InputError, match=r"the light cone of Z0 Z1 [^;]{70,80}\.\.\. has 500 of 500 qubits$"):
        plan.run(ising_chain(tmp_path, circuit__n_qubits=500, observable__name="parity"), CONTEXT)
    deep = ising_chain(tmp_path, circuit__n_qubits=500, ansatz__layers=30)
    with pytest.raises(InputError, match=r"^the light cone of .* has 6\d qubits \(.*\): .* at most 40 are possible$"):
        plan.run(deep, CONTEXT)


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
@pytest.mark.parametrize("threads", [1, 7])
@pytest.mark.parametrize(("n_qubits", "states_gib"), [(28, 4), (30, 16)])
def test_a_step_of_one_sample_needs_two_states(tmp_path, capsys, n_qubits, states_gib, threads):
    """As of VQE: no block of 16, and no state for each thread."""
    changes = {
        "engine__name": "cpu",
        "engine__precision": "complex64",
        "engine__threads": threads,
        "engine__reductions": [],
    }
    enough = ising_chain(tmp_path, circuit__n_qubits=n_qubits, engine__memory_gib=states_gib + 0.1, **changes)
    memory = lines_of_plan(enough, capsys)["memory"]
    assert float(memory.split()[0]) == pytest.approx(states_gib, abs=0.05)  # tables of 32 MiB
    assert " GiB with 1 sample in flight, of " in memory
    little = ising_chain(tmp_path, circuit__n_qubits=n_qubits, engine__memory_gib=states_gib - 0.1, **changes)
    with pytest.raises(MemoryLimitError, match=f"2 states of 1 sample need {states_gib} GiB"):
        plan.run(little, CONTEXT)


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")
def test_a_step_of_a_few_samples_needs_the_memory_of_few(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("qmltrain.engines.cpu.program.cache_sizes", lambda instruction_set: COMMON)
    changes = {"engine__name": "cpu", "engine__precision": "complex64", "engine__threads": 2, "circuit__n_qubits": 20}
    changes["engine__reductions"] = []
    few = moons(tmp_path, train__batch_size=3, engine__memory_gib=0.08, **changes)
    memory = lines_of_plan(few, capsys)["memory"]
    assert (
        "with 3 samples in flight" in memory and 80 < float(memory.split()[0]) < 82
    )  # MiB: 3 x 2 states of 8, tables of 32
    with pytest.raises(
        MemoryLimitError, match=r"^16 samples in flight need .* steps of at most 3 \(train\.batch_size\)"
    ):
        plan.run(moons(tmp_path, train__batch_size=20, engine__memory_gib=0.08, **changes), CONTEXT)


def lines_of_plan(config, capsys) -> dict[str, str]:
    assert plan.run(config, CONTEXT) == 0
    return {line[:15].strip(): line[15:] for line in capsys.readouterr().out.splitlines()}


def test_plan_for_a_gpu_that_is_not_here(tmp_path, capsys):
    """Neither CuPy nor a GPU is asked; what is derived says so."""
    config = moons(tmp_path, engine__name="cuda", circuit__n_qubits=12, engine__precision="complex64")
    assert plan.run(config, CONTEXT, device="NVIDIA A100") == 0
    printed = capsys.readouterr().out
    lines = {line[:15].strip(): line[15:] for line in printed.splitlines()}
    assert lines["engine"] == "cuda: A100, compute capability 80 (for a GPU that is not asked)"
    assert lines["memory"].endswith("of 67.1 GiB")  # 0.9 of 80 GB
    line = r"^[\d.]+ us for 17 samples, .* not measured, but the longest of [\d.]+ us instructions, .* beside$"
    assert re.match(line, lines["derived"])
    double = moons(tmp_path, engine__name="cuda", engine__precision="complex128")
    assert plan.run(double, CONTEXT, device="H200") == 0
    assert "no time, since instructions are counted for engine.precision=complex64 alone" in capsys.readouterr().out


def test_a_named_gpu_has_no_more_memory_than_it_was_built_with(tmp_path, capsys):
    """`engine.memory_gib` can take from a card, not add to it."""
    small = {"engine__name": "cuda", "engine__precision": "complex64", "circuit__n_qubits": 12}
    for asked, found in ((100, "of 13.4 GiB"), (2, "of 2 GiB")):
        assert plan.run(moons(tmp_path, engine__memory_gib=asked, **small), CONTEXT, device="T4") == 0
        assert capsys.readouterr().out.count(found) == 2  # the gradient's share, and the step's
    large = moons(tmp_path, **{**small, "circuit__n_qubits": 26, "engine__memory_gib": 100})
    with pytest.raises(MemoryLimitError, match=r"^16 samples in flight need .* of 13\.4 GiB"):
        plan.run(large, CONTEXT, device="T4")


def test_plan_refuses_devices_that_it_does_not_know(tmp_path):
    with pytest.raises(InputError, match=r"^--device: 'H300' is not known; choose one of T4, .*H200"):
        plan.run(moons(tmp_path, engine__name="cuda"), CONTEXT, device="H300")
    with pytest.raises(InputError, match=r"^--device: H200 is a GPU, and engine.name=cpu; set engine.name=cuda$"):
        plan.run(moons(tmp_path, engine__name="cpu"), CONTEXT, device="H200")


def test_plan_shows_that_many_strings_cost_no_more_than_few(tmp_path, capsys):
    """All pairs of six qubits in one diagonal: more terms, the same rotations, passes and tables."""
    shown = {
        entanglement: lines_of_plan(
            moons(
                tmp_path, dataset__name="make_classification", dataset__noise=None, dataset__n_features=6,
                circuit__n_qubits=6, encoding__name="zz_feature_map", encoding__entanglement=entanglement,
            ),
            capsys,
        )
        for entanglement in ("full", "linear")
    }  # fmt: skip
    full, linear = shown["full"], shown["linear"]
    assert " 42 per sample" in full["phase terms"]  # 2 repeats of 15 pairs and 6 qubits
    assert " 22 per sample" in linear["phase terms"]
    for row in ("fused to", "phase tables", "multiply-adds", "bytes moved"):
        assert full[row] == linear[row]
    # two diagonals of the samples' own, forward, backward and gradients: 6 transforms of 6 x 64 additions; 4 x 64 sines
    assert full["phase tables"].endswith("2.3e+03 and 256 per sample")


def test_plan_shows_re_uploading_in_proportion(tmp_path, capsys):
    rows = {repeats: lines_of_plan(moons(tmp_path, encoding__repeats=repeats), capsys) for repeats in (10, 40)}
    found = [float(rows[repeats]["multiply-adds"].split()[0]) for repeats in (10, 40)]
    assert 3.8 < found[1] / found[0] < 4.2


def test_plan_counts_the_samples_of_a_step(tmp_path, capsys):
    assert "for 17 samples" in lines_of_plan(moons(tmp_path), capsys)["one step"]
    full = lines_of_plan(moons(tmp_path, optimizer__name="lbfgs"), capsys)
    assert "for 36 samples" in full["one evaluation"] and "one step" not in full


def test_plan_shows_what_is_measured(tmp_path, capsys):
    np.save(tmp_path / "state.npy", np.array([0.6, 0, 0, 0.8j]))
    row = lines_of_plan(
        moons(tmp_path, observable__name="target_state", observable__path=str(tmp_path / "state.npy")), capsys
    )
    assert row["measured"].startswith("1 observable from 3 Pauli strings, 3 of Z alone, and a constant, after ")
