"""`-m`: every point runs, one bad point does not end the sweep, a signal does."""

from __future__ import annotations

import ast
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

import qmltrain.cli as qmltrain_cli
from qmltrain.cli import sweeping
from qmltrain.cli.override_words import number_of_points
from qmltrain.errors import InterruptedRun, NonFiniteError
from qmltrain.runs.arrays import read_array
from qmltrain.runs.views import open_run


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Points as (n_qubits, seed); five qubits fail, six are stopped by a signal, seven hit a bug."""
    points: list[tuple[int, int]] = []

    def run(config, context):
        points.append((config.circuit.n_qubits, config.run.seed))
        assert f"circuit.n_qubits={config.circuit.n_qubits}" in context.overrides
        match config.circuit.n_qubits:
            case 5:
                raise NonFiniteError("loss is nan at step 3")
            case 6:
                raise InterruptedRun("stopped")
            case 7:
                raise ZeroDivisionError("oh")

    monkeypatch.setattr(qmltrain_cli.dispatch, "verb_function", lambda verb: run)
    monkeypatch.setattr("qmltrain.sessions.results.objective", lambda directory, monitor: 0.5)
    return points


def records() -> list[dict]:
    [path] = Path("multirun").glob("*/*/points.jsonl")
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_combination_runs_once(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=2,3", "run.seed=0,1")
    assert ended.code == 0, ended.err
    assert seen == [(2, 0), (2, 1), (3, 0), (3, 1)]
    assert "point 2: circuit.n_qubits=3 run.seed=0" in ended.err and "4 of 4 points done" in ended.err
    assert [record["exit_code"] for record in records()] == [0, 0, 0, 0]
    assert records()[3]["overrides"] == ["circuit.n_qubits=3", "run.seed=1"]


def test_a_bad_point_does_not_end_the_sweep(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=5,1001,7,2", "run.seed=3")
    assert ended.code == 1
    assert seen == [(5, 3), (7, 3), (2, 3)]
    assert [record["exit_code"] for record in records()] == [1, 2, 1, 0]
    assert "sweep: 1 of 4 points done" in ended.err
    assert "failed: point 0: error: loss is nan at step 3" in ended.err
    assert "failed: point 1: error: circuit.n_qubits: found 1001" in ended.err
    assert "Traceback" not in ended.err


def test_a_signal_ends_the_sweep(qmltrain, seen):
    ended = qmltrain("-m", "circuit.n_qubits=2,6,3")
    assert ended.code == 75 and seen == [(2, 0), (6, 0)]
    assert "run the same command again" in ended.err
    assert [record["exit_code"] for record in records()] == [0, 75]


def test_points_that_do_not_compose_are_refused_before_the_first_runs(qmltrain, seen):
    for words in (["circuit.n_qubits=2,many"], ["circuit.n_qubit=2,3"]):
        ended = qmltrain("-m", *words)
        assert ended.code == 2 and ended.err.count("\n") == 1 and not seen, ended.err


def test_a_config_may_ask_for_its_sweep(qmltrain, seen):
    Path("mine/experiment").mkdir(parents=True)
    Path("mine/experiment/widths.yaml").write_text(
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      circuit.n_qubits: 2,3\n"
    )
    ended = qmltrain("--config-dir", "mine", "experiment=widths", "run.seed=1")
    assert ended.code == 0, ended.err
    assert seen == [(2, 1), (3, 1)]


def test_only_what_is_swept_is_listed_and_the_directory_can_be_chosen(qmltrain, seen):
    fixed = ["train.baseline=False", "run.name= a ", "optimizer.learning_rate=1e-2", "hydra.sweep.dir=here/s"]
    ended = qmltrain("-m", "circuit.n_qubits=2,3", *fixed)
    assert ended.code == 0 and "qmltrain: point 1: circuit.n_qubits=3\n" in ended.err
    assert sorted(path.name for path in Path("here/s").iterdir()) == ["multirun.yaml", "points.jsonl"]


SMALL = ["dataset=iris", "preprocess.pca=2", "circuit.n_qubits=2", "encoding=angle", "engine=interpreter",
         "run.progress=none", "train.baseline=false"]  # fmt: skip


def test_every_point_of_gradient_has_a_file_of_its_own(qmltrain):
    ended = qmltrain("gradient", "-m", "run.seed=5,6", "study.rows=4", *SMALL)
    assert ended.code == 0, ended.err
    [first, second] = sorted(Path().glob("multirun/*/*/*.h5"))
    assert (first.name, second.name) == ("gradient-0.h5", "gradient-1.h5")
    assert not np.array_equal(read_array(first, "gradient"), read_array(second, "gradient"))


@pytest.mark.parametrize(
    ("word", "files"),
    [("study.output=g/my.h5", ["g/my-0.h5", "g/my-1.h5"]), ("study.output=g-${run.seed}.h5", ["g-5.h5", "g-6.h5"])],
)
def test_a_file_that_is_named_is_numbered_unless_its_name_is_swept(qmltrain, monkeypatch, word, files):
    written = []
    monkeypatch.setattr(
        qmltrain_cli.dispatch, "verb_function", lambda verb: lambda config, _: written.append(config.study.output)
    )
    assert qmltrain("gradient", "-m", "run.seed=5,6", word).code == 0
    assert written == files


SWEEPER = """
from hydra.plugins.sweeper import Sweeper
from hydra.core.plugins import Plugins

