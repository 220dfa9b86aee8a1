"""`qmltrain.load`: the numbers of `qmltrain evaluate`, bit for bit, on data the run never saw."""

from __future__ import annotations

import csv
import multiprocessing
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest

import qmltrain
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.engines.selection import ENGINES
from qmltrain.errors import EngineUnavailableError, InputError
from qmltrain.runs.snapshots import SNAPSHOTS
from qmltrain.runs.views import open_run
from qmltrain.verbs import evaluate
from tests.engines.comparison import forward
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT

NPZ = {"dataset__name": "npz", "dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}
KINDS = {
    "classes": {"dataset__name": "iris", **dict.fromkeys(list(NPZ)[1:]), "preprocess__pca": 2},
    "one output": {"loss__name": "binary_cross_entropy", "head__name": "scaled", "observable__qubits": [1]},
    "regression": {"dataset__name": "diabetes", **dict.fromkeys(list(NPZ)[1:]), "dataset__samples": 60,
                   "preprocess__pca": 2, "loss__name": "mean_squared_error"},
    "amplitude": {"encoding__name": "amplitude", "encoding__repeats": None, "engine__precision": "complex64"},
    "fastest engine": {"engine__name": "auto", "engine__precision": "complex64", "circuit__n_qubits": 5},
}  # fmt: skip
SHAPES = {"classes": (4,), "one output": (2,), "regression": (10,), "amplitude": (2,), "fastest engine": (2,)}


def trained(root: Path, **changes) -> Path:
    return complete(root, train__epochs=1, **changes)


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("runs")
    return {kind: trained(root / kind, **changes) for kind, changes in KINDS.items()}


def unseen(kind: str, n: int = 7) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(n, *SHAPES[kind]))


def write_npz(path: Path, kind: str) -> dict[str, str]:
    x = unseen(kind, 37)  # more than two blocks, and an odd one
    y = np.linspace(0, 300, 37) if kind == "regression" else np.arange(37) % (3 if kind == "classes" else 2)
    np.savez(path, x=x, y=y)
    return {"name": "npz", "path": str(path)}


