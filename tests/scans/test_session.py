"""Whole scans: stopped, gone on with, made larger, divided into shards, each to the bits of one whole."""

from __future__ import annotations

import json
import multiprocessing
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from qmltrain.cli import main
from qmltrain.cli.grids import compose_grid
from qmltrain.config.schema import CommandContext
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError, InterruptedRun
from qmltrain.models.build import compile_model
from qmltrain.models.run_start import start_of_run
from qmltrain.runs.lock import RunLock
from qmltrain.scans import session
from qmltrain.scans.file_layout import Shard
from qmltrain.scans.point import OF_COMMAND, config_of
from qmltrain.scans.reading import StoredScan, read_scan
from tests.scans.small_scans import CIRCUIT, DRAWS, GRID, assert_same_bits, in_portions, scan, scan_until, stop_after
from tests.sessions.complete_runs import complete


def status(directory, name="status.json") -> dict:
    return json.loads((directory / name).read_text())


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> StoredScan:
    """The scan of GRID that ran through."""
    return scan(tmp_path_factory.mktemp("whole"), *GRID)


def test_a_scan_has_all_points_with_all_draws(tmp_path, capsys):
    found = scan(tmp_path / "a", *GRID, summary=True)
    assert found.complete and found.swept == ("circuit.n_qubits", "ansatz.layers")
    values = [tuple(point.values.values()) for point in found.points]
    assert values == [(2, 1), (2, 2), (3, 1), (3, 2)]
    for (n_qubits, layers), point in zip(values, found.points, strict=True):
        assert point.draws == point.capacity == DRAWS
        assert (point.config["circuit.n_qubits"], point.config["ansatz.layers"]) == (n_qubits, layers)
        shapes = {name: column.shape for name, column in point.columns.items()}
        n_parameters = 3 * n_qubits * layers
        assert shapes == {
            "loss": (DRAWS,), "gradient": (DRAWS, n_parameters), "gradient_norms": (DRAWS, layers + 1)
        }  # fmt: skip
        assert len(set(point.columns["loss"])) == DRAWS
        assert point.labels["gradient_norms"][-1] == "all" and len(point.labels["gradient"]) == n_parameters
    assert status(tmp_path / "a")["status"] == "completed" and status(tmp_path / "a")["draws"] == 4 * DRAWS
    assert str(tmp_path / "a") in capsys.readouterr().out


def test_a_scan_that_is_complete_is_left_alone(tmp_path, capsys):
    scan(tmp_path, *GRID)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    scan(tmp_path, *GRID)
    assert "this scan is complete; nothing to do" in capsys.readouterr().out
    assert before == {path.name: path.read_bytes() for path in tmp_path.iterdir()}


@pytest.mark.parametrize(
    "number", [signal.SIGUSR1, *(pytest.param(n, marks=pytest.mark.slow) for n in (signal.SIGTERM, signal.SIGINT))]
)
def test_a_stopped_scan_goes_on_to_the_same_bits(whole, tmp_path, number, capsys):
    scan_until(tmp_path / "stopped", 4, *GRID, number=number)
    left = status(tmp_path / "stopped")
    assert (left["status"], left["draws"], left["draws_asked_for"]) == ("interrupted", DRAWS + 8, 4 * DRAWS)
    part = read_scan(tmp_path / "stopped")
    assert [point.draws for point in part.points] == [DRAWS, 8, 0, 0] and not part.complete
    with pytest.raises(InputError, match="29 of 84 draws; run the same command again"):
        read_scan(tmp_path / "stopped", incomplete=False)
    assert_same_bits(whole, scan(tmp_path / "stopped", *GRID))
    sessions = status(tmp_path / "stopped")["sessions"]
    assert [session["from_draw"] for session in sessions] == [0, 29]


