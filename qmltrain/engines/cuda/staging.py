"""Inputs to the device while kernels run: host -> pinned memory -> device, double buffered.

Two places, each with pinned memory on the host and memory on the device, are used in turn. For a place

    host fills pinned      not before the place's last copy has left it      (host waits for `copied`; two chunks old)
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
class _Place:
    pinned: Pinned
    buffer: Buffer
    free: Event  # kernels are done with what was in `buffer`
    copied: Event | None = None


@dataclass(frozen=True)
class Staged:
    """The arrays of one chunk on the device, in order; `place` 0 or 1."""

    views: tuple[View, ...]
    place: int


class Staging:
    """See the module's text."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self._places: list[_Place | None] = [None, None]
        self._next = 0

    def stage(self, arrays: Sequence[tuple[NDArray, DTypeLike]]) -> Staged:
        """Queue a copy of (array, type on the device); what is launched from now on may read the views."""
        offsets, end = [], 0
        for array, dtype in arrays:
            offsets.append(end)
            end += staged_bytes(array.size * np.dtype(dtype).itemsize)
        number, self._next = self._next, 1 - self._next
        place = self._places[number]
        if place is not None and place.copied is not None and not place.copied.done:
            place.copied.synchronize()  # flow control: this copy is two chunks old
        if place is None or place.buffer.n_bytes < end:
            size = max(end, _ALIGNMENT)
            buffer = self.device.allocate(size)  # memory that kernels queued so far may still be using
            place = self._places[number] = _Place(self.device.pinned(size), buffer, self.device.record())
        for (array, dtype), offset in zip(arrays, offsets, strict=True):
            if array.size:
                np.ndarray(array.shape, dtype, place.pinned.array, offset)[...] = array
        place.copied = self.device.send(place.buffer, place.pinned, end, place.free)
        self.device.wait(place.copied)
        return Staged(tuple(View(place.buffer, offset) for offset in offsets), number)

    def release(self, staged: Staged) -> None:
        """Everything that reads `staged` has been queued."""
        place = self._places[staged.place]
        assert place is not None
        place.free = self.device.record()


def staged_bytes(n_bytes: int) -> int:
    """What an array takes up in a place."""
    return blocks(n_bytes, _ALIGNMENT) * _ALIGNMENT