@pytest.mark.parametrize("kind", KINDS)
def test_load_and_evaluate_give_the_same_bits_on_unseen_data(runs, kind, tmp_path):
    dataset = write_npz(tmp_path / "new.npz", kind)
    for name in ("a.csv", "b.npz"):
        assert evaluate.run(runs[kind], CONTEXT, dataset=dataset, predictions=tmp_path / name) == 0
    model = qmltrain.load(runs[kind])
    with np.load(dataset["path"]) as data:
        x, y = data["x"], data["y"]
    predictions, scores = model.predict(x), model.scores(x)
    with np.load(tmp_path / "b.npz") as file:
        np.testing.assert_array_equal(file["prediction"], predictions)
        np.testing.assert_array_equal(file["scores"], scores)
        np.testing.assert_allclose(file["label"], y, rtol=1e-14)
        np.testing.assert_array_equal(file["row"], np.arange(37))
        assert tuple(file["class_names"]) == model.class_names
    with open(tmp_path / "a.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 37 and {row["split"] for row in rows} == {"all"}
    named = [row["prediction"] for row in rows]
    if model.class_names:
        assert named == [model.class_names[p] for p in predictions]
    else:
        assert [float(value) for value in named] == predictions.tolist()
    columns = [name for name in rows[0] if name.startswith("score")]
    np.testing.assert_array_equal([[float(row[name]) for name in columns] for row in rows], scores)


@pytest.mark.parametrize("kind", sorted(KINDS.keys() - {"fastest engine"}))
def test_the_numbers_do_not_depend_on_the_batch(runs, kind):
    model, x = qmltrain.load(runs[kind]), unseen(kind, 33)
    for method in (model.predict, model.scores, model.expectations):
        whole = method(x)
        np.testing.assert_array_equal(np.concatenate([method(x[k : k + 1]) for k in range(33)]), whole)


def test_blocks_of_sixteen_have_the_same_bits_on_every_engine(runs):
    """Within a block of 16 an engine may add in another order for fewer samples: the last bits may differ then."""
    model, x = qmltrain.load(runs["fastest engine"]), unseen("fastest engine", 37)
    whole = model.scores(x)
    np.testing.assert_array_equal(np.concatenate([model.scores(x[k : k + 16]) for k in range(0, 37, 16)]), whole)
    alone = np.concatenate([model.scores(x[k : k + 1]) for k in range(37)])
    np.testing.assert_allclose(alone, whole, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_the_test_split_is_predicted_as_the_run_did(runs, kind, tmp_path):
    stored = open_run(runs[kind]).evaluation("test")
    assert evaluate.run(runs[kind], CONTEXT, predictions=tmp_path / "own.npz") == 0
    with np.load(tmp_path / "own.npz") as file:
        test = file["split"] == "test"
        assert set(file["split"]) == {"val", "test"}
        for ours, theirs in (("row", "rows"), ("label", "labels"), ("prediction", "predictions"), ("scores", "scores")):
            np.testing.assert_array_equal(file[ours][test], stored[theirs])


def test_expectations_are_those_of_the_circuit(runs):
    """By the oracle, from the stored parameters and preprocessing."""
    model, x = qmltrain.load(runs["classes"]), unseen("classes")
    circuit_P = np.array(list(model.parameters.values()))[: model.circuit.n_parameters]
    program = ReferenceEngine().compile(model.circuit, model.model.observables.strings)
    tape = forward(program, model.circuit, circuit_P, model.features(x))
    np.testing.assert_allclose(model.expectations(x), tape.expectations_BM, atol=1e-12)
    assert model.observable_names == ("Z0", "Z1")
    assert list(model.parameters)[-1].startswith("head.")


def test_the_data_set_of_the_run_is_not_needed(tmp_path):
    path = tmp_path / "data.npz"
    np.savez(path, x=np.random.default_rng(0).normal(size=(60, 2)), y=np.arange(60) % 2)
    directory = trained(tmp_path / "runs", **NPZ, dataset__path=str(path))
    before = qmltrain.load(directory).scores(np.ones((3, 2)))
    path.unlink()
    np.testing.assert_array_equal(qmltrain.load(directory / "run.h5").scores(np.ones((3, 2))), before)


def test_features_are_clipped_and_scaled_as_the_training_was(runs):
    model = qmltrain.load(runs["one output"])
    features = model.features([[1e6, -1e6], [0.0, 0.0]])
    low, high = model.config.preprocess.range
    np.testing.assert_array_equal(features[0], [high, low])


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.ones((3, 3)), r"x: found shape \(3, 3\); this model takes \(samples, 2\)"),
        (np.ones(2), r"this model takes \(samples, 2\)"),
        (3.0, r"this model takes \(samples, 2\)"),
        (np.array([[0.0, 1.0], [np.nan, 0.0]]), "x: row 1 holds NaN"),
        (np.array([["a", "b"]]), "must be real numbers"),
        (np.ones((1, 2), dtype=complex), "must be real numbers"),
        (np.ones((0, 2)), "is empty"),
    ],
)
def test_bad_samples_are_refused_in_one_line(runs, x, message):
    with pytest.raises(InputError, match=message) as caught:
        qmltrain.load(runs["one output"]).predict(x)
    assert "\n" not in str(caught.value)


def test_what_is_no_finished_run_is_refused(runs, tmp_path):
    with pytest.raises(InputError, match="there is no run here"):
        qmltrain.load(tmp_path)
    import shutil

    shutil.copytree(runs["amplitude"], tmp_path / "copy", ignore=shutil.ignore_patterns(SNAPSHOTS))
    with pytest.raises(InputError, match="no snapshot was saved yet"):
        qmltrain.load(tmp_path / "copy")
    assert not (tmp_path / "copy" / SNAPSHOTS).exists()


def test_another_engine_may_be_asked_for(runs, monkeypatch):
    x = unseen("classes")
    exact = qmltrain.load(runs["classes"]).scores(x)
    np.testing.assert_allclose(qmltrain.load(runs["classes"], engine="reference").scores(x), exact, atol=1e-12)
    single = qmltrain.load(runs["classes"], precision="complex64").scores(x)
    assert 0 < np.max(np.abs(single - exact)) < 1e-5
    with pytest.raises(InputError, match="engine.precision: found 'single'"):
        qmltrain.load(runs["classes"], precision="single")
    monkeypatch.setitem(ENGINES, "interpreter", ("qmltrain.engines.absent", "X"))
    with pytest.raises(EngineUnavailableError, match="engine.name=auto"):
        qmltrain.load(runs["classes"])


