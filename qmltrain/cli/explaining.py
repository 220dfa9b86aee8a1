"""What Hydra, OmegaConf and YAML report, as the one line that a user sees."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from qmltrain.cli.override_words import key_of, no_entry
from qmltrain.config.reference import allowed_values, is_known, unknown_key
from qmltrain.errors import InputError
from qmltrain.wording import shortened, shown

# entries of Hydra's own groups -> the package that brings them
_PLUGINS = {
    "optuna": "hydra-optuna-sweeper",
    "ax": "hydra-ax-sweeper",
    "nevergrad": "hydra-nevergrad-sweeper",
    "submitit_slurm": "hydra-submitit-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "joblib": "hydra-joblib-launcher",
    "ray": "hydra-ray-launcher",
    "rq": "hydra-rq-launcher",
    "colorlog": "hydra-colorlog",
}


@contextmanager
def config_errors(overrides: list[str]) -> Iterator[None]:
    """Whatever Hydra, OmegaConf or YAML raise inside becomes an InputError in one line."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError

    try:
        yield
    except (HydraException, OmegaConfBaseException, YAMLError, ValueError, TypeError, RecursionError) as error:
        raise InputError(_explain(error, overrides)) from error
    except (AttributeError, AssertionError, LookupError, RuntimeError) as error:
        if not _comes_from_hydra(error):
            raise
        raise InputError(_explain(error, overrides)) from error


def _comes_from_hydra(error: Exception) -> bool:
    """Whether it was raised in Hydra, one of its plugins or OmegaConf, for which only a word of the user can be why."""
    frames = list(traceback.walk_tb(error.__traceback__))
    packages = {frame.f_globals.get("__name__", "").partition(".")[0] for frame, _ in frames[-1:]}
    return bool(packages & {"hydra", "hydra_plugins", "omegaconf", "antlr4", "optuna"})


def _explain(error: Exception, overrides: list[str]) -> str:
    """One line: the key, what was found, what is allowed, as far as the exception tells."""
    from hydra.errors import MissingConfigException, OverrideParseException
    from omegaconf.errors import ConfigKeyError, OmegaConfBaseException, ValidationError

    if isinstance(error, OverrideParseException):  # of a sweep's file: words are looked at before
        return f"{shortened(error.override)}: not understood; put special characters in quotes, as key='a=b'"
    if isinstance(error, MissingConfigException) and error.missing_cfg_file:
        group, _, entry = error.missing_cfg_file.rpartition("/")
        if (plugin := _PLUGINS.get(entry)) is not None and group.lstrip("/").startswith("hydra/"):
            return f"{group.lstrip('/')}: found {entry!r}, which is not installed; pip install {plugin}"
        if error.options:
            return no_entry(group.lstrip("/"), entry, sorted(error.options))
    for override in overrides:
        key, value = key_of(override), override.partition("=")[2]
        if override.startswith("~") and "." in key and not key.startswith("hydra"):
            return f"{override}: an option cannot be taken away; leave the word out to keep its default"
        if override.startswith("+") and "Multiple values for" in str(error):
            return f"{override}: already chosen; write {key}={value}, without +"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OmegaConfBaseException) and cause.full_key:
            reason = (cause.msg or str(cause)).splitlines()[0]
            if isinstance(cause, ConfigKeyError) and not is_known(cause.full_key):
                return unknown_key(cause.full_key)
            allowed = allowed_values(re.sub(r"\[.*", "", cause.full_key))
            given = _given(cause.full_key, overrides)
            if allowed is not None and given is not None and isinstance(cause, ValidationError):
                return f"{cause.full_key}: found {shown(given)}; allowed: {allowed}"
            return f"{cause.full_key}: {reason}" + (f"; allowed: {allowed}" if allowed else "")
        cause = cause.__cause__ or cause.__context__
    text = re.split("Config search path|, set env var", str(error))[0]
    text = " ".join(text.split()) or type(error).__name__
    if (applied := _at_fault(error)) is not None:
        if key_of(applied).startswith("hydra.sweeper.params"):
            return f"{shortened(applied)}: cannot be used here; what is swept is written as -m key=a,b"
        return f"{shortened(applied)}: cannot be used: {text}"
    of_hydra = [override for override in overrides if key_of(override).startswith("hydra")]
    if of_hydra:
        return f"{shortened(of_hydra[-1])}: Hydra cannot use it: {text}"
    return f"config: {text}"


def _at_fault(error: Exception) -> str | None:
    """The override that Hydra was about to apply, also one of a sweep's file; None where it was none."""
    frames = [frame for frame, _ in traceback.walk_tb((error.__cause__ or error).__traceback__)]
    for frame in reversed(frames):
        if frame.f_code.co_name == "_apply_overrides_to_config":
            return getattr(frame.f_locals.get("override"), "input_line", None)
    return None


def _given(key: str, overrides: list[str]) -> str | None:
    """What the command line set `key` to, the last time if more than once; None where it did not."""
    return next((override.partition("=")[2] for override in reversed(overrides) if key_of(override) == key), None)
