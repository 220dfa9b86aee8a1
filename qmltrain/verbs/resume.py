"""`qmltrain resume RUN`: go on with a run from the config that is stored in it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from qmltrain.config.schema import CommandContext
from qmltrain.models.stored import stored_config
from qmltrain.sessions.training_run import train


def run(path: Path, context: CommandContext) -> int:
    """Exit code as `train`."""
    config, directory = stored_config(path)
    config.run = dataclasses.replace(config.run, resume="must", dir=str(directory))
    return train(config, context, directory)
