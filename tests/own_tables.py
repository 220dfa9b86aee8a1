"""Tables as users have them, to train `moons` of `small_configs` on: written here, with the changes that name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

NOT_MOONS = {"dataset__n_samples": None, "dataset__noise": None, "dataset__generator_seed": None}


def write_table(path: Path, kinds: Sequence[str], columns: int = 3) -> dict[str, Any]:
    """Columns c0, c1, ... and `kind`, one row for each of `kinds`; returns the changes of the config."""
    generator = np.random.default_rng(0)
    names = [f"c{k}" for k in range(columns)]
    rows = [",".join([*(f"{value:.4f}" for value in generator.normal(size=columns)), kind]) for kind in kinds]
    path.write_text("\n".join([",".join([*names, "kind"]), *rows]) + "\n")
    return {**NOT_MOONS, "dataset__name": "csv", "dataset__path": str(path), "dataset__target": "kind"}