class Search(Sweeper):
    def __init__(self, params=None, max_batch_size=None, fail=False):
        self.params, self.fail = params, fail

    def setup(self, *, hydra_context, task_function, config):
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config)

    def sweep(self, arguments):
        values = []
        for number in range(2):
            word = f"optimizer.learning_rate={10.0 ** -number}"
            [job] = self.launcher.launch([[*arguments, word]], initial_job_idx=number)
            values.append(job.return_value)
            if self.fail:
                raise ValueError("no trial is completed")
        open("values.txt", "w").write(repr(values))
"""


@pytest.fixture
def search(in_empty_directory, monkeypatch) -> list[str]:
    """The words that choose a sweeper which tries two learning rates and keeps what the trainings return."""
    from hydra.core.plugins import Plugins

    module = types.ModuleType("hydra_plugins.qmltrain_search")
    exec(SWEEPER, module.__dict__)
    module.Search.__module__ = module.__name__
    package = types.ModuleType("hydra_plugins")
    package.__path__, package.qmltrain_search = [], module
    monkeypatch.setitem(sys.modules, "hydra_plugins", package)
    monkeypatch.setitem(sys.modules, "hydra_plugins.qmltrain_search", module)
    plugins = Plugins.instance()
    monkeypatch.setitem(plugins.class_name_to_class, "hydra_plugins.qmltrain_search.Search", module.Search)
    return ["-m", "hydra.sweeper._target_=hydra_plugins.qmltrain_search.Search"]


@pytest.mark.parametrize("monitor", ["val/loss", "val/accuracy"])
def test_a_sweeper_that_searches_gets_the_best_value_of_the_monitor(qmltrain, search, monitor):
    ended = qmltrain(*search, *SMALL, "train.epochs=2", f"train.monitor={monitor}")
    assert ended.code == 0, ended.err
    values = ast.literal_eval(Path("values.txt").read_text())
    runs = [open_run(record["run"]) for record in records()]
    assert len(set(values)) > 1
    for value, run in zip(values, runs, strict=True):
        stored = run.epochs[monitor]
        assert value == pytest.approx(max(stored) if monitor == "val/accuracy" else min(stored), rel=1e-6)


def test_the_lowest_energy_is_the_objective_without_data(qmltrain, search):
    words = ["dataset=none", "encoding=none", "head=raw", "loss=expectation", "observable=ising", "circuit.n_qubits=3"]
    ended = qmltrain(*search, *words, "engine=interpreter", "run.progress=none", "train.epochs=5")
    assert ended.code == 0, ended.err
    values = ast.literal_eval(Path("values.txt").read_text())
    assert len(values) == 2 and all(isinstance(value, float) and -4 < value < 3 for value in values)


def test_a_point_that_fails_gives_nan(qmltrain, search, seen):
    assert qmltrain(*search, "circuit.n_qubits=5").code == 1
    assert Path("values.txt").read_text() == "[nan, nan]"


def test_what_the_sweeper_says_at_last_is_one_line_beside_the_points(qmltrain, search):
    ended = qmltrain(*search, "+hydra.sweeper.fail=true", *SMALL, "train.epochs=1")
    assert ended.code == 1 and "internal" not in ended.err
    assert "the sweeper ended the sweep" in ended.err and "no trial is completed" in ended.err
    assert "1 of 1 points done" in ended.err


@pytest.mark.parametrize(
    "words",
    [
        ["-m", "hydra.sweeper._target_=os.system"],
        ["-m", "hydra.launcher._target_=nothing.there", "run.seed=1,2"],
        ["-m", "hydra.sweeper=null"],
        ["-m", "hydra.sweeper.params=", "run.seed=1"],
        ["-m", "hydra.sweeper.max_batch_size=-3", "run.seed=1"],
        ["-m", "hydra/sweeper=nothing"],
        ["-m", "run.seed=interval(0,3)"],
    ],
    ids=" ".join,
)
def test_what_hydra_cannot_use_is_one_line(qmltrain, words):
    ended = qmltrain("plan", *words)
    assert ended.code == 2 and ended.err.count("\n") == 1 and "internal" not in ended.err, ended.err
    assert "hydra" in ended.err or "run.seed" in ended.err or "Sweeper" in ended.err


ALONE = "hydra.sweeper.* has an effect with -m alone; to sweep: -m key=a,b\n"


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["hydra.sweeper.params={run.seed:'1,2'}"], f"hydra.sweeper.params={{run.seed:'1,2'}}: {ALONE}"),
        (["+hydra.sweeper.params.run.seed='1,2'"], f"+hydra.sweeper.params.run.seed='1,2': {ALONE}"),
        (["hydra.sweeper.max_batch_size=3"], f"hydra.sweeper.max_batch_size=3: {ALONE}"),
        (
            ["-m", "hydra.sweeper.params={run.seed:'1,2'}"],
            "hydra.sweeper.params={run.seed:'1,2'}: cannot be used here; what is swept is written as -m key=a,b\n",
        ),
        (
            ["-m", "run.seed=1,2", "hydra/sweeper=optuna"],
            "hydra/sweeper: found 'optuna', which is not installed; pip install hydra-optuna-sweeper\n",
        ),
        (
            ["-m", "run.seed=1,2", "hydra/launcher=submitit_slurm"],
            "hydra/launcher: found 'submitit_slurm', which is not installed; pip install hydra-submitit-launcher\n",
        ),
    ],
    ids=" ".join,
)
def test_what_of_hydras_own_is_missing_or_has_no_effect(qmltrain, seen, words, line):
    ended = qmltrain("plan", *words)
    assert (ended.code, ended.err) == (2, f"qmltrain: error: {line}") and not seen


def test_the_mode_of_a_config_counts_for_the_words_of_the_sweeper(qmltrain, seen):
    assert qmltrain("hydra.mode=MULTIRUN", "hydra.sweeper.max_batch_size=1", "circuit.n_qubits=2").code == 0
    assert seen == [(2, 0)]


def test_one_value_is_a_sweep_of_one_point_and_hydras_argument_parser_is_never_built(qmltrain, seen, monkeypatch):
    # Hydra 1.3's breaks on Python 3.14.
    import hydra._internal.utils

    def refuse():
        raise AssertionError("built")

    monkeypatch.setattr(hydra._internal.utils, "get_args_parser", refuse)
    assert qmltrain("-m", "circuit.n_qubits=2").code == 0
    assert seen == [(2, 0)]
    assert qmltrain("circuit.n_qubits=2").code == 0


@pytest.mark.parametrize(
    ("words", "points"),
    [
        (["run.seed=0,1,2", "ansatz.layers=range(1,5)", "train.epochs=1"], 12),
        (["run.seed=0"], 1),
        (["optimizer=adam,sgd", "run.seed=choice(1,2)"], 4),
        (["experiment=glob(*)"], None),
        (["optimizer.learning_rate=interval(0,1)"], None),
        (["run.seed=0,1", "hydra/sweeper=optuna"], None),
    ],
)
def test_the_number_of_points(words, points):
    assert number_of_points(words) == points


def test_jobs_at_once_share_the_cpus(monkeypatch):
    """joblib counts from the end where n_jobs is negative; other launchers run one job at a time, or elsewhere."""
    monkeypatch.setattr(sweeping, "usable_cpus", lambda: 8)
    launchers = [({"n_jobs": 4}, "4"), ({"n_jobs": -1}, "8"), ({"n_jobs": -3}, "6"), ({"n_jobs": -20}, "1")]
    for launcher, expected in launchers:
        assert sweeping._beside(launcher, None) == {"QMLTRAIN_JOBS_AT_ONCE": expected}
        assert sweeping._beside(launcher, 3) == {"QMLTRAIN_JOBS_AT_ONCE": str(min(3, int(expected)))}
    assert sweeping._beside({"_target_": "basic"}, 3) == {}
    monkeypatch.setenv("QMLTRAIN_JOBS_AT_ONCE", "5")  # as the user says
    assert sweeping._beside({"n_jobs": 4}, None) == {}
