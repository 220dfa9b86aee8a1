"""Composed configs kept as bytes, about 30 kB each, so that nobody who changes one changes another."""

from __future__ import annotations

import io
import pickle
from typing import Any


class ConfigCopies:
    """Bytes of configs, and the classes that occur in them.

    Classes are put aside, not found by name when a config is made again: Hydra imports the modules of plugins twice.
    """

    def __init__(self) -> None:
        self._classes: dict[int, type] = {}

    def pack(self, config: Any) -> bytes:
        stream = io.BytesIO()
        _Pickler(stream, self._classes).dump(config)
        return stream.getvalue()

    def unpack(self, packed: bytes) -> Any:
        return _Unpickler(io.BytesIO(packed), self._classes).load()


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, classes: dict[int, type]) -> None:
        super().__init__(stream, pickle.HIGHEST_PROTOCOL)
        self.classes = classes

    def persistent_id(self, value: Any) -> int | None:
        if not isinstance(value, type):
            return None
        self.classes[id(value)] = value
        return id(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, classes: dict[int, type]) -> None:
        super().__init__(stream)
        self.classes = classes

    def persistent_load(self, key: int) -> type:
        return self.classes[key]
