"""The points of a sweep, composed once: Hydra composes each before the sweep begins, to find mistakes early, and again
when its turn comes, for which a point waits longer than for all else.

What is kept also makes all points those of the config files as they were when the sweep began.
"""

from __future__ import annotations

import io
import pickle
from typing import Any


class ComposedPoints:
    """In the place of Hydra's ConfigLoader: what it composes for a point the first time is the answer to the second
    request, the third is composed anew.

    A point is kept as bytes, about 30 kB, so that nobody who changes one config changes another. Launchers that send
    the loader to other processes send it empty.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._kept: dict[tuple[str, ...], bytes] = {}
        self._classes: dict[int, type] = {}

    def load_sweep_config(self, master_config: Any, sweep_overrides: list[str]) -> Any:
        """The config of the point `sweep_overrides` of a sweep, as Hydra's own method gives it."""
        from omegaconf import OmegaConf

        point = tuple(sweep_overrides)
        kept = self._kept.pop(point, None)
        if kept is None:
            config = self._loader.load_sweep_config(master_config, sweep_overrides)
            stream = io.BytesIO()
            _Pickler(stream, self._classes).dump(config)
            self._kept[point] = stream.getvalue()
        else:
            config = _Unpickler(io.BytesIO(kept), self._classes).load()
            OmegaConf.copy_cache(from_config=master_config, to_config=config)  # ${now:...}, the same in all points
        return config

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return ComposedPoints, (self._loader,)


class _Pickler(pickle.Pickler):
    """Classes are put aside in `classes`, not found by name: Hydra imports the modules of plugins twice."""

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
