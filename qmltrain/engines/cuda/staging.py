"""Inputs to the device while kernels run: host -> pinned memory -> device, double buffered.

Two stages, each with pinned memory on the host and memory on the device, are used alternately. For a stage

    host fills pinned      not before the stage's last copy has left it      (host waits for `copied`; two chunks old)
    copy stream copies     not before kernels have read what was there       (copy stream waits for `free`)
    kernels read           not before the copy is complete                   (compute stream waits for `copied`)

so that the copy of chunk k + 1 runs beside the kernels of chunk k, and the host is never more than two chunks ahead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qmltrain.engines.cuda.device import Buffer, Device, Event, Pinned, View
from qmltrain.engines.cuda.geometry import blocks

_ALIGNMENT = 256  # bytes


@dataclass
class _Stage:
    pinned: Pinned
    buffer: Buffer
    free: Event  # kernels are done with what was in `buffer`
    copied: Event | None = None


@dataclass(frozen=True)
class Staged:
    """The arrays of one chunk on the device, in order; `stage` 0 or 1."""

    views: tuple[View, ...]
    stage: int


class Staging:
    """See the module's text."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._stages: list[_Stage | None] = [None, None]
        self._next = 0

    def stage(self, arrays: Sequence[tuple[NDArray, DTypeLike]]) -> Staged:
        """Queue a copy of (array, type on the device); what is launched from now on may read the views."""
        offsets, end = [], 0
        for array, dtype in arrays:
            offsets.append(end)
            end += staged_bytes(array.size * np.dtype(dtype).itemsize)
        number, self._next = self._next, 1 - self._next
        stage = self._stages[number]
        if stage is not None and stage.copied is not None and not stage.copied.done:
            stage.copied.synchronize()  # flow control: this copy is two chunks old
        if stage is None or stage.buffer.n_bytes < end:
            size = max(end, _ALIGNMENT)
            buffer = self.device.allocate(size)  # memory that kernels queued so far may still be using
            stage = self._stages[number] = _Stage(self.device.pinned(size), buffer, self.device.record())
        for (array, dtype), offset in zip(arrays, offsets, strict=True):
            if array.size:
                np.ndarray(array.shape, dtype, stage.pinned.array, offset)[...] = array
        stage.copied = self.device.send(stage.buffer, stage.pinned, end, stage.free)
        self.device.wait(stage.copied)
        return Staged(tuple(View(stage.buffer, offset) for offset in offsets), number)

    def release(self, staged: Staged) -> None:
        """Everything that reads `staged` has been queued."""
        stage = self._stages[staged.stage]
        assert stage is not None
        stage.free = self.device.record()


def staged_bytes(n_bytes: int) -> int:
    """What an array takes up in a stage."""
    return blocks(n_bytes, _ALIGNMENT) * _ALIGNMENT
