"""Training without data: the expectation reaches the exact value, is stored, stopped and gone on with; refusals."""

from __future__ import annotations

import numpy as np
import pytest

import qmltrain
from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.models.build import compile_model
from qmltrain.models.problem import build_problem
from qmltrain.runs.snapshots import SNAPSHOTS, SnapshotFolder
from qmltrain.runs.views import open_run
from qmltrain.sessions.results import summary_of
from qmltrain.sessions.training_run import run_directory
from qmltrain.verbs import circuit, evaluate, gradient, plan, plot, train
from tests.circuit.library.dense_observables import matrix
from tests.sessions.stopped_runs import assert_same_bits, stop_and_go_on, train_until
from tests.small_configs import CONTEXT, ising_chain


def adam(root, **changes) -> Config:
    return ising_chain(root, optimizer__name="adam", optimizer__learning_rate=0.2, train__epochs=12, **changes)


def test_the_lowest_energy_is_found(tmp_path, capsys):
    config = ising_chain(tmp_path)
    assert train.run(config, CONTEXT) == 0
    exact = np.linalg.eigvalsh(matrix(build_problem(config).model.observables, 0, 3))[0]
    view = open_run(run_directory(config))
    found = summary_of(view.attributes)["train/loss"]
    assert found == pytest.approx(exact, abs=1e-6)
    assert found == pytest.approx(view.epochs["train/loss"].min(), abs=1e-12)
    assert f"{found:.6f}" in capsys.readouterr().out
    assert evaluate.run(run_directory(config), CONTEXT) == 0
    assert f"{found:.6f}" in capsys.readouterr().out


@pytest.mark.parametrize("make", [adam, ising_chain])
def test_rows_are_the_values_before_a_step_and_epochs_those_after_it(tmp_path, make):
    config = make(tmp_path, run__gradients="full", run__parameters_every=1)
    config.train.epochs = 12
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    steps, epochs = view.metrics["train/loss"].to_numpy(), view.epochs["train/loss"].to_numpy()
    problem = build_problem(config)
    evaluator = compile_model(config, problem.model).evaluator
    for row in (0, 1, 11):
        theta_P = view.table("parameters")["values"][row]  # after `row` steps
        at_theta = evaluator.gradient(theta_P, np.empty((1, 0)), np.zeros(1))
        assert steps[row] == at_theta.loss
        np.testing.assert_array_equal(view.table("gradients")["values"][row], at_theta.gradient_P)
        assert view.metrics["gradient_norm"].iloc[row] == pytest.approx(np.linalg.norm(at_theta.gradient_P), rel=1e-14)
    assert len(steps) == len(epochs) == 12 and list(view.epochs.columns) == ["step", "wall_seconds", "train/loss"]
    np.testing.assert_allclose(steps[1:], epochs[:-1], rtol=1e-13)
    summary = summary_of(view.attributes)
    assert summary["best_epoch"] == 1 + np.argmin(epochs) and summary["train/loss"] == pytest.approx(epochs.min())
    assert view.evaluation("train")["predictions"] == pytest.approx(epochs.min())


@pytest.mark.parametrize("make", [adam, ising_chain])
def test_stopped_and_gone_on_is_the_uninterrupted_run(tmp_path, make):
    whole, stopped = make(tmp_path / "whole"), make(tmp_path / "stopped")
    assert train.run(whole, CONTEXT) == 0
    assert_same_bits(run_directory(whole), stop_and_go_on(stopped, 4))


def test_an_optimiser_that_was_done_when_stopped_stays_done(tmp_path):
    whole, stopped = ising_chain(tmp_path / "whole"), ising_chain(tmp_path / "stopped")
    assert train.run(whole, CONTEXT) == 0
    steps = len(open_run(run_directory(whole)).metrics)
    assert steps < whole.train.epochs
    assert_same_bits(run_directory(whole), stop_and_go_on(stopped, steps))  # before the last epoch's evaluation


def test_patience_counts_steps(tmp_path):
    config = adam(tmp_path, train__patience=2)
    config.optimizer.learning_rate, config.train.epochs = 2.0, 100
    assert train.run(config, CONTEXT) == 0
    assert "did not improve for 2 epochs" in open_run(run_directory(config)).attributes["finished"]


def test_fidelity_reaches_the_target(tmp_path):
    state = np.array([1, 0, 0, 0, 0, 0, 0, 1j]) / np.sqrt(2)
    np.save(tmp_path / "ghz.npy", state)
    config = ising_chain(tmp_path, observable__name="target_state", observable__path=str(tmp_path / "ghz.npy"),
                         loss__name="fidelity", ansatz__layers=3)  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    assert summary_of(open_run(run_directory(config)).attributes)["train/loss"] == pytest.approx(0, abs=1e-6)


def test_fidelity_on_ten_qubits_is_used_where_the_target_is_gone(tmp_path, capsys):
    """W state, 2^10 amplitudes; the run's own files are all that is read afterwards."""
    path = tmp_path / "w.npy"
    state = np.zeros(2**10)
    state[2 ** np.arange(10)] = np.sqrt(0.1)
    np.save(path, state)
    config = adam(tmp_path, observable__name="target_state", observable__path=str(path), loss__name="fidelity",
                  circuit__n_qubits=10, ansatz__layers=1)  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    found = summary_of(view.attributes)["train/loss"]
    assert found < view.epochs["train/loss"].iloc[0] and view.attributes["observable_names"] == ["w"]
    path.unlink()
    capsys.readouterr()
    assert evaluate.run(run_directory(config), CONTEXT) == 0
    assert f"{found:.4f}" in capsys.readouterr().out
    model = qmltrain.load(run_directory(config))
    assert model.observable_names == ("w",)
    assert model.expectations()[0, 0] == pytest.approx(1 - found, abs=1e-12)
    assert model.expectations(shots=10_000)[0, 0] == pytest.approx(1 - found, abs=0.03)


