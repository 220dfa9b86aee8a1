"""`qmltrain kernel`: Gram matrices of a data set, and a support vector machine on them."""

from __future__ import annotations

from qmltrain.config.schema import CommandContext, Config
from qmltrain.quantum_kernels.job import run_kernel


def run(config: Config, context: CommandContext) -> int:
    """Compute, or go on with, the kernel of a config; exit code 0. Raises InterruptedRun (75) when a signal stopped it
    between two tiles."""
    return run_kernel(config, context)
