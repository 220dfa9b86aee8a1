"""What a person sees of a training: lines in a log, a bar on a terminal."""

from __future__ import annotations

import io
import sys

import pytest

from qmltrain.training.progress import Bar, Lines, Silent, duration, figure, make_progress, short_duration


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """`clock[0]` is the time in seconds."""
    now = [1000.0]
    monkeypatch.setattr("qmltrain.training.progress.time.monotonic", lambda: now[0])
    return now


def test_the_first_the_last_and_one_line_every_so_many_seconds(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(total=1000, start=0, seconds=30.0, stream=stream)
    for step in range(1, 1001):
        clock[0] += 0.125
        lines.step(step, {"loss": 1 / step})
    written = stream.getvalue().splitlines()
    assert [int(line[4:9]) for line in written] == [1, 241, 481, 721, 961, 1000]
    assert written[1] == "step  241/1000  loss 0.0041  8 step/s  left 1:34 min"
    assert written[-1] == "step 1000/1000  loss 0.0010  8 step/s  left 0.0 s"


def test_the_rate_of_a_run_that_goes_on_counts_its_own_steps(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(total=1000, start=900, seconds=1.0, stream=stream)
    clock[0] += 0.0625
    lines.step(910, {})
    assert stream.getvalue() == "step  910/1000  160 step/s  left 0.6 s\n"


def test_the_time_left_follows_the_work_where_steps_do_not_cost_alike(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(total=200, start=0, seconds=1.0, stream=stream, unit="draw")
    clock[0] += 4.0
    lines.step(100, {}, 0.1, "n_qubits=2")
    clock[0] += 36.0
    lines.step(200, {}, 1.0, "n_qubits=9")
    assert stream.getvalue().splitlines() == [
        "draw 100/200  n_qubits=2  25 draw/s  left 36.0 s",
        "draw 200/200  n_qubits=9  5 draw/s  left 0.0 s",
    ]


def test_texts_that_wait_are_shown_before_the_next_line(clock: list[float]) -> None:
    stream = io.StringIO()
    lines = Lines(total=10, start=0, seconds=1.0, stream=stream)
    lines.later("epoch 1")
    lines.later("epoch 2")
    assert not stream.getvalue()
    lines.step(1, {})
    assert stream.getvalue().splitlines()[:2] == ["epoch 1", "epoch 2"] and "step" in stream.getvalue()
    lines.later("epoch 3")
    lines.flush()
    lines.later("epoch 4")
    lines.close()
    assert stream.getvalue().splitlines()[3:] == ["epoch 3", "epoch 4"]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0.0000"), (0.345, "0.3450"), (-12.5, "-12.5000"), (3.2e-5, "3.200e-05"), (1e6, "1.000e+06")],
)
def test_figures_stand_in_columns_where_they_can(value: float, text: str) -> None:
    assert figure(value) == text
    assert figure(float("nan")) == "nan"


def test_durations() -> None:
    assert [duration(s) for s in (0.04, 59.9, 60, 245.7, 3600, 11565)] == [
        "0.0 s", "59.9 s", "1:00 min", "4:05 min", "1:00:00 h", "3:12:45 h",
    ]  # fmt: skip


def test_a_bar_on_a_terminal_and_lines_in_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    bar = make_progress("auto", 10, 4, 1.0)
    assert isinstance(bar, Bar)
    bar.step(10, {"loss": 0.25})
    bar.message("epoch 1/1")
    bar.close()
    assert (
        "10/10" in terminal.getvalue() and "loss=0.2500" in terminal.getvalue() and "epoch 1/1\n" in terminal.getvalue()
    )
    terminal.truncate(0)
    bar = make_progress("bar", 10, 0, 1.0, "draw")
    bar.step(10, {}, 1.0, "n_qubits=2")
    bar.close()
    assert (
        "n_qubits=2" in terminal.getvalue() and "10/10" in terminal.getvalue() and "left=0.0 s" in terminal.getvalue()
    )
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert isinstance(make_progress("auto", 10, 0, 1.0), Lines)
    assert isinstance(make_progress("none", 10, 0, 1.0), Silent)
    monkeypatch.setattr(sys, "stderr", None)
    assert isinstance(make_progress("auto", 10, 0, 1.0), Lines)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 us"), (2.5e-6, "2.5 us"), (1e-3, "1 ms"), (0.0999, "99.9 ms"), (18.53, "18.5 s"), (75, "1:15 min")],
)
def test_times_of_three_digits(seconds: float, text: str) -> None:
    assert short_duration(seconds) == text
