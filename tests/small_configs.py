"""Small complete configs: seconds, not minutes, through every part of the product. Changes are `group__name=value`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qmltrain.config.schema import CommandContext, Config

CONTEXT = CommandContext(["qmltrain"], [])


def moons(root: Path, **changes: Any) -> Config:
    """Two qubits on 60 points of two moons, 4 epochs of 3 steps; with `changes`."""
    config = Config()
    config.circuit.n_qubits = 2
    config.encoding.repeats = 2
    config.dataset.name, config.dataset.n_samples, config.dataset.noise = "make_moons", 60, 0.1
    config.dataset.generator_seed = 3
    config.preprocess.pca = None
    config.engine.name, config.engine.precision = "interpreter", "complex128"
    config.train.epochs, config.train.batch_size, config.train.baseline = 4, 17, False
    config.run.root, config.run.name, config.run.progress, config.run.save_every = str(root), "moons", "none", 2
    return _changed(config, changes)


def ising_chain(root: Path, **changes: Any) -> Config:
    """VQE of three spins: the exact lowest energy is found in a few iterations of L-BFGS."""
    config = Config()
    config.circuit.n_qubits = 3
    config.dataset.name, config.encoding.name, config.encoding.repeats = "none", "none", None
    config.observable.name, config.head.name, config.loss.name = "ising", "raw", "expectation"
    config.ansatz.name, config.ansatz.layers = "hea", 3
    config.optimizer.name, config.schedule.name = "lbfgs", "constant"
    config.engine.name, config.engine.precision = "interpreter", "complex128"
    config.train.epochs, config.run.save_every = 40, 3
    config.run.root, config.run.name, config.run.progress = str(root), "ising", "none"
    return _changed(config, changes)


def _changed(config: Config, changes: dict[str, Any]) -> Config:
    for key, value in changes.items():
        group, name = key.split("__")
        setattr(getattr(config, group), name, value)
    return config