def test_the_message_of_a_stopped_scan_says_how_far_it_came(tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        stop_after(patch, 2)
        with pytest.raises(InterruptedRun, match=r"stopped by SIGUSR1 after 16 of 84 draws, stored in .*scan\.h5; run"):
            scan(tmp_path, *GRID)


@pytest.mark.parametrize(
    "circuit",
    [
        ("ansatz=hea",),
        ("ansatz=pauli_two_design", "ansatz.layers=2", "scan.quantities=[loss,gradient,entanglement,fidelity]"),
        pytest.param(
            ("ansatz=random_layers", "scan.quantities=[loss,gradient_norms,fidelity]"), marks=pytest.mark.slow
        ),
        pytest.param(("train.initial=identity", "ansatz.layers=4"), marks=pytest.mark.slow),
        ("scan.plane=[random,gradient]", "scan.resolution=3"),
    ],
    ids=["hea", "two_design", "random_layers", "identity", "plane"],
)
def test_bits_follow_from_the_draw_alone(tmp_path, circuit):
    """Whatever the portions, the number of draws and what was there before."""
    whole = scan(tmp_path / "whole", *circuit)
    with pytest.MonkeyPatch.context() as patch:
        in_portions(patch, 5)
        assert_same_bits(whole, scan(tmp_path / "portions", *circuit))
    scan(tmp_path / "more", *circuit, draws=4)
    assert_same_bits(whole, scan(tmp_path / "more", *circuit))


def test_points_that_are_built_again_give_the_same(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(session, "KEPT_BYTES", 0)
    assert_same_bits(whole, scan(tmp_path / "again", *GRID))


def test_a_scan_that_was_killed_before_it_said_that_it_is_complete(tmp_path):
    scan(tmp_path, "circuit.n_qubits=2")
    (tmp_path / "status.json").unlink()
    scan(tmp_path, "circuit.n_qubits=2")
    assert status(tmp_path)["status"] == "completed" and status(tmp_path)["draws"] == DRAWS


@pytest.mark.skipif(unavailable_reason() is not None, reason="no C++")
def test_threads_change_nothing(tmp_path):
    words = ("engine=cpu", "circuit.n_qubits=4", "ansatz.layers=2")
    one, two = (scan(tmp_path / f"{k}", *words, f"engine.threads={k}", draws=70) for k in (1, 2))
    assert_same_bits(one, two)


def test_a_larger_grid_with_more_draws_goes_on_to_the_bits_of_a_fresh_one(tmp_path):
    fresh = scan(tmp_path / "fresh", "circuit.n_qubits=2,3,4", "ansatz.layers=1,2,3")
    scan(tmp_path / "grown", "circuit.n_qubits=2,4", "ansatz.layers=2,3", draws=9)
    scan_until(tmp_path / "grown", 3, "circuit.n_qubits=2,3,4", "ansatz.layers=1,2,3")
    assert_same_bits(fresh, scan(tmp_path / "grown", "circuit.n_qubits=2,3,4", "ansatz.layers=1,2,3"))
    assert not [path.name for path in (tmp_path / "grown").glob("*.tmp")]


def test_a_smaller_grid_and_fewer_draws_leave_what_is_there(tmp_path, capsys):
    whole = scan(tmp_path, *GRID)
    file = (tmp_path / "scan.h5").read_bytes()
    assert_same_bits(whole, scan(tmp_path, "circuit.n_qubits=3,2", "ansatz.layers=2,1", draws=3))
    assert (tmp_path / "scan.h5").read_bytes() == file and "nothing to do" in capsys.readouterr().out


def test_points_that_the_grid_no_longer_has_stay_before_new_ones(tmp_path):
    scan(tmp_path, "circuit.n_qubits=2,3")
    found = scan(tmp_path, "circuit.n_qubits=4,3", draws=DRAWS + 1)
    assert [(point.values["circuit.n_qubits"], point.draws) for point in found.points] == [
        (2, DRAWS), (3, DRAWS + 1), (4, DRAWS + 1)
    ]  # fmt: skip


def test_shards_together_are_the_whole(whole, tmp_path):
    for shard in ("2/3", "1/3"):
        scan(tmp_path / "shards", *GRID, f"scan.shard={shard}")
    with pytest.raises(InputError, match=r"shards 3/3 are missing; run them with scan\.shard=3/3"):
        read_scan(tmp_path / "shards")
    scan_until(tmp_path / "shards", 1, *GRID, "scan.shard=3/3")
    assert not read_scan(tmp_path / "shards").complete
    scan(tmp_path / "shards", *GRID, "scan.shard=3/3")
    assert_same_bits(whole, read_scan(tmp_path / "shards"))
    assert status(tmp_path / "shards", "status-3-of-3.json")["status"] == "completed"


def test_shards_of_a_larger_grid_are_refused_until_all_are(tmp_path):
    larger = ("circuit.n_qubits=2,3,4", "ansatz.layers=1,2")
    whole = scan(tmp_path / "whole", *larger)
    for shard in ("1/2", "2/2"):
        scan(tmp_path / "shards", *GRID, f"scan.shard={shard}", draws=5)
    scan(tmp_path / "shards", *larger, "scan.shard=1/2")
    with pytest.raises(InputError, match="its shards are of different grids; run all 2 again"):
        read_scan(tmp_path / "shards")
    scan(tmp_path / "shards", *larger, "scan.shard=2/2")
    assert_same_bits(whole, read_scan(tmp_path / "shards"))


def test_more_shards_than_points(tmp_path):
    for k in (1, 2, 3):
        scan(tmp_path, "circuit.n_qubits=2,3", f"scan.shard={k}/3")
    assert [point.values["circuit.n_qubits"] for point in read_scan(tmp_path).points] == [2, 3]


def test_a_directory_is_divided_in_one_way(tmp_path):
    scan(tmp_path / "whole", *GRID)
    with pytest.raises(InputError, match=r"holds a scan in one file; set scan\.shard=null, or choose another run\.dir"):
        scan(tmp_path / "whole", *GRID, "scan.shard=1/2")
    scan(tmp_path / "shards", *GRID, "scan.shard=1/2")
    with pytest.raises(InputError, match=r"holds a scan in 2 shards; set scan\.shard=k/2"):
        scan(tmp_path / "shards", *GRID)


def test_a_scan_is_one_process_at_a_time_and_a_shard_too(tmp_path):
    shard = Shard(1, 2)
    with RunLock(tmp_path), RunLock(tmp_path, shard.beside("run.lock")):
        for words in ((), ("scan.shard=1/2",)):
            with pytest.raises(InputError, match="in use by process"):
                scan(tmp_path, *GRID, *words)
        scan(tmp_path, *GRID, "scan.shard=2/2")


def _shard(directory, k) -> None:
    scan(directory, *GRID, f"scan.shard={k}/2")


def test_two_processes_compute_two_shards_at_once(whole, tmp_path):
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=_shard, args=(tmp_path / "shards", k)) for k in (1, 2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert_same_bits(whole, read_scan(tmp_path / "shards"))


def test_a_scan_that_another_process_began_is_gone_on_with_when_it_has_stopped(whole, tmp_path):
    context = multiprocessing.get_context("fork")
    process = context.Process(target=scan_until, args=(tmp_path / "shared", 3, *GRID))
    process.start()
    deadline = time.monotonic() + 60
    while process.is_alive() and time.monotonic() < deadline:
        try:
            scan(tmp_path / "shared", *GRID)
        except InputError as error:
            assert "in use by process" in str(error) or "has just taken" in str(error)
    process.join()
    assert_same_bits(whole, scan(tmp_path / "shared", *GRID))


def test_another_device_is_said(tmp_path):
    scan(tmp_path, "circuit.n_qubits=2", draws=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qmltrain.engines.interpreter.InterpreterEngine.describe", lambda self: "another, 3 threads")
        with pytest.warns(UserWarning, match="began on interpreter: .*, goes on with another; the last bits"):
            scan(tmp_path, "circuit.n_qubits=2", draws=4)


def test_what_it_will_take_is_said_before(tmp_path, capsys):
    scan(tmp_path, *GRID, "run.progress=lines", "scan.quantities=[loss]")
    said = capsys.readouterr().err.splitlines()[0]
    for part in ("4 points, 84 of 84 draws to go", " KiB of draws, at most ", "iB of memory; engine.name=interpreter"):
        assert part in said


def test_a_command_that_is_sent_a_signal_ends_with_75_and_goes_on(tmp_path):
    words = [*CIRCUIT, "circuit.n_qubits=6", "ansatz.layers=4", "scan.draws=2000", "run.progress=lines"]
    words += ["run.log_seconds=0.01", f"run.dir={tmp_path / 'a'}"]
    command = ["scan", *words]
    process = subprocess.Popen(
        [sys.executable, "-m", "qmltrain", *command], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    for line in process.stderr:
        if line.startswith("draw"):
            process.send_signal(signal.SIGTERM)
            break
    said = process.stderr.read()
    assert process.wait() == 75 and "stopped by SIGTERM after" in said
    stopped = read_scan(tmp_path / "a").points[0]
    assert 0 < stopped.draws < 2000
    assert main(command) == 0
    (again,) = read_scan(tmp_path / "a").points
    np.testing.assert_array_equal(again.columns["loss"][: stopped.draws], stopped.columns["loss"])
    assert again.complete


def damage(directory, whole, draws) -> None:
    """Change one bit among the draws of the second point."""
    path, values = directory / "scan.h5", whole.points[1].columns["loss"][:draws].tobytes()
    data = bytearray(path.read_bytes())
    data[data.index(values) + 3] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("draws", [10, DRAWS])
def test_damaged_rows_are_drawn_again(whole, tmp_path, draws):
    scan(tmp_path / "damaged", *GRID, draws=draws)
    damage(tmp_path / "damaged", whole, draws)
    with pytest.warns(UserWarning, match=r"points/00001: damaged .*; it is drawn again"):
        again = scan(tmp_path / "damaged", *GRID)
    assert_same_bits(whole, again)
    assert status(tmp_path / "damaged")["status"] == "completed"


def test_a_damaged_point_that_the_grid_no_longer_has_is_left_without_draws(tmp_path, capsys):
    larger = ("circuit.n_qubits=2,3,4", "ansatz.layers=1,2")
    whole = scan(tmp_path / "whole", *larger)
    scan(tmp_path / "a", *larger)
    damage(tmp_path / "a", whole, DRAWS)
    with pytest.warns(UserWarning, match=r"points/00001: damaged"):
        smaller = scan(tmp_path / "a", "circuit.n_qubits=3,4", "ansatz.layers=1,2")
    assert [point.draws for point in smaller.points] == [DRAWS, 0, *[DRAWS] * 4]
    assert_same_bits(whole, scan(tmp_path / "a", *larger))
    capsys.readouterr()
    scan(tmp_path / "a", *larger)
    assert "nothing to do" in capsys.readouterr().out


def test_draws_are_paired_over_observables_and_independent_over_sizes(tmp_path):
    two = "engine.precision=complex64,complex128"
    found = scan(tmp_path / "a", "observable.terms=['Z0'],['X1']", two, "scan.quantities=[loss]")
    losses = [point.columns["loss"] for point in found.points]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-5)
    assert np.abs(losses[1] - losses[3]).max() > 0.1
    along = scan(tmp_path / "b", "observable.terms=['Z0']", "engine.precision=complex128", "scan.line=ansatz.0.rx.0",
                 "scan.resolution=3")  # fmt: skip
    np.testing.assert_array_equal(along.points[0].columns["value"][:, 1], losses[1])
    sizes = scan(tmp_path / "c", "observable.terms=['Z0']", "circuit.n_qubits=2,3", "ansatz.layers=1")
    first, second = (point.columns["loss"] for point in sizes.points)
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.6


def test_the_landscape_around_a_run_is_that_of_its_loss(tmp_path):
    run = complete(tmp_path)
    words = [f"scan.run={run}", f"run.dir={tmp_path / 'line'}", "run.progress=none", "engine=interpreter"]
    words += ["engine.precision=complex128", "scan.line=start", "scan.resolution=3", "scan.span=0.2"]
    assert session.scan(compose_grid(words), CommandContext(["qmltrain"], words)) == 0
    (point,) = read_scan(tmp_path / "line").points
    start = start_of_run(config_of(point.config), str(run), "scan.run", OF_COMMAND)
    direction_P = start.first_P - start.best_P
    direction_P /= np.linalg.norm(direction_P)
    data, rows = start.problem.data, start.problem.split.train
    evaluator = compile_model(start.config, start.problem.model).evaluator
    expected = [
        evaluator.gradient(start.best_P + along * direction_P, data.features(rows), data.labels(rows)).loss
        for along in (-0.2, 0.0, 0.2)
    ]
    np.testing.assert_allclose(point.columns["value"], [expected], atol=1e-12)
    np.testing.assert_array_equal(point.offsets, [-0.2, 0.0, 0.2])
    assert point.config["dataset.name"] == "make_moons"


@pytest.mark.parametrize("line", ["random", "gradient"])
def test_a_landscape_does_not_move_what_the_run_froze(tmp_path, line):
    """The loss is quadratic in what is trained: the weights of the fidelities."""
    model = {"head__name": "raw", "loss__name": "weighted_fidelity", "observable__qubits": [0]}
    run = complete(tmp_path, train__freeze=["ansatz", "encoding"], **model)
    words = [f"scan.run={run}", f"run.dir={tmp_path / 'line'}", "run.progress=none", "engine=interpreter"]
    words += ["engine.precision=complex128", f"scan.line={line}", "scan.resolution=9"]
    assert session.scan(compose_grid(words), CommandContext(["qmltrain"], words)) == 0
    (point,) = read_scan(tmp_path / "line").points
    values = point.columns["value"][0]
    fit = np.polyval(np.polyfit(point.offsets, values, 2), point.offsets)
    np.testing.assert_allclose(values, fit, atol=1e-10 * np.ptp(values))
