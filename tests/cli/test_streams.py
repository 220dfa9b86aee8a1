"""Output to a reader or a terminal that is gone; whole commands are in test_command.py."""

from __future__ import annotations

import os
import signal

import pytest

from qmltrain.cli.streams import _LastingOutput


def test_a_pipe_whose_reader_is_gone_swallows():
    reader, writer = os.pipe()
    output = _LastingOutput(writer)
    assert output.write(b"heard") == 5 and os.read(reader, 9) == b"heard"
    os.close(reader)
    before = signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    try:
        assert output.write(b"lost") == 4 and output.write(b"again") == 5
    finally:
        signal.signal(signal.SIGPIPE, before)
        os.close(writer)


def test_a_terminal_that_is_closed_swallows():
    outside, inside = os.openpty()
    output = _LastingOutput(inside)
    assert output.isatty() and output.write(b"seen") == 4
    os.close(outside)
    assert output.write(b"lost") == 4 and not output.isatty()
    os.close(inside)


def test_a_full_disk_is_told_once():
    full = os.open("/dev/full", os.O_WRONLY)
    output = _LastingOutput(full)
    with pytest.raises(OSError, match="No space left on device: 'standard output'"):
        output.write(b"x")
    assert output.write(b"what Python flushes at its end") == 30
    os.close(full)


def test_a_full_disk_under_a_log_swallows():
    full = os.open("/dev/full", os.O_WRONLY)
    assert _LastingOutput(full, is_log=True).write(b"x") == 1
    os.close(full)
