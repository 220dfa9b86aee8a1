"""`qmltrain train`: find the run's directory, start or go on, train, evaluate the test split once, say how it went."""

from __future__ import annotations

from qmltrain.config.schema import CommandContext, Config
from qmltrain.sessions.training_run import run_directory, train


def run(config: Config, context: CommandContext) -> int:
    """Train; exit code 0. Raises InterruptedRun (75) when a signal stopped the run after a snapshot."""
    return train(config, context, run_directory(config))
