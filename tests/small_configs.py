"""Small complete configs: seconds, not minutes, through every part of the product."""

from __future__ import annotations

from pathlib import Path

from qmltrain.config.schema import CommandContext, Config

CONTEXT = CommandContext(["qmltrain"], [])


def moons(root: Path, **changes) -> Config:
    """Two qubits on 60 points of two moons, 4 epochs of 3 steps; `changes` are `group__name=value`."""
    config = Config()
    config.circuit.n_qubits = 2
    config.encoding.repeats = 2
    config.dataset.name, config.dataset.n_samples, config.dataset.noise = "make_moons", 60, 0.1
    config.dataset.generator_seed = 3
    config.preprocess.pca = None
    config.engine.name, config.engine.precision = "interpreter", "complex128"
    config.train.epochs, config.train.batch_size, config.train.baseline = 4, 17, False
    config.run.root, config.run.name, config.run.progress, config.run.save_every = str(root), "moons", "none", 2
    for key, value in changes.items():
        group, name = key.split("__")
        setattr(getattr(config, group), name, value)
    return config
