"""A config as plain values and as the YAML that is stored with a run."""

from __future__ import annotations

import copy
import dataclasses
from functools import cache, lru_cache
from typing import Any

from qmltrain.config.reference import known_keys
from qmltrain.config.schema import Config
from qmltrain.config.validation import validate
from qmltrain.errors import InputError
from qmltrain.wording import one_line


def to_dict(config: Config) -> dict[str, dict[str, Any]]:
    """Plain dictionaries and lists, a copy."""
    return dataclasses.asdict(config)


def to_yaml(config: Config) -> str:
    """The resolved config as YAML; `from_yaml` reads it back to an equal `Config`."""
    import yaml

    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)  # libyaml's takes a tenth
    return str(yaml.dump(to_dict(config), Dumper=dumper, sort_keys=False, allow_unicode=True))


def from_yaml(text: str, source: str = "config") -> Config:
    """A config that `to_yaml` wrote, validated.

    Keys that are missing keep their defaults. Raises InputError, in one line that names `source`: not YAML, a key
    that this version does not know, a wrong type, an impossible value.
    """
    config = copy.deepcopy(_read(Config, text, source))
    try:
        return validate(config)
    except InputError as error:
        raise InputError(f"{source}: stored config, {error}") from error


@lru_cache(maxsize=16)  # whoever loads a run reads its config two or three times
def _read(schema: Any, text: str, source: str) -> Config:
    """The config in `text` by the types of `schema`, not yet validated. Shared: never changed."""
    import yaml
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    try:
        stored = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # libyaml's takes a tenth
    except yaml.YAMLError as error:
        raise InputError(f"{source}: the stored config is not YAML: {one_line(error)}") from error
    if not isinstance(stored, dict) or not all(isinstance(node, dict) for node in stored.values()):
        raise InputError(f"{source}: the stored config holds no groups of options")
    known = set(known_keys())
    for group, node in stored.items():
        for name in node:
            if f"{group}.{name}" not in known:
                raise InputError(
                    f"{source}: the stored config names {group}.{name}, unknown to this version of qmltrain; "
                    "use the version that wrote it"
                )
    try:
        config = OmegaConf.to_object(OmegaConf.merge(schema_node(schema), OmegaConf.create(stored)))
    except OmegaConfBaseException as error:
        message = str(error.msg or error).splitlines()[0]
        raise InputError(f"{source}: stored config, {error.full_key}: {message}") from error
    assert isinstance(config, schema)
    return config


@cache
def schema_node(schema: type[Config]) -> Any:
    """The types of a config for OmegaConf, which takes longer to make them than to use them. Never changed."""
    from omegaconf import OmegaConf

    return OmegaConf.structured(schema)
