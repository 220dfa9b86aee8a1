"""`--config-dir`: a user's folder of configs, whose files are read as they were meant.

YAML 1.1, which Hydra reads, takes 0010 for 8, 1:30 for 90 and yes for true. Where an option takes text, or the digits
say something else than the number, the text of the file is kept. An experiment is for the whole config, with or without
the line `# @package _global_`, wherever it stands among the first comments.
"""

from __future__ import annotations

import io
import re
from functools import cache
from pathlib import Path
from typing import Any

from qmltrain.cli.file_mistakes import check_file
from qmltrain.cli.override_words import LISTS_OF_ANYTHING, LISTS_OF_TEXT, TEXTS, is_plain_integer
from qmltrain.config.reference import option_type, takes_null
from qmltrain.errors import InputError
from qmltrain.shipped_files import configs_directory
from qmltrain.wording import one_line

SCHEME = "user"
_PACKAGE = re.compile(r"#\s*@package\s+(\S+)\s*")
_ODD_INTEGER = re.compile(r"[-+]?0[0-9_]+|.*:.*")  # octal and base 60


def search_path(config_directory: str | None) -> list[str]:
    """The override that adds a user's folder of configs.

    Raises InputError: not a folder, or a file in it that would be hidden by one of ours.
    """
    if config_directory is None:
        return []
    folder, ours = Path(config_directory).absolute(), configs_directory()
    if not folder.is_dir():
        raise InputError(f"--config-dir: {config_directory!r} is not a folder")
    for path in sorted(folder.rglob("*.yaml")):
        name = path.relative_to(folder)
        if (ours / name).is_file():
            raise InputError(f"--config-dir: {path}: {name} ships with qmltrain already; give yours another name")
    _register_source()
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['{SCHEME}://{quoted}']"]


@cache
def _register_source() -> None:
    """Tell Hydra how files of a user's folder are read. Launchers take its registry over into their processes."""
    from hydra._internal.core_plugins.file_config_source import FileConfigSource
    from hydra._internal.sources_registry import SourcesRegistry
    from hydra.plugins.config_source import ConfigLoadError, ConfigResult

    class UserConfigSource(FileConfigSource):
        @staticmethod
        def scheme() -> str:
            return SCHEME

        def load_config(self, config_path: str) -> ConfigResult:
            path = Path(self.path, self._normalize_file_name(config_path))
            if not path.is_file():
                raise ConfigLoadError(f"Config not found : {path}")
            package, config = read_user_config(path, config_path.strip("/").rpartition("/")[0])
            return ConfigResult(provider=self.provider, path=str(path), config=config, header={"package": package})

    SourcesRegistry.instance().register(UserConfigSource)


def read_user_config(path: Path, group: str) -> tuple[str | None, Any]:
    """The package that `path`, an entry of `group`, names (null: its group) and its content for OmegaConf.

    Raises InputError that names the file: not UTF-8, not YAML, options written as `group.option`.
    """
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"--config-dir: {path}: is not UTF-8 text (byte {error.start}); save it as such") from error
    package = _package(text)
    if package is None and group == "experiment":
        package = "_global_"
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        prefix = "" if package == "_global_" else f"{re.split('[./]', package or group)[0]}."
        check_file(node, prefix, path)
        config = OmegaConf.load(io.StringIO(text))
    except (yaml.YAMLError, OmegaConfBaseException, OSError, RecursionError, ValueError) as error:
        raise InputError(f"--config-dir: {path}: {one_line(error)}") from error
    if OmegaConf.is_dict(config) and node is not None:
        plain = OmegaConf.to_container(config)
        _keep_text(plain, node, prefix, f"--config-dir: {path}")
        config = OmegaConf.create(plain)
    return package, config


def _package(text: str) -> str | None:
    """What the comments at the head of a file name as its package."""
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            break
        if (found := _PACKAGE.fullmatch(line.strip())) is not None:
            return found[1]
    return None


def _keep_text(values: Any, node: Any, prefix: str, place: str) -> None:
    """Put the text of the file (`node`, its YAML) in the place of what YAML made something else of in `values`."""
    for key_node, value_node in node.value:
        key = key_node.value
        full = f"{prefix}{key}"
        kind = option_type(full)
        if key not in values:  # `<<`, or a key that is no text
            continue
        if isinstance(values[key], dict):
            if not prefix:
                _keep_text(values[key], value_node, f"{full}.", place)
        elif isinstance(values[key], list):
            others = {LISTS_OF_TEXT: (bool, int, float), LISTS_OF_ANYTHING: (bool,)}.get(str(kind), ())
            for index, item in enumerate(value_node.value):
                plain = kind != LISTS_OF_ANYTHING or is_plain_integer(str(item.value))
                if _is_misread(values[key][index], item, others if plain else (bool, int)):
                    values[key][index] = item.value
        else:
            if kind is not None and values[key] == "None" and value_node.style is None and takes_null(full):
                raise InputError(f"{place}: {full}: found None; nothing is written null (the text: 'None', in quotes)")
            if _is_misread(values[key], value_node, (bool, int, float) if kind in TEXTS else ()):
                values[key] = value_node.value


def _is_misread(value: Any, node: Any, others: tuple[type, ...]) -> bool:
    """Whether the scalar `node` has become a `value` of one of `others`, or an integer that its digits do not say."""
    if node.id != "scalar" or node.style is not None or isinstance(value, str) or value is None:
        return False
    return isinstance(value, others) or (isinstance(value, int) and _ODD_INTEGER.fullmatch(node.value) is not None)
