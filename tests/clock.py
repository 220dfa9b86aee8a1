"""The clock by which a training measures its epochs, as a test wants it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from qmltrain.training import trainer


class Clock:
    """Stands in for the module `time`."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self.monotonic = monotonic


def stop_the_clock(patch: pytest.MonkeyPatch) -> None:
    set_the_clock(patch, lambda: 0.0)


def set_the_clock(patch: pytest.MonkeyPatch, monotonic: Callable[[], float]) -> None:
    patch.setattr(trainer, "time", Clock(monotonic))
