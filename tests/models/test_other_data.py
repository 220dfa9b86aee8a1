"""Other data of a run: columns by name whatever their order, what the run knows not asked for, rows without labels."""

from __future__ import annotations

import csv
import dataclasses
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import qmltrain
from qmltrain.cli import main
from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.errors import InputError
from qmltrain.models import trained as trained_module
from qmltrain.models.other_data import open_other_data
from qmltrain.verbs import evaluate
from tests.own_tables import NOT_MOONS
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT

NAMES = ["a", "b", "c"]


def samples(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two classes that differ in `c` alone, so that a mixed-up column costs all accuracy."""
    labels = np.arange(n) % 2
    x = np.random.default_rng(seed).normal(size=(n, 3)).round(6)
    x[:, 2] = 3 * labels - 1.5 + 0.1 * x[:, 2]
    return x.round(6), labels


def write(path: Path, columns: dict[str, np.ndarray], delimiter: str = ",") -> Path:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    lines = [delimiter.join(columns), *(delimiter.join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def columns_of(x: np.ndarray, labels: np.ndarray | None = None) -> dict[str, np.ndarray]:
    found = dict(zip(NAMES, x.T, strict=True))
    return found if labels is None else {**found, "kind": np.array(["no", "yes"])[labels]}


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("named")
    path = write(folder / "own.csv", columns_of(*samples(60)))
    table = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "kind"}
    table |= {"circuit__n_qubits": 3, "train__epochs": 15, "optimizer__learning_rate": 0.1}
    return complete(folder / "runs", **table)


@pytest.fixture(scope="module")
def model(run) -> trained_module.TrainedModel:
    return qmltrain.load(run)


def accuracy(run: Path, path: Path, capsys, **dataset) -> float:
    capsys.readouterr()
    assert evaluate.run(run, CONTEXT, dataset={"path": str(path), **dataset}) == 0
    printed = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    return float(printed["all/accuracy"])


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(order=st.permutations([*NAMES, "kind", "note"]), kind=st.sampled_from(["csv", "parquet"]))
def test_columns_are_taken_by_name_in_any_order_beside_others(model, tmp_path, order, kind):
    x, labels = samples(9, seed=1)
    columns = {**columns_of(x, labels), "note": np.arange(9)}
    path = tmp_path / f"table.{kind}"
    if kind == "csv":
        write(path, {name: columns[name] for name in order})
    else:
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table({name: columns[name] for name in order}), path)
    source = open_other_data(model, dataclasses.asdict(DatasetConfig(name=kind, path=str(path))), labels_needed=True)
    assert source.info.feature_names == ("a", "b", "c")
    np.testing.assert_array_equal(source.read(np.arange(9)), x)
    assert [source.info.class_names[c] for c in source.labels()] == columns["kind"].tolist()


def test_what_a_run_scores_does_not_depend_on_the_order_of_columns(run, tmp_path, capsys):
    x, labels = samples(20, seed=2)
    columns = columns_of(x, labels)
    found = [
        accuracy(run, write(tmp_path / "".join(order), {n: columns[n] for n in order}), capsys)
        for order in (["a", "b", "c", "kind"], ["c", "kind", "b", "a"])
    ]
    assert found[0] == found[1] > 0.8
    swapped = {"a": columns["c"], "b": columns["b"], "c": columns["a"], "kind": columns["kind"]}
    assert accuracy(run, write(tmp_path / "swapped", swapped), capsys) < 0.8  # so that the order does matter


def test_columns_of_other_names_are_refused(run, tmp_path):
    x, labels = samples(9)
    columns = columns_of(x, labels)
    renamed = write(tmp_path / "renamed.csv", {{"c": "C"}.get(name, name): v for name, v in columns.items()})
    with pytest.raises(InputError, match=r"renamed.csv has no column 'c'; it has a, b, C, kind; the run .* a, b, c$"):
        evaluate.run(run, CONTEXT, dataset={"path": str(renamed)})
    with pytest.raises(InputError, match=r"^dataset.features: found a, b, C; the run was trained on a, b, c: leave"):
        evaluate.run(run, CONTEXT, dataset={"path": str(renamed), "features": ["a", "b", "C"]})


def test_features_that_were_chosen_in_another_order(tmp_path, capsys):
    """Not the order of the file: what training was told to read, and in which order."""
    path = write(tmp_path / "own.csv", columns_of(*samples(60)))
    table = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "kind"}
    table |= {"dataset__features": ["c", "b", "a"], "train__epochs": 15, "optimizer__learning_rate": 0.1}
    chosen = complete(tmp_path / "runs", **table)
    capsys.readouterr()
    x, labels = samples(20, seed=2)
    other = write(tmp_path / "other.csv", columns_of(x, labels))
    words = ["evaluate", str(chosen), "dataset=csv", f"dataset.path={other}"]
    assert main([*words, "dataset.target=kind"]) == 0
    first = capsys.readouterr().out
    assert main(words) == 0  # the run knows its target
    assert capsys.readouterr().out == first and float(first.partition("all/accuracy")[2].split()[0]) > 0.8
    assert "features   by name: c, b, a" in first
    predicted = qmltrain.load(chosen).predict(x[:, ::-1])
    assert np.mean(predicted == labels) == float(first.partition("all/accuracy")[2].split()[0])


def test_arrays_are_taken_in_order_and_that_is_said(run, tmp_path, capsys):
    x, labels = samples(20, seed=2)
    np.savez(tmp_path / "own.npz", x=x, y=labels)
    words = ["evaluate", str(run), "dataset=npz", f"dataset.path={tmp_path / 'own.npz'}"]
    assert main(words) == 0
    assert "features   by position: a, b, c (the data without names of columns)" in capsys.readouterr().out


def test_a_run_of_an_earlier_version_goes_by_position_or_by_the_names_of_its_config(run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("qmltrain.runs.views.RunView.data", {})  # a file of schema 1 has no names
    x, labels = samples(20, seed=2)
    columns = columns_of(x, labels)
    path = write(tmp_path / "other.csv", {name: columns[name] for name in ("b", "c", "a", "kind")})
    assert evaluate.run(run, CONTEXT, dataset={"path": str(path)}) == 0
    assert "features   by position: b, c, a (the run without names of columns)" in capsys.readouterr().out
    old = qmltrain.load(run)
    assert old.feature_names == ()
    np.testing.assert_array_equal(old.features(columns_frame(x)[["b", "c", "a"]]), old.features(x[:, [1, 2, 0]]))


def columns_frame(x: np.ndarray):
    return pytest.importorskip("pandas").DataFrame(columns_of(x))


def test_a_data_frame_goes_by_name(model):
    x, labels = samples(20, seed=2)
    frame = columns_frame(x)
    expected = model.scores(x)
    assert np.mean(model.predict(x) == labels) > 0.8
    for shown in (frame, frame[["c", "a", "b"]], frame.assign(more="text")[["more", "b", "c", "a"]]):
        np.testing.assert_array_equal(model.scores(shown), expected)
        np.testing.assert_array_equal(model.features(shown), model.features(x))
        np.testing.assert_array_equal(model.predict(shown), model.predict(x))
        np.testing.assert_array_equal(model.expectations(shown), model.expectations(x))


def test_a_data_frame_without_the_columns_is_refused(model):
    frame = columns_frame(samples(4)[0])
    pandas = pytest.importorskip("pandas")
    with pytest.raises(InputError, match=r"^x: the table has no columns 'c'; this model takes a, b, c: name"):
        model.predict(frame.rename(columns={"c": "C"}))
    with pytest.raises(InputError, match="no columns 'a'"):
        model.predict(pandas.DataFrame(frame.to_numpy()))
    with pytest.raises(InputError, match="has 2 columns 'a'"):
        model.predict(pandas.concat([frame, frame["a"]], axis=1))


def test_one_class_and_one_row_can_be_evaluated(run, tmp_path, capsys):
    x, labels = samples(20, seed=2)
    for rows in (labels == 1, np.arange(20) == 3, np.arange(20) == 4):
        path = write(tmp_path / "few.csv", columns_of(x[rows], labels[rows]))
        expected = np.mean(qmltrain.load(run).predict(x[rows]) == labels[rows])
        assert accuracy(run, path, capsys) == round(float(expected), 4)


def test_one_of_the_classes_that_a_run_keeps(tmp_path, capsys):
    x, labels = samples(60)
    three = {**columns_of(x), "kind": np.array(["no", "yes", "else"])[np.arange(60) % 3]}
    path = write(tmp_path / "own.csv", three)
    table = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "kind"}
    chosen = complete(tmp_path / "runs", **table, dataset__classes=["yes", "no"], train__epochs=1)
    for kinds, n in ((["yes"], 3), (["no", "else"], 2), (["yes", "no", "else"], 2)):
        few = {**columns_of(x[:3]), "kind": np.array((kinds * 3)[:3])}
        accuracy(chosen, write(tmp_path / "few.csv", few), capsys)
        dataset = {"path": str(tmp_path / "few.csv")}
        assert open_other_data(qmltrain.load(chosen), dataset, labels_needed=True).info.n_samples == n
    other = write(tmp_path / "other.csv", {**few, "kind": np.array(["else"] * 3)})
    with pytest.raises(InputError, match="has no class yes"):
        evaluate.run(chosen, CONTEXT, dataset={"path": str(other)})


def test_the_run_knows_the_task(tmp_path):
    """Targets that happen to be whole numbers are no classes for it."""
    x, _ = samples(40)
    path = write(tmp_path / "own.csv", {**columns_of(x), "price": x[:, 0] + 0.5})
    table = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "price"}
    priced = complete(tmp_path / "runs", **table, loss__name="mean_squared_error", train__epochs=1)
    whole = write(tmp_path / "whole.csv", {**columns_of(x), "price": np.arange(40)})
    assert main(["evaluate", str(priced), "dataset=csv", f"dataset.path={whole}"]) == 0


def test_a_delimiter_is_known_of_the_same_kind_of_file(tmp_path):
    path = write(tmp_path / "own.csv", columns_of(*samples(60)), ";")
    table = {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "kind"}
    run = complete(tmp_path / "runs", **table, dataset__delimiter=";", train__epochs=1)
    assert main(["evaluate", str(run), "dataset=csv", f"dataset.path={path}"]) == 0


def write_unlabelled(kind: str, folder: Path, x: np.ndarray) -> Path:
    path = folder / f"new.{kind}"
    if kind == "csv":
        return write(path, columns_of(x))
    if kind == "parquet":
        pyarrow = pytest.importorskip("pyarrow")
        pytest.importorskip("pyarrow.parquet").write_table(pyarrow.table(columns_of(x)), path)
    elif kind == "npz":
        np.savez(path, x=x)
    else:
        with h5py.File(path, "w") as file:
            file["x"] = x
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "hdf5"])
def test_rows_without_labels_are_predicted_for(run, model, tmp_path, kind, capsys):
    x, _ = samples(9, seed=3)
    dataset = dataclasses.asdict(DatasetConfig(name=kind, path=str(write_unlabelled(kind, tmp_path, x))))
    capsys.readouterr()
    assert evaluate.run(run, CONTEXT, dataset=dataset, predictions=tmp_path / "p.csv") == 0
    printed = capsys.readouterr().out
    assert "9 samples of 3, no labels from" in printed and "all/" not in printed
    with open(tmp_path / "p.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["split", "row", "prediction", "score_no", "score_yes"]
    assert [row["prediction"] for row in rows] == [model.class_names[c] for c in model.predict(x)]
    assert [float(row["score_yes"]) for row in rows] == model.scores(x)[:, 1].tolist()
    key = "target" if kind in ("csv", "parquet") else "y_key"
    with pytest.raises(InputError, match=rf"^dataset.{key}: .*--predictions FILE"):
        evaluate.run(run, CONTEXT, dataset=dataset)
    with pytest.raises(InputError, match=rf"^dataset.{key}: .* 'asked'"):  # by name
        evaluate.run(run, CONTEXT, dataset={**dataset, key: "asked"}, predictions=tmp_path / "q.csv")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_an_empty_column_of_labels_is_none(run, model, tmp_path, kind, capsys):
    """As of rows that somebody is to fill in; a column with some labels is a mistake."""
    x, _ = samples(9, seed=3)
    paths = [tmp_path / f"{name}.{kind}" for name in ("empty", "some")]
    for path, first in zip(paths, ("", "yes"), strict=True):
        labels = [first, *[""] * 8]
        if kind == "csv":
            write(path, {**columns_of(x), "kind": np.array(labels)})
        else:
            pyarrow = pytest.importorskip("pyarrow")
            table = pyarrow.table({**columns_of(x), "kind": pyarrow.array([t or None for t in labels], "string")})
            pytest.importorskip("pyarrow.parquet").write_table(table, path)
    changes = {"name": kind, "path": str(paths[0])}
    dataset = dataclasses.asdict(DatasetConfig(**changes))
    assert evaluate.run(run, CONTEXT, dataset=dataset, predictions=tmp_path / "p.npz") == 0
    with np.load(tmp_path / "p.npz") as file:
        np.testing.assert_array_equal(file["prediction"], model.predict(x))
    with pytest.raises(InputError, match="column 'kind' is empty in every row; .*--predictions FILE"):
        evaluate.run(run, CONTEXT, dataset=dataset)
    some = dataclasses.asdict(DatasetConfig(name=kind, path=str(paths[1])))
    with pytest.raises(InputError, match="row 1 of column 'kind' is (empty|null)"):
        evaluate.run(run, CONTEXT, dataset=some, predictions=tmp_path / "q.npz")


def test_the_command_predicts_for_rows_without_labels(run, model, tmp_path):
    x, _ = samples(9, seed=3)
    words = ["evaluate", str(run), f"dataset.path={write_unlabelled('csv', tmp_path, x)}"]
    assert main([*words, "--predictions", str(tmp_path / "p.npz")]) == 0
    with np.load(tmp_path / "p.npz") as file:
        assert "label" not in file.files
        np.testing.assert_array_equal(file["prediction"], model.predict(x))


def test_a_regression_predicts_rows_without_labels(tmp_path):
    x, _ = samples(40)
    np.savez(tmp_path / "own.npz", x=x, y=x[:, 0] * 10)
    own = {**NOT_MOONS, "dataset__name": "npz", "dataset__path": str(tmp_path / "own.npz"), "loss__name": "huber"}
    run = complete(tmp_path / "runs", **own, train__epochs=1)
    np.savez(tmp_path / "new.npz", x=x[:5])
    dataset = {"path": str(tmp_path / "new.npz")}
    assert evaluate.run(run, CONTEXT, dataset=dataset, predictions=tmp_path / "p.npz") == 0
    with np.load(tmp_path / "p.npz") as file:
        np.testing.assert_array_equal(file["prediction"], qmltrain.load(run).predict(x[:5]))


@pytest.mark.parametrize("kind", ["csv", "npz", "hdf5"])
def test_training_needs_labels(tmp_path, kind, capsys):
    path = write_unlabelled(kind, tmp_path, samples(9)[0])
    words = [f"dataset={kind}", f"dataset.path={path}", "preprocess=angles", f"run.root={tmp_path / 'runs'}"]
    words += ["dataset.target=kind", "dataset.features=[a,b,c]"] if kind == "csv" else []
    assert main(words) == 2
    assert capsys.readouterr().err.startswith(f"qmltrain: error: dataset.{'target' if kind == 'csv' else 'y_key'}: ")


def test_a_table_of_arrow_goes_by_name(model):
    pyarrow = pytest.importorskip("pyarrow")
    x, _ = samples(5, seed=3)
    expected = model.predict(x)
    table = pyarrow.table({name: columns_of(x)[name] for name in reversed(NAMES)})
    assert model.predict(table).tolist() == expected.tolist()


@pytest.fixture(scope="module")
def run_on_arrays(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("arrays")
    x, labels = samples(60)
    np.savez(folder / "own.npz", x=x, y=np.where(labels == 1, 1, -1))
    table = {**NOT_MOONS, "dataset__name": "npz", "dataset__path": str(folder / "own.npz")}
    return complete(folder / "runs", **table, circuit__n_qubits=3, train__epochs=2)


def test_a_frame_for_a_run_without_names_is_taken_in_order_and_that_is_said(run_on_arrays):
    pandas = pytest.importorskip("pandas")
    x, _ = samples(5, seed=3)
    model = qmltrain.load(run_on_arrays)
    with pytest.warns(UserWarning, match="columns of the table are taken in order"):
        found = model.predict(pandas.DataFrame(columns_of(x)))
    assert found.tolist() == model.predict(x).tolist()


def test_numbers_for_words_are_said(run, tmp_path, capsys):
    """The run knows no and yes; 0 and 1 are taken in that order, which a reader may know to be wrong."""
    x, labels = samples(20, seed=4)
    path = write(tmp_path / "numbers.csv", {**columns_of(x), "kind": labels})
    assert evaluate.run(run, CONTEXT, dataset={"path": str(path)}) == 0
    assert "labels     by number: 0 is no, 1 is yes" in capsys.readouterr().out


def test_numbers_are_no_places_among_numbers(run_on_arrays, tmp_path):
    """The classes of the run are -1 and 1; a 0 is neither."""
    x, _ = samples(6, seed=4)
    np.savez(tmp_path / "zeros.npz", x=x, y=np.zeros(6, int))
    with pytest.raises(InputError, match="has the class '0', which the run does not know .it knows -1, 1"):
        evaluate.run(run_on_arrays, CONTEXT, dataset={"path": str(tmp_path / "zeros.npz")})
