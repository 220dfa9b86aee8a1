"""gradient, plan and circuit: what they write and print."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.models.build import compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import build_problem
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import circuit, gradient, plan, train
from tests.studies.small import CONTEXT, moons


def test_gradient_writes_what_the_evaluator_says(tmp_path, capsys):
    config = moons(tmp_path, study__output=str(tmp_path / "out" / "gradient.h5"), study__per_sample=True)
    assert gradient.run(config, CONTEXT) == 0
    assert "loss" in capsys.readouterr().out
    problem = build_problem(config)
    evaluator = compile_model(config, problem.model).evaluator
    rows = problem.split.train
    expected = evaluator.gradient(initial_theta(problem), problem.data.features(rows), problem.data.labels(rows))
    with h5py.File(config.study.output) as file:
        np.testing.assert_array_equal(file["gradient"], expected.gradient_P)
        np.testing.assert_array_equal(file["rows"], rows)
        np.testing.assert_allclose(np.mean(file["sample_gradients"], axis=0), expected.gradient_P, atol=1e-12)
        assert file["expectations"].shape == (36, 2)
        assert file["input_gradients"].shape == (36, 2)
        assert file.attrs["loss"] == expected.loss
        assert [name.decode() for name in file["names"]] == list(problem.model.parameter_names)


@pytest.mark.parametrize("kind", ["npy", "npz", "h5", "run"])
def test_gradient_reads_parameters_from_any_file(tmp_path, kind):
    config = moons(tmp_path, study__rows=5, study__output=str(tmp_path / "gradient.h5"))
    theta = np.linspace(-1, 1, build_problem(config).model.n_parameters)
    path = tmp_path / f"theta.{kind}"
    if kind == "npy":
        np.save(path, theta)
    elif kind == "npz":
        np.savez(path, parameters=theta)
    elif kind == "h5":
        with h5py.File(path, "w") as file:
            file["parameters"] = theta
    else:
        train.run(config, CONTEXT)
        path = run_directory(config)
        with h5py.File(path / "run.h5") as file:
            theta = file["parameters/values"][-1]
    config.study.parameters = str(path)
    assert gradient.run(config, CONTEXT) == 0
    with h5py.File(config.study.output) as file:
        np.testing.assert_array_equal(file["parameters"], theta)
        assert len(file["losses"]) == 5


def test_gradient_makes_a_missing_folder_and_refuses_an_impossible_one_before_it_begins(tmp_path, monkeypatch):
    output = tmp_path / "deep" / "er" / "gradient.h5"
    assert gradient.run(moons(tmp_path, study__rows=5, study__output=str(output)), CONTEXT) == 0
    assert output.is_file()
    monkeypatch.setattr(gradient, "compute", lambda *_: pytest.fail("computed what cannot be written"))
    with pytest.raises(InputError, match=r"^study\.output: .*gradient\.h5 is not a directory; choose another$"):
        gradient.run(moons(tmp_path, study__output=str(output / "below.h5")), CONTEXT)


def test_gradient_refuses_bad_input_and_overwrites_nothing(tmp_path):
    output = tmp_path / "gradient.h5"
    output.write_text("precious")
    with pytest.raises(InputError, match="exists already"):
        gradient.run(moons(tmp_path, study__output=str(output)), CONTEXT)
    assert output.read_text() == "precious"
    other = str(tmp_path / "other.h5")
    np.save(tmp_path / "short.npy", np.zeros(3))
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 nonsense")
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.full(build_problem(moons(tmp_path)).model.n_parameters, np.nan))
    for name, message in (
        ("short.npy", "shape"),
        ("broken.npz", "no array"),
        ("objects.npy", "no array"),
        ("nan.npy", "NaN"),
        ("absent.npy", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            gradient.run(moons(tmp_path, study__output=other, study__parameters=str(tmp_path / name)), CONTEXT)
    with pytest.raises(InputError, match="study.rows"):
        gradient.run(moons(tmp_path, study__output=other, study__rows=37), CONTEXT)
    assert not (tmp_path / "other.h5").exists()


def test_plan_prints_the_composition(tmp_path, capsys):
    assert plan.run(moons(tmp_path), CONTEXT) == 0
    printed = capsys.readouterr().out
    for word in ("passes", "multiply-adds", "bytes moved", "samples in flight", "reversible"):
        assert word in printed
    assert not list(tmp_path.iterdir())


def test_plan_refuses_what_cannot_fit(tmp_path):
    config = moons(tmp_path, circuit__n_qubits=38)
    with pytest.raises(MemoryLimitError, match="TiB"):
        plan.run(config, CONTEXT)


def test_circuit_draws_and_names(tmp_path, capsys):
    assert circuit.run(moons(tmp_path), CONTEXT) == 0
    printed = capsys.readouterr().out
    assert "q0:" in printed and "q1:" in printed
    assert "encoding.0" in printed and "head." in printed


def lines_of_plan(config, capsys) -> dict[str, str]:
    assert plan.run(config, CONTEXT) == 0
    return {line[:15].strip(): line[15:] for line in capsys.readouterr().out.splitlines()}


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
    assert full["phase tables"].endswith("2.3e+03 and 256 a sample")


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
    assert row["measured"].startswith("1 observable from 4 Pauli strings, 4 of Z alone, after ")


def test_gradient_refuses_a_place_that_cannot_be_written_before_it_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(gradient, "build_problem", lambda config: pytest.fail("computed before it was refused"))
    (tmp_path / "file").write_text("precious")
    for name, reason in (("file/gradient.h5", "is not a directory"), (f"{300 * 'a'}/gradient.h5", "cannot be used")):
        with pytest.raises(InputError, match=rf"^study\.output: .*{reason}.*; choose another$"):
            gradient.run(moons(tmp_path, study__output=str(tmp_path / name)), CONTEXT)
    assert (tmp_path / "file").read_text() == "precious"
