"""evaluate: other data, classes by name, predictions, finite shots, bad input in one line with exit code 2."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.errors import InputError
from qmltrain.models.build import compile_model
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.verbs import evaluate
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("evaluate"), train__epochs=1)


@pytest.fixture(scope="module")
def flowers(tmp_path_factory) -> Path:
    """Classes with names, two of three kept in another order."""
    return complete(
        tmp_path_factory.mktemp("flowers"), train__epochs=1, dataset__name="iris", dataset__n_samples=None,
        dataset__noise=None, dataset__generator_seed=None, dataset__classes=["virginica", "setosa"], preprocess__pca=2,
    )  # fmt: skip


def save(path: Path, n: int = 9, labels=None, shape: tuple[int, ...] = (2,)) -> Path:
    x = np.random.default_rng(1).normal(size=(n, *shape))
    np.savez(path, x=x, y=np.arange(n) % 2 if labels is None else np.asarray(labels))
    return path


def test_other_data_are_named_as_in_a_config(whole, tmp_path, capsys):
    save(tmp_path / "new.npz")
    words = ["evaluate", str(whole), "dataset=npz", f"dataset.path={tmp_path / 'new.npz'}"]
    assert main([*words, "--predictions", str(tmp_path / "p.csv")]) == 0
    printed = capsys.readouterr().out
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    hits = np.mean([row["label"] == row["prediction"] for row in rows])
    assert f"all/accuracy            {hits:.4f}" in printed
    assert [row["row"] for row in rows] == [str(k) for k in range(9)]
    assert list(rows[0]) == ["split", "row", "label", "prediction", "score_upper", "score_lower"]


def test_single_options_change_the_runs_own_data_set(whole, capsys):
    assert main(["evaluate", str(whole), "dataset.generator_seed=9", "dataset.noise=0.0"]) == 0
    assert "all/accuracy" in capsys.readouterr().out


def test_the_engine_may_be_another(whole, capsys):
    assert main(["evaluate", str(whole), "engine.name=reference"]) == 0
    accuracy = summary_of(open_run(whole).attributes)["test/accuracy"]
    assert f"{accuracy:.4f}" in capsys.readouterr().out


def test_reductions_may_be_others(whole, monkeypatch):
    asked = []

    def compiled(config, model, choices, **options):
        asked.append((config.engine.reductions, choices))
        return compile_model(config, model, choices, **options)

    monkeypatch.setattr("qmltrain.models.trained.compile_model", compiled)
    assert main(["evaluate", str(whole), "engine.reductions=[real_states]"]) == 0
    assert asked == [(["real_states"], None)]


def test_classes_are_matched_by_name(flowers, tmp_path):
    assert (
        evaluate.run(flowers, CONTEXT, dataset={"classes": ["setosa", "virginica"]}, predictions=tmp_path / "a.npz")
        == 0
    )
    with np.load(tmp_path / "a.npz") as file:
        assert list(file["class_names"]) == ["virginica", "setosa"]
        np.testing.assert_array_equal(file["label"], [1] * 50 + [0] * 50)  # the file's order: setosa first
        assert np.mean(file["label"] == file["prediction"]) > 0.5
    with pytest.raises(InputError, match="has the class 'versicolor', which the run does not know"):
        evaluate.run(flowers, CONTEXT, dataset={"name": "iris"})


def test_data_with_numbers_alone_are_taken_by_number(flowers, tmp_path):
    path = save(tmp_path / "n.npz", shape=(4,))
    assert (
        evaluate.run(flowers, CONTEXT, dataset={"name": "npz", "path": str(path)}, predictions=tmp_path / "a.npz") == 0
    )
    with np.load(tmp_path / "a.npz") as file:
        np.testing.assert_array_equal(file["label"], np.arange(9) % 2)


def test_shots_change_the_numbers_and_the_seed_repeats_them(whole, tmp_path):
    scores = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        words = ["evaluate", str(whole), "shots=64", f"seed={seed}", "--predictions", str(tmp_path / f"{name}.npz")]
        assert main(words) == 0
        with np.load(tmp_path / f"{name}.npz") as file:
            scores.append(file["scores"])
    np.testing.assert_array_equal(scores[0], scores[1])
    assert not np.array_equal(scores[0], scores[2])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["shots=0"], "shots: found 0; allowed: integers from 1"),
        (["shots=many"], "shots: found 'many'; allowed: whole numbers"),
        (["shots=5", "seed=-1"], "seed: found -1"),
        (["seed=1"], "seed: chooses the outcomes of shots=..."),
        (["dataset.path=absent.npz", "dataset=npz"], "absent.npz"),
        (["dataset=nothing"], "dataset: found 'nothing'; allowed:"),
        (["dataset.pat=x"], "dataset.pat: unknown key; did you mean dataset.path?"),
        (["optimizer.learning_rate=1"], "beside the run it takes dataset"),
        (["engine.precision=single"], "engine.precision: found 'single'"),
        (["dataset=diabetes"], "is a regression, the run a classification"),
        (["dataset=iris"], "samples of shape (4,), the run was trained on (2,)"),
        (["--predictions", "x.txt"], "must end in .csv or .npz"),
        (["--predictions", "absent/x.csv"], "there is no folder absent"),
        (["--predictions", "there.csv"], "there.csv exists already"),
        (["--over", "run.seed"], "--over: not used by evaluate, but by collect"),
        (["another"], "evaluate: found 2 words"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(whole, words, message, in_empty_directory, capsys):
    Path("there.csv").write_text("precious")
    assert main(["evaluate", str(whole), *words]) == 2
    ended = capsys.readouterr()
    assert message in ended.err and ended.err.count("\n") == 1 and not ended.out
    assert [path.name for path in Path().iterdir()] == ["there.csv"]
    assert Path("there.csv").read_text() == "precious"


def test_large_data_are_read_in_pieces(whole, tmp_path, monkeypatch):
    """The same numbers, a few rows at a time; the rows choose the shots."""
    dataset = {"name": "npz", "path": str(save(tmp_path / "new.npz", n=23))}
    for name, pieces in (("a", 4096), ("b", 5)):
        monkeypatch.setattr(evaluate, "EVALUATION_ROWS", pieces)
        for shots in (None, 20):
            path = tmp_path / f"{name}{shots}.npz"
            assert evaluate.run(whole, CONTEXT, dataset=dataset, predictions=path, shots=shots) == 0
    for shots in (None, 20):
        with np.load(tmp_path / f"a{shots}.npz") as a, np.load(tmp_path / f"b{shots}.npz") as b:
            for key in ("row", "label", "scores"):
                np.testing.assert_array_equal(a[key], b[key])
