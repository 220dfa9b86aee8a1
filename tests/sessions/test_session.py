"""Whole trainings: what is written, that stopping and going on changes no bit, what is refused."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.errors import InputError, InterruptedRun, MemoryLimitError, NonFiniteError
from qmltrain.models.build import compile_model
from qmltrain.models.first_parameters import initial_theta
from qmltrain.models.problem import build_problem
from qmltrain.runs.snapshots import SNAPSHOTS, SnapshotFolder
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.training.state import STEP_METRICS
from qmltrain.verbs import evaluate, train
from tests.sessions.complete_runs import complete
from tests.sessions.stopped_runs import assert_same_bits, contents, stop_and_go_on, stop_at, train_until
from tests.small_configs import CONTEXT, moons


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return complete(tmp_path_factory.mktemp("whole"), run__gradients="full")


def test_a_finished_run_holds_what_it_says(whole):
    view = open_run(whole)
    assert view.status == "completed"
    assert list(view.metrics.columns) == list(STEP_METRICS)
    assert list(view.metrics.index) == list(range(1, 13))  # 36 training samples, batch 17: 3 steps, 4 epochs
    assert list(view.epochs.index) == [1, 2, 3, 4]
    assert {"train/loss", "train/accuracy", "val/loss", "val/accuracy", "val/roc_auc"} < set(view.epochs.columns)
    gradients, norms = view.gradients, view.layer_norms
    assert gradients.shape[0] == 12
    np.testing.assert_allclose(
        np.sqrt((norms.values**2).sum(axis=1)), np.linalg.norm(gradients.values, axis=1), rtol=1e-12
    )
    np.testing.assert_allclose(view.metrics["gradient_norm"], np.linalg.norm(gradients.values, axis=1), rtol=1e-12)
    test = view.evaluation("test")
    assert len(test["rows"]) == 12
    accuracy = np.mean(test["predictions"] == test["labels"])
    assert accuracy == pytest.approx(summary_of(view.attributes)["test/accuracy"])


def test_training_lowers_the_loss(whole):
    losses = open_run(whole).epochs["train/loss"]
    assert losses.iloc[-1] < 0.8 * losses.iloc[0]


def test_the_same_config_gives_the_same_bits(whole, tmp_path):
    assert_same_bits(whole, complete(tmp_path, run__gradients="full"))


@pytest.mark.parametrize(
    "step", [pytest.param(n, marks=[] if n in (1, 3, 5, 12) else pytest.mark.slow) for n in (1, 2, 3, 5, 11, 12)]
)
def test_stopped_by_a_signal_and_gone_on_is_the_uninterrupted_run(whole, tmp_path, step):
    config = moons(tmp_path, run__gradients="full")
    directory = run_directory(config)
    train_until(config, step)
    assert open_run(directory).status == "interrupted"
    assert SnapshotFolder(directory / SNAPSHOTS).load_latest().step == step
    assert train.run(config, CONTEXT) == 0
    assert_same_bits(whole, directory)


def test_going_on_with_another_instruction_set_is_said(whole, tmp_path, monkeypatch):
    config = moons(tmp_path, run__gradients="full")
    describe = InterpreterEngine.describe
    with monkeypatch.context() as patch:
        patch.setattr(InterpreterEngine, "describe", lambda self: "interpreter: avx512, 8 threads")
        stop_at(patch, 4)
        with pytest.raises(InterruptedRun):
            train.run(config, CONTEXT)
        patch.setattr(InterpreterEngine, "describe", lambda self: "interpreter: avx512, 2 threads")
        stop_at(patch, 6)
        with warnings.catch_warnings(), pytest.raises(InterruptedRun):
            warnings.simplefilter("error")
            train.run(config, CONTEXT)
    assert InterpreterEngine.describe is describe
    with pytest.warns(UserWarning, match="began on interpreter: avx512, goes on with interpreter: NumPy, one thread"):
        assert train.run(config, CONTEXT) == 0


def test_a_run_that_crashed_before_its_first_snapshot_begins_again(whole, tmp_path, monkeypatch):
    config = moons(tmp_path, run__gradients="full", run__save_every=100)
    directory = run_directory(config)

    def crash(self, current, *args, **kwargs):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(RunStore, "append_steps", crash)
        with pytest.raises(RuntimeError, match="power cut"):
            train.run(config, CONTEXT)
    assert train.run(config, CONTEXT) == 0
    assert open_run(directory).status == "completed"
    np.testing.assert_array_equal(contents(whole)["parameters/values"], contents(directory)["parameters/values"])


def test_a_damaged_snapshot_falls_back_to_the_one_before(whole, tmp_path):
    config = moons(tmp_path, run__gradients="full")
    directory = run_directory(config)
    train_until(config, 7)
    newest = sorted((directory / SNAPSHOTS).glob("*7.snapshot"))[-1]
    newest.write_bytes(newest.read_bytes()[:-10])
    with pytest.warns(UserWarning, match="snapshot"):
        assert train.run(config, CONTEXT) == 0
    assert_same_bits(whole, directory)


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer__name": "sgd", "optimizer__momentum": 0.9},
        {"optimizer__name": "adamw", "optimizer__clip_norm": 0.1},
        {"optimizer__name": "lbfgs", "schedule__name": "constant", "train__batch_size": 32},
        {"gradient__mode": "checkpoint", "gradient__checkpoint_interval": 1},
        {"train__max_steps": 7, "run__parameters_every": 3},
        {"train__patience": 1, "optimizer__learning_rate": 1.0},
        {"loss__name": "binary_cross_entropy", "head__name": "scaled", "observable__qubits": [1]},
        {"loss__name": "mean_squared_error", "ansatz__name": "strongly_entangling", "schedule__name": "step"},
        {"dataset__name": "diabetes", "dataset__n_samples": None, "dataset__noise": None, "dataset__samples": 60,
         "dataset__generator_seed": None, "preprocess__pca": 2, "loss__name": "mean_squared_error"},
        {"encoding__name": "amplitude", "encoding__repeats": None, "ansatz__layers": 3,
         "engine__precision": "complex64"},
    ],
)  # fmt: skip
def test_every_kind_of_training_goes_on_exactly(tmp_path, changes):
    whole = complete(tmp_path / "whole", **changes)
    config = moons(tmp_path / "stopped", **changes)
    assert_same_bits(whole, stop_and_go_on(config, 3))


@pytest.mark.parametrize("metric", ["loss", "accuracy"])
def test_the_best_epoch_is_that_of_the_monitored_metric(tmp_path, metric):
    view = open_run(complete(tmp_path, train__monitor=f"val/{metric}", train__epochs=8, optimizer__learning_rate=0.6))
    values = view.epochs[f"val/{metric}"]
    assert values.nunique() > 2
    best = (values.idxmin if metric == "loss" else values.idxmax)()
    summary = summary_of(view.attributes)
    assert 1 < summary["best_epoch"] == best
    assert summary[f"val/{metric}"] == pytest.approx(values[best], rel=1e-12)


def test_regression_is_judged_in_the_units_of_the_data(tmp_path):
    changes = {"dataset__name": "diabetes", "dataset__n_samples": None, "dataset__noise": None, "dataset__samples": 60,
               "dataset__generator_seed": None, "preprocess__pca": 2, "loss__name": "mean_squared_error"}  # fmt: skip
    view = open_run(complete(tmp_path, **changes))
    summary = summary_of(view.attributes)
    for split in ("val", "test"):
        found = view.evaluation(split)
        assert found["labels"].min() >= 25 and 100 < found["labels"].max() <= 346  # those of the data set
        errors = found["predictions"] - found["labels"]
        assert summary[f"{split}/mae"] == pytest.approx(np.mean(np.abs(errors)))
        assert summary[f"{split}/mse"] == pytest.approx(np.mean(errors**2))


def test_no_space_is_taken_for_epochs_that_max_steps_leaves_out(tmp_path):
    view = open_run(complete(tmp_path, train__max_steps=4, train__epochs=10**9))
    assert view.attributes["n_epochs"] == len(view.epochs) == 2  # of 3 steps and of 1


def test_epochs_without_improvement_are_counted_across_a_stop(tmp_path):
    changes = {"optimizer__learning_rate": 1e-12, "train__monitor": "val/accuracy", "train__patience": 2,
               "train__epochs": 6}  # fmt: skip
    whole = complete(tmp_path / "whole", **changes)
    assert len(open_run(whole).epochs) == 3  # the first is the best, two do not improve on it
    config = moons(tmp_path / "stopped", **changes)
    assert_same_bits(whole, stop_and_go_on(config, 7))  # in the third epoch: one without improvement so far


def test_a_finished_run_is_left_alone(whole, capsys):
    before = (whole / "run.h5").read_bytes()
    config = moons(whole.parent, run__gradients="full")
    assert train.run(config, CONTEXT) == 0
    assert "complete" in capsys.readouterr().out
    assert (whole / "run.h5").read_bytes() == before


def test_another_config_in_the_same_directory_is_refused(whole):
    config = moons(whole.parent, run__gradients="full", run__dir=str(whole), optimizer__learning_rate=0.1)
    with pytest.raises(InputError, match="optimizer.learning_rate was 0.05, now 0.1"):
        train.run(config, CONTEXT)


def test_resume_never_and_must(whole, tmp_path):
    with pytest.raises(InputError, match="run.resume=never"):
        train.run(moons(whole.parent, run__gradients="full", run__resume="never"), CONTEXT)
    with pytest.raises(InputError, match="run.resume=must"):
        train.run(moons(tmp_path, run__resume="must"), CONTEXT)
    assert not list(tmp_path.iterdir())


def test_bad_data_leaves_nothing_behind(tmp_path):
    config = moons(tmp_path, head__name="raw")
    config.observable.qubits = [0]
    with pytest.raises(InputError, match=r"head.name"):
        train.run(config, CONTEXT)
    with pytest.raises(InputError, match=r"optimizer.momentum: not used by adam"):
        train.run(moons(tmp_path, optimizer__momentum=0.5), CONTEXT)
    with pytest.raises(InputError, match=r"train.monitor"):
        train.run(moons(tmp_path, train__monitor="val/r2"), CONTEXT)
    with pytest.raises(InputError, match=r"train.monitor"):
        train.run(moons(tmp_path, train__monitor="val/r2", dataset__validation=0.0), CONTEXT)
    with pytest.raises(InputError, match=r"train.initial_scale: not used by zeros"):
        train.run(moons(tmp_path, train__initial="zeros", train__initial_scale=0.3), CONTEXT)
    with pytest.raises(InputError, match=r"nowhere: there is no run here"):
        train.run(moons(tmp_path, train__initial="from_run", train__initial_run="nowhere"), CONTEXT)
    assert not list(tmp_path.iterdir())


def test_not_enough_memory_is_refused_with_numbers(tmp_path):
    with pytest.raises(InputError, match=r"2 states of 1 sample need 128 bytes of 107 bytes"):
        train.run(moons(tmp_path, engine__memory_gib=1e-7), CONTEXT)
    assert not list(tmp_path.iterdir())


def test_a_diverging_loss_stops_the_run_and_keeps_the_last_snapshot(tmp_path, monkeypatch):
    from qmltrain.training.losses import LOSSES

    config = moons(tmp_path)
    value, calls = LOSSES["cross_entropy"].value, []

    def poisoned(self, outputs_BC, targets_B):
        calls.append(1)
        return value(self, outputs_BC, targets_B) * (np.nan if len(calls) == 6 else 1.0)

    with monkeypatch.context() as patch:
        patch.setattr(LOSSES["cross_entropy"], "value", poisoned)
        with pytest.raises(NonFiniteError, match="loss of sample 0"):
            train.run(config, CONTEXT)
    assert SnapshotFolder(run_directory(config) / SNAPSHOTS).load_latest().step == 4
    assert train.run(config, CONTEXT) == 0
    assert_same_bits(complete(tmp_path / "other"), run_directory(config))


def test_evaluate_repeats_the_numbers_of_the_run(whole, capsys):
    assert evaluate.run(whole, CONTEXT) == 0
    printed = capsys.readouterr().out
    summary = summary_of(open_run(whole).attributes)
    assert f"{summary['test/accuracy']:.4f}" in printed
    assert f"{summary['val/loss']:.4f}" in printed


def test_the_dataset_must_not_change_under_a_run(tmp_path):
    path = tmp_path / "data.npz"
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(60, 2)), np.arange(60) % 2
    np.savez(path, x=x, y=y)
    changes = {"dataset__name": "npz", "dataset__path": str(path), "dataset__n_samples": None, "dataset__noise": None,
               "dataset__generator_seed": None}  # fmt: skip
    config = moons(tmp_path / "runs", **changes)
    train_until(config, 2)
    x[3, 1] += 1e-3
    np.savez(path, x=x, y=y)
    with pytest.raises(InputError, match="has changed since"):
        train.run(config, CONTEXT)


def test_a_perceptron_on_request(tmp_path, capsys):
    complete(tmp_path, train__baseline=True, train__perceptron=True)
    assert "perceptron" in capsys.readouterr().out
    with pytest.raises(InputError, match="train.perceptron: needs train.baseline"):
        train.run(moons(tmp_path, train__perceptron=True), CONTEXT)


def test_the_loss_of_an_epoch_is_the_mean_over_its_samples(whole):
    view = open_run(whole)
    steps_BL = view.metrics["train/loss"].to_numpy().reshape(4, 3)
    sizes = np.array([17, 17, 2])  # 36 training samples in batches of 17
    np.testing.assert_allclose(view.epochs["train/loss"], steps_BL @ sizes / 36, rtol=1e-12)


def test_the_optimiser_gets_the_clipped_gradient(tmp_path):
    rate, limit = 0.5, 1e-3
    view = open_run(complete(
        tmp_path, optimizer__name="sgd", optimizer__learning_rate=rate, optimizer__clip_norm=limit,
        schedule__name="constant", run__parameters_every=1,
    ))  # fmt: skip
    moved = np.linalg.norm(np.diff(np.asarray(view.parameters), axis=0), axis=1)
    assert (view.metrics["gradient_norm"] > limit).all()  # stored as it was before
    np.testing.assert_allclose(moved, rate * limit, rtol=1e-9)


def test_the_training_accuracy_of_an_epoch_counts_every_batch(tmp_path):
    config = moons(tmp_path, optimizer__learning_rate=1e-15)  # so that all batches are judged by the same parameters
    assert train.run(config, CONTEXT) == 0
    problem = build_problem(config)
    rows = problem.split.train
    outputs = compile_model(config, problem.model).evaluator.outputs(
        initial_theta(problem), problem.data.features(rows)
    )
    hits = problem.model.loss.predict(outputs)[0] == problem.data.labels(rows)
    assert 0 < hits.sum() < len(rows)
    assert open_run(run_directory(config)).epochs["train/accuracy"].tolist() == [hits.mean()] * 4


def test_small_batches_train_where_no_block_of_16_fits(tmp_path):
    """The splits are then evaluated in chunks of a few samples, too: the same bits as with all memory."""
    whole = complete(tmp_path / "whole", train__batch_size=3)
    little = complete(tmp_path / "little", train__batch_size=3, engine__memory_gib=3e-6)
    expected, found = contents(whole), contents(little)
    assert expected.keys() == found.keys()
    for name in expected:
        np.testing.assert_array_equal(found[name], expected[name], err_msg=name)
    assert SnapshotFolder(little / SNAPSHOTS).load_latest().state["choices"]["chunk"] < 16
    with pytest.raises(MemoryLimitError, match=r"^16 samples .* steps of at most \d \(train\.batch_size\)"):
        train.run(moons(tmp_path / "large", train__batch_size=17, engine__memory_gib=3e-6), CONTEXT)
