"""Signals that ask a run to stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from qmltrain.cluster.signals import EXIT_SECOND_INTERRUPT, SCHEDULER_SIGNALS, STOP_SIGNALS, StopRequest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _handlers_as_before() -> Any:
    before = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in STOP_SIGNALS} == before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_signal_is_remembered_and_nothing_else_happens(number: signal.Signals) -> None:
    with StopRequest() as stop:
        assert stop.requested is None
        signal.raise_signal(number)
        assert stop.requested == number.name
        if number != signal.SIGINT:
            signal.raise_signal(number)
        signal.raise_signal(signal.SIGTERM)
        assert stop.requested == number.name  # the first
    with stop:
        assert stop.requested is None  # entered anew


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_earlier_handlers_are_called_and_come_back(number: signal.Signals) -> None:
    calls: list[tuple[int, str | None]] = []

    def earlier(received: int, frame: FrameType | None) -> None:
        calls.append((received, stop.requested))

    before = signal.signal(number, earlier)
    try:
        stop = StopRequest()
        with pytest.raises(ZeroDivisionError), stop:
            signal.raise_signal(number)
            assert calls == [(number, number.name)]  # after the flag is set
            _ = 1 / 0
        assert signal.getsignal(number) is earlier
    finally:
        signal.signal(number, before)


def test_interrupts_that_were_ignored_stay_ignored_and_others_do_not() -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGUSR1)}
    try:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # nohup
        with StopRequest() as stop:
            for number in (signal.SIGINT, signal.SIGINT, signal.SIGHUP):
                signal.raise_signal(number)
            assert stop.requested is None
            signal.raise_signal(signal.SIGUSR1)
            assert stop.requested == "SIGUSR1"
        assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_another_thread_cannot_listen() -> None:
    errors: list[BaseException] = []

    def enter() -> None:
        try:
            with StopRequest():
                pass
        except ValueError as error:
            errors.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert len(errors) == 1


PROGRAM = """
import atexit, os, signal, sys, time
from qmltrain.cluster.signals import StopRequest
atexit.register(print, "atexit", flush=True)
with StopRequest() as stop:
    print("ready", flush=True)
    while stop.requested is None:
        time.sleep(0.01)
    print(stop.requested, flush=True)
    if sys.argv[1] == "slow":
        time.sleep(60)
sys.exit(75)
"""


def start(program: str, *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *arguments],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


@pytest.mark.parametrize("number", STOP_SIGNALS)
def test_a_process_stops_in_its_own_time(number: signal.Signals) -> None:
    process = start(PROGRAM, "quick")
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (75, f"{number.name}\natexit\n")
    assert ("Ctrl-C again" in err) == (number == signal.SIGINT)


def test_a_second_interrupt_leaves_at_once() -> None:
    process = start(PROGRAM, "slow")
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None and process.stdout.readline() == "SIGINT\n"
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert (process.returncode, out) == (EXIT_SECOND_INTERRUPT, "")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2])
def test_a_forked_child_is_as_if_there_were_no_request(number: signal.Signals) -> None:
    """A child that swallowed TERM could not be stopped by its parent."""
    with StopRequest() as stop:
        child = os.fork()
        if child == 0:
            try:
                signal.raise_signal(number)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number
        assert stop.requested is None


def test_what_an_outer_request_heard_counts_for_one_that_is_entered_later() -> None:
    with StopRequest(SCHEDULER_SIGNALS) as outer:
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler  # left to the keyboard
        with StopRequest() as inner:
            assert inner.requested is None
        signal.raise_signal(signal.SIGUSR1)
        with StopRequest() as inner:
            assert inner.requested == outer.requested == "SIGUSR1"
            signal.raise_signal(signal.SIGTERM)
            assert inner.requested == outer.requested == "SIGUSR1"
    with StopRequest() as later:
        assert later.requested is None


def test_a_signal_that_only_the_inner_request_could_act_on_reaches_the_outer_as_well() -> None:
    with StopRequest(SCHEDULER_SIGNALS) as outer:
        with StopRequest():
            signal.raise_signal(signal.SIGTERM)
        assert outer.requested == "SIGTERM"  # so that the next point of a sweep does not begin


ENDED = """
import os, signal, sys, types
sys.modules["qmltrain.cli"] = types.SimpleNamespace(main=lambda: 3)
from qmltrain.__main__ import main
code = main()
os.kill(os.getpid(), signal.SIGTERM)
sys.exit(code)
"""


def test_a_signal_while_python_ends_changes_no_exit_code() -> None:
    assert subprocess.run([sys.executable, "-c", ENDED]).returncode == 3
