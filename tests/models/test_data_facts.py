"""What a run is trained on: counted here a second time, printed in few short lines, stored with the run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from qmltrain.models import data_facts
from qmltrain.models.data_facts import (
    class_counts,
    data_arrays,
    data_lines,
    doubts,
    rare_classes,
)
from qmltrain.models.problem import build_problem
from qmltrain.runs.views import open_run
from tests.own_tables import NOT_MOONS, write_table
from tests.sessions.complete_runs import complete
from tests.small_configs import ising_chain, moons


def problem_of(tmp_path, kinds, columns=3, **changes):
    table = write_table(tmp_path / "table.csv", kinds, columns)
    return build_problem(moons(tmp_path, **table, encoding__repeats=-(-columns // 2), **changes))


def test_what_is_printed(tmp_path):
    problem = problem_of(tmp_path, ["yes"] * 30 + ["no"] * 20)
    lines = data_lines(problem)
    assert " ".join(line.split()[0] for line in lines) == "data features left prepared classes split circuit"
    assert lines[1] == "features   3: 0 c0, 1 c1, 2 c2"
    assert lines[2] == "left out   kind (the target)"
    assert lines[4] == "classes    no: 20, yes: 30"
    assert lines[5] == "split      30 training, 10 validation, 10 test samples"
    assert lines[6] == "circuit    2 qubits, reads all 3 features"
    assert class_counts(problem).tolist() == [[12, 4, 4], [18, 6, 6]]


def test_what_the_reader_says_is_printed_and_stored(tmp_path):
    problem = problem_of(tmp_path, ["yes", "no"] * 20)
    left_out = (("row", "an index"), ("id", "numbers of rows"))
    info = replace(problem.source.info, left_out=left_out, notes=("-1 is class 0", "WARNING: 'id' is an id"))
    problem.source.__dict__["info"] = info  # of a frozen dataclass
    lines = data_lines(problem)
    assert "left out   row (an index), id (numbers of rows)" in lines and "note       -1 is class 0" in lines
    assert "an id" not in "".join(lines) and doubts(problem) == ["dataset: 'id' is an id"]
    arrays = data_arrays(problem)
    assert arrays["data/left_out"] == ["row", "id"]
    assert arrays["data/left_out_because"] == ["an index", "numbers of rows"]


def test_many_names_are_cut_short(tmp_path):
    line = data_lines(problem_of(tmp_path, ["yes", "no"] * 20, columns=30))[1]
    assert line == "features   30: 0 c0, 1 c1, 2 c2, 3 c3, 4 c4, 5 c5, 6 c6, 7 c7, 8 c8, 9 c9, ... 20 more"


def test_the_line_of_features_is_never_missing_and_can_be_read(tmp_path):
    assert data_lines(build_problem(moons(tmp_path)))[1] == "features   2, by position"
    problem = problem_of(tmp_path, ["yes", "no"] * 20)
    info = replace(problem.source.info, feature_names=("c, d", "long " * 30, "b c"))
    problem.source.__dict__["info"] = info
    assert data_lines(problem)[1] == f"features   3: 0 'c, d', 1 {('long ' * 30)[:75]}..., 2 b c"


def test_classes_of_doubtful_names_are_warned_of(tmp_path):
    kinds = ["dog", "Dog", "cat", "d og", "NA", "n/a", "-", "none at all"] * 8 + ["?"]
    assert doubts(problem_of(tmp_path, kinds))[:2] == [
        "dataset: the label '-' of 8 rows, '?' of 1 row, 'NA' of 8 rows, 'n/a' of 8 rows is a class of its own; "
        "where it means a missing one, remove these rows",
        "dataset: classes 'Dog' and 'd og' and 'dog' differ in case or blanks alone; if each is one class, write one "
        "name",
    ]
    assert doubts(problem_of(tmp_path, ["nano", "nonesuch", "N"] * 9)) == []
    np.savez(tmp_path / "data.npz", x=np.eye(12) + 0.5, y=np.array(["dog", "dog "] * 6))
    named = {**NOT_MOONS, "dataset__name": "npz", "dataset__path": str(tmp_path / "data.npz"), "encoding__repeats": 6}
    assert "classes 'dog' and 'dog ' differ" in doubts(build_problem(moons(tmp_path, **named)))[0]


def test_the_arrays_are_stored_with_the_run(tmp_path):
    table = write_table(tmp_path / "table.csv", ["yes"] * 30 + ["no"] * 20)
    directory = complete(tmp_path / "runs", **table, train__epochs=1)
    data = open_run(directory).data
    stored = "features left_out left_out_because classes class_counts split_sizes circuit_reads"
    assert set(data) == set(stored.split())
    assert data["features"] == ["c0", "c1", "c2"] and data["classes"] == ["no", "yes"]
    assert data["class_counts"].tolist() == [[12, 4, 4], [18, 6, 6]] and data["class_counts"].dtype == np.int64
    assert data["split_sizes"].tolist() == [30, 10, 10] and data["circuit_reads"].tolist() == [0, 1, 2]


def test_without_data_nothing_is_said(tmp_path):
    problem = build_problem(ising_chain(tmp_path))
    assert data_lines(problem) == [] and data_arrays(problem) == {} and rare_classes(problem) == []


def test_a_regression_has_no_classes(tmp_path):
    changes = {**NOT_MOONS, "dataset__name": "diabetes", "loss__name": "huber", "encoding__repeats": 5}
    problem = build_problem(moons(tmp_path, **changes))
    assert set(data_arrays(problem)) >= {"data/split_sizes", "data/circuit_reads"}
    assert not {"data/classes", "data/class_counts"} & set(data_arrays(problem))
    assert "classes" not in "".join(data_lines(problem)[2:])


def test_rare_classes_are_named(tmp_path):
    kinds = ["setter"] * 30 + ["Setter"] + ["poodle"] * 30 + ["whippet"] * 4 + ["pug"] * 5
    assert rare_classes(problem_of(tmp_path, kinds)) == [
        "class 'Setter' has 1 sample in all",
        "class 'whippet' has 4 samples in all",
    ]
    many = [f"k{k // 2}" for k in range(40)]
    lines = rare_classes(problem_of(tmp_path, many, dataset__test=0.0))
    assert len(lines) == 4 and lines[-1] == "17 more classes have fewer than 5 samples"


def test_encoded_features_are_named_as_what_they_are(tmp_path):
    kinds = ["yes", "no"] * 20
    assert data_facts.encoded_names(problem_of(tmp_path, kinds)) == ["0 (c0)", "1 (c1)", "2 (c2)"]
    assert data_facts.encoded_names(problem_of(tmp_path, kinds, preprocess__pca=1)) == ["principal component 0"]
    assert data_facts.encoded_names(build_problem(moons(tmp_path))) == ["0", "1"]
