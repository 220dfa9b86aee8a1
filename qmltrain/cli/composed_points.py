"""The points of a sweep, composed once: Hydra composes each before the sweep begins, to find mistakes early, and again
when its turn comes.

What is kept also makes all points those of the config files as they were when the sweep began.
"""

from __future__ import annotations

from typing import Any

from qmltrain.cli.config_copies import ConfigCopies


class ComposedPoints:
    """In the place of Hydra's ConfigLoader: what it composes for a point the first time is the answer to the second
    request, the third is composed anew.

    Launchers that send the loader to other processes send it empty.
    """

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._kept: dict[tuple[str, ...], bytes] = {}
        self._copies = ConfigCopies()

    def load_sweep_config(self, master_config: Any, sweep_overrides: list[str]) -> Any:
        """The config of the point `sweep_overrides` of a sweep, as Hydra's own method gives it."""
        from omegaconf import OmegaConf

        point = tuple(sweep_overrides)
        kept = self._kept.pop(point, None)
        if kept is None:
            config = self._loader.load_sweep_config(master_config, sweep_overrides)
            self._kept[point] = self._copies.pack(config)
        else:
            config = self._copies.unpack(kept)
            OmegaConf.copy_cache(from_config=master_config, to_config=config)  # ${now:...}, the same in all points
        return config

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return ComposedPoints, (self._loader,)
