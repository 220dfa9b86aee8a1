"""Own files through a whole training: splits and names of classes as the data says; bad files exit with 2."""

from __future__ import annotations

import gc
import gzip

import h5py
import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.errors import InputError
from qmltrain.models.problem import build_problem
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import evaluate, repeat, train
from tests.small_configs import CONTEXT, moons

NOT_MOONS = {"dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}


def write_table(path, n, seed=0):
    generator = np.random.default_rng(seed)
    lines = [f"{generator.normal():.6f},{generator.normal():.6f},{'no' if k % 3 else 'yes'}" for k in range(n)]
    path.write_text("a,b,answer\n" + "\n".join(lines) + "\n")
    return str(path)


def test_a_table_with_words_and_a_test_file(tmp_path, capsys):
    config = moons(tmp_path, **NOT_MOONS, dataset__name="csv", dataset__path=write_table(tmp_path / "train.csv", 50),
                   dataset__target="answer", dataset__test_path=write_table(tmp_path / "test.csv", 12, 1))  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    assert list(view.attributes["class_names"]) == ["no", "yes"]
    assert view.evaluation("test")["rows"].tolist() == list(range(50, 62))
    assert len(build_problem(config).split.validation) == 10
    assert evaluate.run(run_directory(config), CONTEXT) == 0
    other = write_table(tmp_path / "other.csv", 9, 2)
    capsys.readouterr()
    assert evaluate.run(run_directory(config), CONTEXT, dataset={"path": other}) == 0
    assert "all/accuracy" in capsys.readouterr().out


def test_the_split_of_the_data_is_kept(tmp_path):
    generator = np.random.default_rng(0)
    split = np.array(["train"] * 40 + ["test"] * 12 + ["val"] * 8)
    np.savez(tmp_path / "data.npz", x=generator.normal(size=(60, 2)), y=generator.normal(size=60), split=split)
    config = moons(tmp_path, **NOT_MOONS, dataset__name="npz", dataset__path=str(tmp_path / "data.npz"),
                   loss__name="huber")  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    assert view.evaluation("test")["rows"].tolist() == list(range(40, 52))
    assert view.evaluation("val")["rows"].tolist() == list(range(52, 60))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("csv", b"a,y\n1,0\nlow,1\n", ["dataset.target=y"]),
        ("csv", b"", ["dataset.target=y"]),
        ("csv", b"a,y\n1,0\n2,1\n", ["dataset.target=z"]),
        ("csv", b"a,y\n1,1\n2,1\n", ["dataset.target=y"]),
        ("csv", b"a,y\n1,0\n2,1\n", ["dataset.target=y", "dataset.test_path=absent.csv"]),
        ("parquet", b"PAR1 and no more", ["dataset.target=y"]),
        ("cifar10", b"\x03" * 3072, []),
        ("npz", b"PK nonsense", []),
        ("hdf5", gzip.compress(b"nothing", mtime=0)[:-4], []),
        ("none", b"", ["dataset.path=null"]),
    ],
)
def test_bad_files_are_one_line_and_exit_code_2(tmp_path, monkeypatch, capsys, name, content, words):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").write_bytes(content)
    assert main([f"dataset={name}", "dataset.path=data", "engine=interpreter", *words]) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("qmltrain: error: ") and captured.err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def without_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def test_a_change_behind_a_link_is_noticed(tmp_path, without_collector):
    """A training that has ended holds no file, whenever cycles are collected."""
    generator = np.random.default_rng(0)
    with h5py.File(tmp_path / "linked.h5", "w") as file:
        file["x"], file["y"] = generator.normal(size=(40, 2)), np.arange(40) % 2
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"], file["y"] = (h5py.ExternalLink("linked.h5", key) for key in "xy")
    config = moons(tmp_path, **NOT_MOONS, dataset__name="hdf5", dataset__path=str(tmp_path / "data.h5"))
    assert train.run(config, CONTEXT) == 0
    assert evaluate.run(run_directory(config), CONTEXT) == 0
    with h5py.File(tmp_path / "linked.h5", "a") as file:
        file["x"][0, 0] += 1
    for verb in (evaluate, repeat):
        with pytest.raises(InputError, match="hdf5 has changed since the run"):
            verb.run(run_directory(config), CONTEXT)


@pytest.mark.parametrize(
    ("labels", "loss", "advice"),
    [
        ([38, 73, 5, 60], "mean_squared_error", "dataset.task=regression"),
        ([0, 1, 2, 3], "mean_squared_error", "dataset.task=regression"),
        ([0, 1, 2, 3], "huber", "dataset.task=regression"),
        ([-3, 4, 5, 1], "mean_squared_error", "dataset.task=regression"),
        ([0.0, 1.0, 1.0, 0.0], "cross_entropy", "dataset.task=classification"),
    ],
)
def test_labels_of_another_task_name_the_key_that_helps(tmp_path, labels, loss, advice):
    lines = [f"{k / 7:.3f},{labels[k % 4]}" for k in range(40)]
    (tmp_path / "data.csv").write_text("a,y\n" + "\n".join(lines) + "\n")
    own = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(tmp_path / "data.csv"), "dataset__target": "y"}
    with pytest.raises(InputError) as caught:
        build_problem(moons(tmp_path, **own, loss__name=loss))
    assert advice in str(caught.value) and "np." not in str(caught.value)
    task = advice.split("=")[1]
    assert build_problem(moons(tmp_path, **own, loss__name=loss, dataset__task=task)).source.info.task == task


def test_labels_of_the_training_file_are_not_those_of_another(tmp_path, capsys):
    generator = np.random.default_rng(0)
    arrays = {
        "imgs": generator.normal(size=(40, 2)),
        "labels": np.arange(40) % 2,
        "new": generator.normal(size=(40, 2)),
    }
    for name, array in arrays.items():
        np.savez(tmp_path / f"{name}.npz", array)
    config = moons(tmp_path, **NOT_MOONS, dataset__name="npz", dataset__path=str(tmp_path / "imgs.npz"),
                   dataset__labels_path=str(tmp_path / "labels.npz"))  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    other = {"path": str(tmp_path / "new.npz")}
    with pytest.raises(InputError, match=r"^dataset\.y_key: .*new\.npz has no array 'y'"):  # as many rows, by chance
        evaluate.run(run_directory(config), CONTEXT, dataset=other)
    np.savez(tmp_path / "new_labels.npz", 1 - arrays["labels"])
    capsys.readouterr()
    accuracies = []
    for labels in ("labels", "new_labels"):
        own = other | {"labels_path": str(tmp_path / f"{labels}.npz")}
        assert evaluate.run(run_directory(config), CONTEXT, dataset=own) == 0
        accuracies.append(float(capsys.readouterr().out.split("all/accuracy")[1].split()[0]))
    assert abs(sum(accuracies) - 1) < 1e-4
