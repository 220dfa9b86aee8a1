"""Whole trainings in native steps: spans of any length, stopped and killed, streamed, gone on with along their path."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.data import batches
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.models import build, problem
from qmltrain.runs.views import open_run
from qmltrain.sessions.training_run import run_directory
from qmltrain.training import native_steps, trainer
from qmltrain.verbs import train
from tests.sessions.stopped_runs import assert_same_bits, contents, stop_and_go_on, train_until
from tests.small_configs import CONTEXT, ising_chain, moons

pytestmark = pytest.mark.skipif(unavailable_reason() is not None, reason="no C++ extension")

ARRAYS = "arrays", "for this test"


def config(root: Path, **changes: Any):
    """Twelve steps in four epochs, spans as long as they go."""
    return moons(root, **{"engine__name": "cpu", "run__save_every": None, "run__gradients": "full", **changes})


def trained(root: Path, **changes: Any) -> Path:
    made = config(root, **changes)
    assert train.run(made, CONTEXT) == 0
    return run_directory(made)


def way(directory: Path) -> str:
    return json.loads(open_run(directory).attributes["choices"])["training_step"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return trained(tmp_path_factory.mktemp("native"))


@pytest.mark.parametrize(
    "step", [pytest.param(n, marks=[] if n in (1, 3, 5, 11) else pytest.mark.slow) for n in range(1, 12)]
)
def test_stopped_anywhere_and_gone_on_with(whole, tmp_path, step) -> None:
    assert way(whole) == "native"
    assert_same_bits(whole, stop_and_go_on(config(tmp_path), step))


@pytest.mark.parametrize("changes", [{"engine__threads": 3}, {"run__save_every": 5}, {"run__save_every": 1}])
def test_threads_and_snapshots_change_no_bit(whole, tmp_path, changes) -> None:
    again = trained(tmp_path, **changes)
    for name, values in contents(whole).items():
        np.testing.assert_array_equal(contents(again)[name], values, err_msg=name)
    assert (again / "metrics.jsonl").read_bytes() == (whole / "metrics.jsonl").read_bytes()


@pytest.mark.parametrize("rows", ["full", "few"])
def test_gradients_and_parameters_of_some_steps(tmp_path, monkeypatch, rows) -> None:
    """Whether they fit into a span or not."""
    changes = {"run__gradients_every": 3, "run__parameters_every": 2}
    expected = trained(tmp_path / "a", **changes)
    monkeypatch.setattr(native_steps, "ROW_BYTES" if rows == "few" else "LARGEST_SPAN", 700 if rows == "few" else 2)
    again = trained(tmp_path / "b", **changes)
    for name, values in contents(expected).items():
        np.testing.assert_array_equal(contents(again)[name], values, err_msg=name)
    assert contents(again)["gradients/step"].tolist() == [1, 4, 7, 10]


def test_data_that_is_read_as_it_is_needed(whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(batches, "CACHE_BYTES", 0)
    monkeypatch.setattr(problem, "SLAB_BYTES", 400)  # two batches
    streamed = trained(tmp_path)
    for name, values in contents(whole).items():
        np.testing.assert_array_equal(contents(streamed)[name], values, err_msg=name)


def test_rows_are_those_of_array_steps_but_for_rounding(whole, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(build, "_training_step", lambda *_: ARRAYS)
    judge = trained(tmp_path)
    assert way(judge) == "arrays"
    for name, values in contents(judge).items():
        if values.dtype.kind == "f" and "wall" not in name:
            np.testing.assert_allclose(contents(whole)[name], values, rtol=1e-9, atol=1e-10, err_msg=name)


def test_batches_with_replacement(tmp_path, monkeypatch) -> None:
    """Rows come more than once in a batch: the two paths, samples read as they are needed, a stop in between."""
    changes = {"train__replacement": True, "train__batch_size": 25}
    expected = trained(tmp_path / "native", **changes)
    assert way(expected) == "native"
    assert_same_bits(expected, stop_and_go_on(config(tmp_path / "stopped", **changes), 4))
    monkeypatch.setattr(batches, "CACHE_BYTES", 0)
    monkeypatch.setattr(problem, "SLAB_BYTES", 400)
    assert_same_bits(expected, trained(tmp_path / "streamed", **changes))
    monkeypatch.setattr(build, "_training_step", lambda *_: ARRAYS)
    judge = trained(tmp_path / "arrays", **changes)
    for name, values in contents(judge).items():
        if values.dtype.kind == "f" and "wall" not in name:
            np.testing.assert_allclose(contents(expected)[name], values, rtol=1e-9, atol=1e-10, err_msg=name)


def without_the_choice(*arguments: Any) -> dict[str, Any]:
    found = CHOICES(*arguments)
    del found["training_step"]
    return found


CHOICES = build.Compiled.choices


def test_a_run_from_before_goes_on_as_it_began(tmp_path, monkeypatch) -> None:
    """Its snapshot does not know of native steps."""
    with monkeypatch.context() as patch:
        patch.setattr(build, "_training_step", lambda *_: ARRAYS)
        expected = trained(tmp_path / "whole")
    with monkeypatch.context() as patch:
        patch.setattr(build, "_training_step", lambda *_: ARRAYS)
        patch.setattr(build.Compiled, "choices", without_the_choice)
        directory = train_until(config(tmp_path / "old"), 5)
    assert train.run(config(tmp_path / "old"), CONTEXT) == 0
    assert way(directory) == "arrays"
    for name, values in contents(expected).items():
        np.testing.assert_array_equal(contents(directory)[name], values, err_msg=name)


def test_repeating_a_run_takes_its_path(whole, tmp_path, monkeypatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(build, "_training_step", lambda *_: ARRAYS)
        judge = trained(tmp_path / "judge")
    for original in (whole, judge):
        again = tmp_path / f"again {original.name} {way(original)}"
        assert main(["repeat", str(original), f"run.dir={again}"]) == 0
        assert way(again) == way(original)
        assert main(["compare", str(original), str(again)]) == 0


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["engine=cpu"], "native; spans of steps in the engine"),
        (["engine=cpu", "optimizer=lbfgs"], "arrays; optimizer.name=lbfgs has no native form"),
        (["engine=interpreter"], "arrays; engine.name=interpreter runs no spans of steps by itself"),
    ],
)
def test_the_plan_says_which_path_and_why(capsys, words, line) -> None:
    assert main(["plan", "experiment=digits", *words]) == 0
    assert f"training step  {line}\n" in capsys.readouterr().out


def test_without_data(tmp_path) -> None:
    made = ising_chain(tmp_path, engine__name="cpu", optimizer__name="adam", optimizer__learning_rate=0.1)
    assert train.run(made, CONTEXT) == 0
    assert way(run_directory(made)) == "native"
    losses = open_run(run_directory(made)).table("metrics")["train/loss"]
    assert losses[-1] < losses[0] - 0.5


def test_a_listener_ends_the_training_after_an_epoch(whole, tmp_path, monkeypatch) -> None:
    heard: list[tuple[int, int, float]] = []

    def listen(state, metrics) -> str | None:
        heard.append((state.epoch, state.step, metrics["val/loss"]))
        return "enough" if state.epoch == 3 else None

    made = trainer.Trainer.__post_init__

    def with_listener(self) -> None:
        made(self)
        self.on_epoch = [lambda state, metrics: None, listen]

    monkeypatch.setattr(trainer.Trainer, "__post_init__", with_listener)
    directory = trained(tmp_path)
    assert [entry[:2] for entry in heard] == [(1, 3), (2, 6), (3, 9)]
    run = open_run(directory)
    assert run.attributes["finished"] == "enough"
    np.testing.assert_array_equal(run.table("epochs")["val/loss"], [loss for _, _, loss in heard])
    np.testing.assert_array_equal(
        run.table("metrics")["train/loss"], open_run(whole).table("metrics")["train/loss"][:9]
    )
