"""gradient, plan and circuit: what they write and print."""

from __future__ import annotations

import warnings

import h5py
import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.models.build import compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import build_problem
from qmltrain.sessions.training_run import run_directory
from qmltrain.training.freezing import frozen_parameters
from qmltrain.verbs import gradient, train
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT, moons


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


def test_gradients_of_frozen_parameters_are_0(tmp_path, capsys):
    config = moons(tmp_path, study__output=str(tmp_path / "g.h5"), study__per_sample=True, train__freeze=[0, "head"])
    assert gradient.run(config, CONTEXT) == 0
    frozen_P = frozen_parameters(build_problem(config).model, [0, "head"])
    assert f"{frozen_P.sum()} of them frozen" in capsys.readouterr().out
    with h5py.File(config.study.output) as file:
        for name in ("gradient", "sample_gradients"):
            assert not np.any(file[name][...][..., frozen_P]) and np.all(np.any(file[name][...][..., ~frozen_P] != 0))


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


def test_gradient_refuses_a_place_that_cannot_be_written_before_it_computes(tmp_path, monkeypatch):
    monkeypatch.setattr(gradient, "build_problem", lambda config: pytest.fail("computed before it was refused"))
    (tmp_path / "file").write_text("precious")
    for name, reason in (("file/gradient.h5", "is not a directory"), (f"{300 * 'a'}/gradient.h5", "cannot be used")):
        with pytest.raises(InputError, match=rf"^study\.output: .*{reason}.*; choose another$"):
            gradient.run(moons(tmp_path, study__output=str(tmp_path / name)), CONTEXT)
    assert (tmp_path / "file").read_text() == "precious"


def test_parameters_of_another_circuit_are_said_to_be_others(tmp_path):
    """As many, in another order of the rotations."""
    run = complete(tmp_path / "runs", train__epochs=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same = moons(tmp_path, study__output=str(tmp_path / "same.h5"), study__parameters=str(run))
        assert gradient.run(same, CONTEXT) == 0
    other = moons(tmp_path, study__output=str(tmp_path / "other.h5"), study__parameters=str(run / "run.h5"),
                  ansatz__rotations=["rz", "ry", "rx"])  # fmt: skip
    with pytest.warns(UserWarning, match=r"^study.parameters: 8 parameters of .* ansatz.0.rx.0 where .* ansatz.0.rz.0"):
        gradient.run(other, CONTEXT)
