"""From overrides to a Config, by Hydra; what Hydra and OmegaConf report becomes the one line that a user sees."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qmltrain.cli.scalars import check_files, check_words
from qmltrain.config.reference import allowed_values, known_keys, nearest_key
from qmltrain.config.schema import GROUPS, Config
from qmltrain.config.validation import validate
from qmltrain.errors import InputError
from qmltrain.shipped_files import configs_directory

CONFIG_NAME = "config"
SCHEMA_NAME = "qmltrain_schema"


def compose_config(overrides: list[str], config_directory: str | None = None) -> Config | None:
    """The validated config that `overrides` make; None where a config asks for a sweep (`hydra.mode: MULTIRUN`).

    Raises InputError in one line that names the key.
    """
    with config_errors(overrides), hydra_session():
        from hydra import compose
        from hydra.types import RunMode

        check_words(overrides)
        composed = compose(CONFIG_NAME, [*overrides, *search_path(config_directory)], return_hydra_config=True)
        if composed.hydra.mode == RunMode.MULTIRUN:
            return None
        check_files(composed.hydra.runtime.choices, config_directory)
        return as_config(composed)


def composed_yaml(overrides: list[str], show: str, config_directory: str | None = None) -> str:
    """The composed config as YAML: `show` is job (ours), hydra or all."""
    with config_errors(overrides), hydra_session():
        from hydra import compose
        from omegaconf import OmegaConf, open_dict

        composed = compose(
            CONFIG_NAME, overrides=[*overrides, *search_path(config_directory)], return_hydra_config=show != "job"
        )
        if show in ("job", "all"):
            as_config(composed)
        if show == "hydra":
            with open_dict(composed):
                for group in GROUPS:
                    del composed[group]
        return str(OmegaConf.to_yaml(composed, resolve=show == "job"))


def as_config(composed: Any) -> Config:
    """Hydra's composed node as a validated Config; keys added with `+` are refused like misspelled ones."""
    from omegaconf import OmegaConf

    plain: dict[str, Any] = {}
    for group in composed:
        if group == "hydra":
            continue
        node = composed[group]
        for key in [f"{group}.{name}" for name in node] if OmegaConf.is_dict(node) else [group]:
            if not _is_known(key):
                raise InputError(_unknown(key))
        plain[group] = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
    config = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Config), plain))
    assert isinstance(config, Config)
    return validate(config)


@contextmanager
def hydra_session() -> Iterator[None]:
    """Hydra with our configs and schema, and without its argument parser, log files and working directories."""
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra

    ConfigStore.instance().store(name=SCHEMA_NAME, node=Config)
    GlobalHydra.instance().clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hydra 1.4 warns of version_base, which Hydra 1.3 asks for
        session = initialize_config_dir(config_dir=str(configs_directory()), job_name="qmltrain", version_base="1.3")
    with session:
        yield


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
        _check_group_file(path)
    quoted = str(folder).replace("\\", "\\\\").replace("'", "\\'")
    return [f"hydra.searchpath=['file://{quoted}']"]


def _check_group_file(path: Path) -> None:
    """Raise InputError where Hydra would not say which file is wrong, or what is missing in it."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"--config-dir: {path}: is not UTF-8 text (byte {error.start}); save it as such") from error
    if path.parent.name == "experiment" and not re.search(r"^#\s*@package\s+_global_\s*$", text, re.MULTILINE):
        raise InputError(f"--config-dir: {path}: an experiment begins with the line '# @package _global_'; add it")


@contextmanager
def config_errors(overrides: list[str]) -> Iterator[None]:
    """Whatever Hydra, OmegaConf or YAML raise inside becomes an InputError in one line."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, TypeError) as error:
        raise InputError(_explain(error, overrides)) from error


def _explain(error: Exception, overrides: list[str]) -> str:
    """One line: the key, what was found, what is allowed, as far as the exception tells."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError

    if isinstance(error, OverrideParseException):
        detail = error.message.splitlines()[0].removeprefix("LexerNoViableAltException: ")
        detail = "it holds a special character" if detail == error.override else detail
        return f"{error.override}: not understood ({detail}); write key=value, and put special characters in quotes"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, entry = error.missing_cfg_file.rpartition("/")
        if error.options:
            return f"{group.lstrip('/')}: found {entry!r}; allowed: {', '.join(sorted(error.options))}"
    for override in overrides:
        key, value = _key(override), override.partition("=")[2]
        if not key:
            return f"{override}: found no key before the '='; write key=value"
        if not _is_known(key):
            return _unknown(key)
        if override.startswith("~") and "." in key:
            return f"{override}: an option cannot be taken away; leave the word out to keep its default"
        if "Config group override must be a string" in str(error) and _is_group(key) and not _is_entry(value):
            entries = ", ".join(sorted(path.stem for path in (configs_directory() / key).glob("*.yaml")))
            return f"{key}: found {value!r}; allowed: {entries}"
        if f"Ambiguous value for argument '{override}'" in str(error):
            return f"{key}: found {value!r}, several values; add -m to sweep over them, or write a list as [{value}]"
        if override.startswith("+") and "Multiple values for" in str(error):
            return f"{override}: already chosen; write {key}={value}, without +"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            reason = (cause.msg or str(cause)).splitlines()[0]
            if isinstance(cause, ConfigKeyError) and not _is_known(cause.full_key):
                return _unknown(cause.full_key)
            allowed = allowed_values(re.sub(r"\[.*", "", cause.full_key))
            given = _given(cause.full_key, overrides)
            if allowed is not None and given is not None and isinstance(cause, ValidationError):
                return f"{cause.full_key}: found {given!r}; allowed: {allowed}"
            return f"{cause.full_key}: {reason}" + (f"; allowed: {allowed}" if allowed else "")
        cause = cause.__cause__ or cause.__context__
    return "config: " + " ".join(str(error).partition("Config search path")[0].split())


def _key(override: str) -> str:
    return override.partition("=")[0].lstrip("+~").partition("@")[0].partition(":")[0]


def _is_known(key: str) -> bool:
    head = re.split(r"[./\[]", key)[0]
    if head == "hydra" or _is_group(key):
        return True
    return any(key == full or key.startswith(f"{full}[") for full in known_keys())


def _is_group(key: str) -> bool:
    return key in GROUPS or key == "experiment"


def _is_entry(value: str) -> bool:
    """Whether Hydra reads `value` as text, which the name of an entry must be."""
    return re.fullmatch(r"(?i)null|true|false|nan|inf|[-+]?[\d.].*", value) is None


def _unknown(key: str) -> str:
    near = nearest_key(key)
    group = key.partition(".")[0]
    if near is not None and near != key:
        return f"{key}: unknown key; did you mean {near}?"
    if group in GROUPS and "." in key:
        names = [full.partition(".")[2] for full in known_keys() if full.startswith(f"{group}.")]
        return f"{key}: unknown key; allowed in {group}: {', '.join(names)}"
    return f"{key}: unknown key; allowed groups: {', '.join((*GROUPS, 'experiment'))}"


def _given(key: str, overrides: list[str]) -> str | None:
    """What the command line set `key` to, the last time if more than once; None where it did not."""
    return next((override.partition("=")[2] for override in reversed(overrides) if _key(override) == key), None)
