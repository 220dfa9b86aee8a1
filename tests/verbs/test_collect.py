"""collect: the table of many runs, their spread over seeds, what is left out."""

from __future__ import annotations

import csv
import io
import math
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from qmltrain.cli import main
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import collect, train
from tests.sessions.stopped_runs import train_until
from tests.small_configs import CONTEXT, moons

SEEDS, RATES = (0, 1, 2), (0.05, 0.2)


@pytest.fixture(scope="module")
def sweep(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("sweep")
    for rate in RATES:
        for seed in SEEDS:
            train.run(moons(root, train__epochs=1, optimizer__learning_rate=rate, run__seed=seed), CONTEXT)
    return root


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def directory_of(root: Path, rate: float, seed: int) -> Path:
    return run_directory(moons(root, train__epochs=1, optimizer__learning_rate=rate, run__seed=seed))


def values(root: Path, rate: float, metric: str) -> list[float]:
    return [summary_of(open_run(directory_of(root, rate, seed)).attributes)[metric] for seed in SEEDS]


def test_without_over_every_run_is_a_row(sweep, capsys):
    assert main(["collect", str(sweep)]) == 0
    rows = rows_of(capsys.readouterr().out)
    assert len(rows) == 6
    assert list(rows[0])[:2] == ["optimizer.learning_rate", "run.seed"]
    for row in rows:
        summary = summary_of(open_run(row["run"]).attributes)
        assert {name: float(row[name]) for name in summary} == summary


def test_over_seeds_gives_mean_deviation_and_the_t_interval(sweep, tmp_path):
    output = tmp_path / "table.csv"
    assert main(["collect", str(sweep), "--over", "run.seed", "--output", str(output)]) == 0
    rows = rows_of(output.read_text())
    assert {float(row["optimizer.learning_rate"]) for row in rows} == set(RATES) and len(rows) == 2
    for row in rows:
        assert row["n"] == "3" and "run.seed" not in row and "run" not in row
        for metric in ("test/loss", "val/accuracy"):
            found = values(sweep, float(row["optimizer.learning_rate"]), metric)
            low, high = stats.t.interval(0.95, 2, np.mean(found), stats.sem(found))
            expected = [np.mean(found), np.std(found, ddof=1), low, high]
            got = [float(row[metric + suffix]) for suffix in (" mean", " std", " low", " high")]
            np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_over_several_keys_leaves_one_row(sweep, capsys):
    assert main(["collect", str(sweep), "--over", "run.seed,optimizer.learning_rate"]) == 0
    [row] = rows_of(capsys.readouterr().out)
    assert row["n"] == "6" and list(row)[0] == "n"


def test_one_run_has_no_spread(sweep, capsys):
    assert main(["collect", str(directory_of(sweep, 0.05, 0)), "--over", "run.seed"]) == 0
    [row] = rows_of(capsys.readouterr().out)
    assert row["n"] == "1" and row["test/loss mean"] and row["test/loss std"] == row["test/loss low"] == ""


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([1.0], [1.0, None, None, None]),
        ([1.0, None], [None] * 4),
        ([2.0, 2.0], [2.0, 0.0, 2.0, 2.0]),
        ([0.0, 2.0], [1.0, math.sqrt(2), 1 - 12.706204736174698, 1 + 12.706204736174698]),
    ],
)
def test_the_spread_of_few_numbers(numbers, expected):
    assert collect.spread(numbers) == pytest.approx(expected)


def test_nan_stays_visible():
    assert math.isnan(collect.spread([1.0, math.nan])[0])


def test_what_is_left_out_is_said(sweep, tmp_path, capsys):
    root = tmp_path / "runs"
    shutil.copytree(directory_of(sweep, 0.05, 0), root / "a")
    shutil.copytree(root / "a", root / "b" / "repeated")
    config = moons(root, run__seed=5)
    train_until(config, 2, signal.SIGTERM)
    (root / "damaged").mkdir()
    (root / "damaged" / "run.h5").write_bytes(b"nothing")
    capsys.readouterr()
    assert main(["collect", str(root)]) == 0
    ended = capsys.readouterr()
    assert len(rows_of(ended.out)) == 1
    assert ended.err.count("\n") == 3
    assert f"left out: {run_directory(config)}: interrupted" in ended.err
    assert "the same config as" in ended.err and "run.h5: not a run file" in ended.err


def test_folds_that_are_missing_are_said(tmp_path, capsys):
    for rate, folds in ((0.05, (0, 1, 2)), (0.2, (1,))):
        for fold in folds:
            changes = {"optimizer__learning_rate": rate, "dataset__folds": 3, "dataset__fold": fold}
            train.run(moons(tmp_path, train__epochs=1, dataset__validation=0.0, **changes), CONTEXT)
    capsys.readouterr()
    assert main(["collect", str(tmp_path), "--over", "dataset.fold"]) == 0
    ended = capsys.readouterr()
    assert ended.err == "qmltrain: no completed run of dataset.folds=3, optimizer.learning_rate=0.2: fold 0, 2\n"
    assert sorted(row["n"] for row in rows_of(ended.out)) == ["1", "3"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["absent"], "absent: is not a folder"),
        (["empty"], "empty: there is no run in it"),
        (["SWEEP", "--over", "run.sead"], "'run.sead' is no config key; did you mean run.seed?"),
        (["SWEEP", "--over", ""], "'' is no config key"),
        (["SWEEP", "--output", "absent/x.csv"], "there is no folder absent"),
        (["points"], "points.jsonl: is damaged"),
        (["nothing"], "names no run"),
        ([], "collect: found 0 words"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_two(sweep, words, message, in_empty_directory, capsys):
    Path("empty").mkdir()
    for name, text in (("points", '{"run": '), ("nothing", '{"run": null}\n')):
        Path(name).mkdir()
        Path(name, "points.jsonl").write_text(text)
    assert main(["collect", *(word.replace("SWEEP", str(sweep)) for word in words)]) == 2
    ended = capsys.readouterr()
    assert message in ended.err and ended.err.count("\n") == 1 and not ended.out
