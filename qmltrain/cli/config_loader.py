"""Hydra's loader of configs, which composes each choice of groups once in a process.

Composing reads some thirty files and merges them, a third of a second; options are set in what comes of it within a
few milliseconds. The points of a sweep or of a grid that differ in options alone share what Hydra composed.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from hydra._internal.config_loader_impl import ConfigLoaderImpl, get_overrides_dirname
from hydra.core.config_search_path import ConfigSearchPath
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import ConfigCompositionException
from hydra.types import RunMode
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from qmltrain.cli.config_copies import ConfigCopies
from qmltrain.config.schema import GROUPS
from qmltrain.shipped_files import configs_directory

MOST_KEPT = 256  # configs, of about 30 kB
_INTERPOLATED = re.compile(r"^(\s*-|\s*defaults\s*:).*\$\{", re.MULTILINE)

_FileStates = list[tuple[str, int, int, int]]


class _Composed(NamedTuple):
    packed: bytes
    states: _FileStates  # of the files that it was composed from


_copies = ConfigCopies()
_kept: dict[tuple[str | None, type, frozenset[str], tuple[str, ...]], _Composed] = {}  # the last: of the choices


class ConfigLoader(ConfigLoaderImpl):
    """Gives what Hydra's own loader gives, with the same errors. Files that have changed are read again.

    `schema` is the type of the config that Hydra's store has.
    """

    def __init__(self, search_path: ConfigSearchPath, schema: type) -> None:
        super().__init__(search_path)
        self._schema = schema

    def load_configuration(
        self,
        config_name: str | None,
        overrides: list[str],
        run_mode: RunMode,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
    ) -> DictConfig:
        """What `overrides` make of `config_name`. Raises ConfigCompositionException."""
        parsed = OverridesParser.create().parse_overrides(overrides)
        if run_mode != RunMode.RUN or any(override.is_sweep_override() for override in parsed):
            return super().load_configuration(config_name, overrides, run_mode, from_shell, validate_sweep_overrides)
        choices = [override for override in parsed if not _sets_an_option(override)]
        config = self._composed(config_name, choices)
        try:
            self._apply_overrides_to_config([override for override in parsed if _sets_an_option(override)], config)
        except OmegaConfBaseException as error:  # as Hydra does
            raise ConfigCompositionException().with_traceback(sys.exc_info()[2]) from error
        own = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in own]
        config.hydra.runtime.cwd = os.getcwd()
        how = config.hydra.job.config.override_dirname
        config.hydra.job.override_dirname = get_overrides_dirname(
            overrides=own, kv_sep=how.kv_sep, item_sep=how.item_sep, exclude_keys=how.exclude_keys
        )
        return config

    def _composed(self, config_name: str | None, choices: list[Override]) -> DictConfig:
        """What `choices` make of `config_name`, by Hydra or as it was composed from the same files before."""
        lines = [str(override.input_line) for override in choices]
        folders = self._folders(choices)
        key = (config_name, self._schema, folders, tuple(lines))
        states = _file_states(folders)  # before the files are read
        kept = _kept.get(key)
        if kept is not None and kept.states == states:
            found: DictConfig = _copies.unpack(kept.packed)
            return found
        config = super().load_configuration(config_name, lines, RunMode.RUN)
        read = {
            source.path for source in config.hydra.runtime.config_sources if source.schema not in ("pkg", "structured")
        }
        if read <= folders and not config.hydra.job.env_copy and not _may_choose_otherwise(lines, states):
            if len(_kept) == MOST_KEPT:
                _kept.clear()
            _kept[key] = _Composed(_copies.pack(config), states)
        return config

    def _folders(self, choices: list[Override]) -> frozenset[str]:
        """Where configs are looked for: the folders of the loader, and those of the search path in `choices`."""
        found = [source.path for source in self.get_sources() if source.scheme() not in ("pkg", "structured")]
        for override in choices:
            if override.key_or_group == "hydra.searchpath" and isinstance(override.value(), list):
                found += [str(path).partition("://")[2] or str(path) for path in override.value()]  # type: ignore[union-attr]
        return frozenset(found)


def _sets_an_option(override: Override) -> bool:
    """Whether `override` is of an option of ours: what is set in a composed config, and changes no choice of files."""
    group, dot, _ = override.key_or_group.partition(".")
    return bool(dot) and group in GROUPS and override.package is None


def _may_choose_otherwise(lines: list[str], states: _FileStates) -> bool:
    """Whether the same words and files may be another config next time: a choice made of ``${oc.env:...}`` or the like.

    Ours make none; in files of a user a line of a list, or of defaults, with an interpolation is taken for one.
    """
    ours = str(configs_directory())
    texts = (Path(path).read_text("utf-8", errors="replace") for path, *_ in states if not path.startswith(ours))
    return any("${" in line for line in lines) or any(_INTERPOLATED.search(text) for text in texts)


def _file_states(folders: Iterable[str]) -> _FileStates:
    """Of every file in `folders`: path, inode, bytes and time of the last change."""
    found = []
    for folder in sorted(folders):
        for directory, _, names in os.walk(folder):
            for name in names:
                path = os.path.join(directory, name)
                try:
                    state = os.stat(path)
                except OSError:  # a link to nowhere
                    continue
                found.append((path, state.st_ino, state.st_size, state.st_mtime_ns))
    return sorted(found)