@pytest.mark.parametrize("kind", ["hamiltonian", "target_state"])
def test_the_observable_must_not_change_under_a_run(tmp_path, kind):
    path = tmp_path / ("h.txt" if kind == "hamiltonian" else "state.npy")

    def write(angle):
        if kind == "hamiltonian":
            path.write_text(f"Z0 Z1\n{angle} X2\n")
        else:
            np.save(path, np.array([np.cos(angle), 0, 0, 0, 0, 0, 0, np.sin(angle)]))

    write(0.3)
    config = adam(tmp_path / "runs", observable__name=kind, observable__path=str(path))
    train_until(config, 4)
    write(0.4)
    with pytest.raises(InputError, match=r"^observable\.path: .* has changed since the run in"):
        train.run(config, CONTEXT)
    write(0.3)
    assert train.run(config, CONTEXT) == 0


def test_shots_and_pictures_work_without_data(tmp_path, capsys):
    config = adam(tmp_path)
    assert train.run(config, CONTEXT) == 0
    directory = run_directory(config)
    assert evaluate.run(directory, CONTEXT, shots=100_000) == 0
    sampled = float(capsys.readouterr().out.split("lowest value ")[-1])
    assert sampled == pytest.approx(summary_of(open_run(directory).attributes)["train/loss"], abs=0.05)
    pytest.importorskip("matplotlib")
    assert plot.run(directory, CONTEXT) == 0 and (directory / "curves.png").exists()


def test_other_verbs_work_without_data(tmp_path, capsys):
    config = ising_chain(tmp_path, study__output=str(tmp_path / "gradient.h5"))
    assert circuit.run(config, CONTEXT) == plan.run(config, CONTEXT) == gradient.run(config, CONTEXT) == 0
    assert "ising" in capsys.readouterr().out


def test_expectation_with_data_is_the_mean_over_the_samples(tmp_path):
    config = adam(tmp_path, dataset__name="make_moons", dataset__n_samples=40, encoding__name="angle",
                  preprocess__pca=None, train__batch_size=24)  # fmt: skip
    assert train.run(config, CONTEXT) == 0
    view = open_run(run_directory(config))
    assert list(view.epochs.columns) == ["step", "wall_seconds", "train/loss", "val/loss"]
    test = view.evaluation("test")
    assert summary_of(view.attributes)["test/loss"] == pytest.approx(np.mean(test["predictions"]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"loss__name": "cross_entropy"}, r"^loss\.name: cross_entropy compares with targets, and dataset=none has"),
        ({"head__name": "linear"}, r"^head\.name: found linear; .* choose head\.name=raw"),
        ({"observable__name": "z"}, r"^observable\.name: 3 observables, but expectation takes one alone"),
        ({"encoding__name": "angle"}, r"^encoding\.name: angle encodes features, but there are none; choose none"),
        ({"dataset__samples": 2}, r"^dataset\.samples: 2 of the 1 samples"),
        ({"dataset__classes": [0, 1]}, r"^dataset\.classes"),
        ({"dataset__path": "a.npz"}, r"^dataset\.path: not used by none"),
        ({"train__monitor": "val/accuracy"}, r"^train\.monitor: .*loss without targets; choose one of val/loss"),
        ({"loss__class_weights": "balanced"}, r"^loss\.class_weights: this loss compares with no classes"),
        ({"loss__delta": 1.0}, r"^loss\.delta: not used by expectation"),
        ({"loss__name": "fidelity"}, r"^loss\.name: fidelity is 1 - the expectation of a projector, .*=ising is"),
    ],
)
def test_what_cannot_be_without_data(tmp_path, changes, message):
    with pytest.raises(InputError, match=message) as refused:
        train.run(ising_chain(tmp_path, **changes), CONTEXT)
    assert "\n" not in str(refused.value) and not list(tmp_path.iterdir())


def test_a_full_batch_run_of_an_earlier_version_keeps_the_meaning_of_its_rows(tmp_path):
    """Its snapshots do not say what its rows are: then they are those after the update, to the end."""
    whole, stopped = ising_chain(tmp_path / "whole"), ising_chain(tmp_path / "stopped")
    assert train.run(whole, CONTEXT) == 0
    train_until(stopped, 4)
    folder = SnapshotFolder(run_directory(stopped) / SNAPSHOTS)
    snapshot = folder.load_latest()
    del snapshot.state["training"]["rows_before"]
    folder.save(snapshot)
    assert train.run(stopped, CONTEXT) == 0
    new, old = (open_run(run_directory(config)).metrics["train/loss"].to_numpy() for config in (whole, stopped))
    np.testing.assert_array_equal(old[:4], new[:4])  # made by this version
    np.testing.assert_array_equal(old[4:-1], new[5:])
    epochs = [open_run(run_directory(config)).epochs["train/loss"].to_numpy() for config in (whole, stopped)]
    np.testing.assert_array_equal(*epochs)
