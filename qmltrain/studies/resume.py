"""`qmltrain resume RUN`: go on with a run from the config that is stored in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from qmltrain.config import CommandContext, Config, from_yaml
from qmltrain.errors import InputError
from qmltrain.runs.layout import FILE_NAME
from qmltrain.runs.views import open_run
from qmltrain.studies.train import train


def run(path: Path, context: CommandContext) -> int:
    """Exit code as `train`."""
    config, directory = stored_config(path)
    config.run = dataclasses.replace(config.run, resume="must", dir=str(directory))
    return train(config, context, directory)


def stored_config(path: Path) -> tuple[Config, Path]:
    """The config of the run at `path` (its directory or its run file), and its directory."""
    directory = path if path.is_dir() else path.parent
    if not (directory / FILE_NAME).exists():
        raise InputError(f"{path}: there is no run here; give a run's directory, or the {FILE_NAME} in it")
    text = open_run(path).attributes.get("config_yaml")
    if not isinstance(text, str):
        raise InputError(f"{path}: no config is stored in it (attribute config_yaml)")
    return from_yaml(text, str(path)), directory