def test_loading_changes_nothing_in_a_run_that_is_being_written(runs, tmp_path):
    import shutil

    directory = tmp_path / "live"
    shutil.copytree(runs["classes"], directory)
    temporary = directory / SNAPSHOTS / "step-000000000009.snapshot.tmp"
    temporary.write_bytes(b"half a snap")  # its writer is about to rename it
    before = sorted(path.name for path in directory.rglob("*"))
    qmltrain.load(directory).predict(unseen("classes"))
    evaluate.run(directory, CONTEXT)
    assert sorted(path.name for path in directory.rglob("*")) == before


def test_shots_converge_and_are_reproducible(runs):
    model, x = qmltrain.load(runs["classes"]), unseen("classes", 5)
    exact = model.expectations(x)
    few, again = (model.expectations(x, shots=100, seed=3) for _ in range(2))
    np.testing.assert_array_equal(few, again)
    assert not np.array_equal(few, model.expectations(x, shots=100, seed=4))
    assert np.all(np.abs(few * 100 - np.round(few * 100)) < 1e-9)  # means of 100 signs
    many = model.expectations(x, shots=1_000_000)
    assert 0 < np.max(np.abs(many - exact)) < 5e-3  # 5 standard deviations
    assert model.predict(x, shots=10).shape == (5,) and model.scores(x, shots=10).shape == (5, 3)


def test_a_model_without_data_takes_no_samples(tmp_path):
    nothing = dict.fromkeys(("encoding__repeats", "dataset__n_samples", "dataset__noise", "dataset__generator_seed"))
    directory = trained(
        tmp_path, dataset__name="none", encoding__name="none", observable__name="ising", head__name="raw",
        loss__name="expectation", optimizer__name="lbfgs", schedule__name="constant",
        train__batch_size=32, **nothing,
    )  # fmt: skip
    model = qmltrain.load(directory)
    energy = float(open_run(directory).epochs["train/loss"].iloc[-1])
    assert model.expectations().tolist() == [[energy]] and model.predict().tolist() == [energy]
    assert abs(model.expectations(shots=100_000)[0, 0] - energy) < 0.05
    with pytest.raises(InputError, match="was trained without data; leave x out"):
        model.predict(np.zeros((1, 2)))
    assert evaluate.run(directory, CONTEXT, predictions=tmp_path / "v.csv") == 0
    assert (tmp_path / "v.csv").read_text().splitlines()[1] == f"train,0,nan,{energy!r},{energy!r}"
    with pytest.raises(InputError, match="the run was trained without data"):
        evaluate.run(directory, CONTEXT, dataset={"name": "iris"})


def test_samples_cannot_be_left_out(runs):
    with pytest.raises(InputError, match=r"samples are needed, each of shape \(4,\)"):
        qmltrain.load(runs["classes"]).predict()


def test_the_package_offers_its_names_lazily():
    assert {"load", "open_run", "open_scan", "TrainedModel"} <= set(dir(qmltrain))
    assert qmltrain.open_run is open_run
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        qmltrain.nothing  # noqa: B018


@pytest.mark.parametrize("kind", KINDS)
def test_a_pickled_model_is_the_same_and_needs_no_file(runs, kind, tmp_path):
    directory = shutil.copytree(runs[kind], tmp_path / "run")
    model, x = qmltrain.load(directory), unseen(kind)
    expected = model.scores(x), model.scores(x, shots=50, seed=3)
    data = pickle.dumps(model)
    shutil.rmtree(directory)
    copy = pickle.loads(data)
    np.testing.assert_array_equal(copy.scores(x), expected[0])
    np.testing.assert_array_equal(copy.scores(x, shots=50, seed=3), expected[1])
    assert copy.compiled.choices() == model.compiled.choices() and repr(copy) == repr(model)
    assert not copy.theta_P.flags.writeable


def test_a_pool_of_processes_predicts(runs):
    """What joblib's n_jobs does as well."""
    model, x = qmltrain.load(runs["classes"]), unseen("classes", 32)
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        parts = pool.map(model.predict, [x[:16], x[16:]])
    np.testing.assert_array_equal(np.concatenate(parts), model.predict(x))
