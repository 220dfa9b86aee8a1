"""From overrides to a Config, by Hydra."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from qmltrain.cli.explaining import config_errors
from qmltrain.cli.override_words import as_typed, key_of
from qmltrain.cli.user_configs import search_path
from qmltrain.config.reference import is_known, unknown_key
from qmltrain.config.schema import GROUPS, Config
from qmltrain.config.storage import schema_node
from qmltrain.config.validation import validate
from qmltrain.errors import InputError
from qmltrain.shipped_files import configs_directory
from qmltrain.wording import shortened

CONFIG_NAME = "config"
SCHEMA_NAME = "qmltrain_schema"


def compose_config(
    overrides: list[str], config_directory: str | None = None, *, validated: bool = True
) -> Config | None:
    """The config that `overrides` make; None where a config asks for a sweep (`hydra.mode: MULTIRUN`).

    It is `validated`, or left for the caller to be.

    Raises InputError in one line that names the key.
    """
    with config_errors(overrides), hydra_session():
        from hydra import compose
        from hydra.types import RunMode

        words = as_typed(overrides)
        of_sweeper = [word for word in words if key_of(word).startswith("hydra.sweeper.")]
        words = [word for word in words if word not in of_sweeper]
        composed = compose(CONFIG_NAME, [*words, *search_path(config_directory)], return_hydra_config=True)
        if composed.hydra.mode == RunMode.MULTIRUN:
            return None
        if of_sweeper:
            raise InputError(
                f"{shortened(of_sweeper[0])}: hydra.sweeper.* has an effect with -m alone; to sweep: -m key=a,b"
            )
        return as_config(composed, validated=validated)


def composed_yaml(overrides: list[str], show: str, config_directory: str | None = None) -> str:
    """The composed config as YAML: `show` is job (ours), hydra or all."""
    with config_errors(overrides), hydra_session():
        from hydra import compose
        from omegaconf import OmegaConf, open_dict

        words = [*as_typed(overrides), *search_path(config_directory)]
        composed = compose(CONFIG_NAME, overrides=words, return_hydra_config=show != "job")
        if show in ("job", "all"):
            as_config(composed)
        if show == "hydra":
            with open_dict(composed):
                for group in GROUPS:
                    del composed[group]
        return str(OmegaConf.to_yaml(composed, resolve=show == "job"))


def as_config(composed: Any, *, validated: bool = True) -> Config:
    """Hydra's composed node as a Config, `validated` or not; keys added with `+` are refused like misspelled ones."""
    from omegaconf import OmegaConf

    groups: dict[str, Any] = {}
    for group in composed:
        if group == "hydra":
            continue
        node = composed[group]
        for key in [f"{group}.{name}" for name in node] if OmegaConf.is_dict(node) else [group]:
            if not is_known(key):
                raise InputError(unknown_key(key))
        kind: Any = OmegaConf.get_type(node)  # that of the schema, whose types have been applied
        plain: Any = OmegaConf.to_container(node, resolve=True, throw_on_missing=True)
        groups[group] = kind(**plain)
    config = Config(**groups)
    assert all(dataclasses.is_dataclass(getattr(config, group)) for group in GROUPS)
    return validate(config) if validated else config


def _product(*factors: float) -> float:
    """``${times:10,${circuit.n_qubits}}``: a value that is in proportion to another."""
    return math.prod(factors)


@contextmanager
def hydra_session() -> Iterator[None]:
    """Hydra with our configs and schema, and without its argument parser, log files and working directories."""
    from hydra import initialize_config_dir
    from hydra.core.config_store import ConfigStore
    from hydra.core.global_hydra import GlobalHydra
    from omegaconf import OmegaConf

    from qmltrain.cli.config_loader import ConfigLoader

    OmegaConf.register_new_resolver("times", _product, replace=True)
    store = ConfigStore.instance()
    stored = store.repo.get(f"{SCHEMA_NAME}.yaml")  # Hydra makes a node of its own, which takes longer than to look
    if stored is None or OmegaConf.get_type(stored.node) is not Config:
        store.store(name=SCHEMA_NAME, node=schema_node(Config))
    outer = GlobalHydra.instance().hydra  # of a sweep whose point composes something
    GlobalHydra.instance().clear()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Hydra 1.4 warns of version_base, which Hydra 1.3 asks for
        session = initialize_config_dir(config_dir=str(configs_directory()), job_name="qmltrain", version_base="1.3")
    try:
        with session:
            hydra = GlobalHydra.instance().hydra
            assert hydra is not None
            hydra.config_loader = ConfigLoader(hydra.config_loader.get_search_path(), Config)
            yield
    finally:
        GlobalHydra.instance().hydra = outer
