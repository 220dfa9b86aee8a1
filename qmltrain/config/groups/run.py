"""Config group `run`: a run's name, place, seeds, what it stores and shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, POSITIVE, SEED, TEXT, Rule, one_of


def _accepts_run_name(value: Any) -> bool:
    if not isinstance(value, str) or not value.strip() or value in (".", ".."):
        return False
    return not any(character in "/\\" or ord(character) < 32 for character in value)


RUN_NAME = Rule(_accepts_run_name, "a name without slashes and control characters")


@dataclass
class RunConfig(ConfigGroup):
    name: str = option("run", "first part of the run directory's name", RUN_NAME, same_run="a label")
    root: str = option("runs", "folder of the run directories", TEXT, same_run="where the directory lies")
    dir: str | None = option(
        None,
        "run directory (null: <root>/<name>-<hash of what changes the result>)",
        TEXT,
        same_run="where the directory lies",
    )
    seed: int = option(0, "the three seeds below derive from it", SEED)
    seed_split: int | None = option(None, "train, validation and test split (null: from seed)", SEED)
    seed_initial: int | None = option(None, "first parameters (null: from seed)", SEED)
    seed_order: int | None = option(None, "order of the samples (null: from seed)", SEED)
    save_every: int | None = option(
        None,
        "steps between snapshots, from which a run goes on (null: one every 30 seconds)",
        COUNT,
        same_run="a resumed run equals the uninterrupted one bit for bit",
    )
    keep: int = option(3, "snapshots that are kept", COUNT, same_run="how many snapshots are kept")
    resume: str = option(
        "auto",
        "auto (go on where the same run stopped) | never | must",
        one_of("auto", "never", "must"),
        same_run="whether an existing run is continued, not what it computes",
    )
    gradients: str = option(
        "norms",
        "none | norms (per layer) | full",
        one_of("none", "norms", "full"),
        same_run="what is stored of the gradients, not the gradients",
        fixes_layout=True,
    )
    gradients_every: int = option(
        1,
        "steps between two stored gradients",
        COUNT,
        same_run="what is stored of the gradients, not the gradients",
        fixes_layout=True,
    )
    parameters_every: int | None = option(
        None,
        "steps between two stored parameter rows (null: one per epoch)",
        COUNT,
        same_run="what is stored of the parameters, not the parameters",
        fixes_layout=True,
    )
    progress: str = option(
        "auto",
        "auto (bar on a terminal, else lines) | bar | lines | none",
        one_of("auto", "bar", "lines", "none"),
        same_run="what is shown on screen",
    )
    log_seconds: float = option(30.0, "lines: seconds between two lines", POSITIVE, same_run="what is shown on screen")
    mpi: str | None = option(
        None,
        "always | never | auto: where mpirun or srun started several processes (null: auto)",
        one_of("auto", "always", "never"),
        same_run="sums have one fixed order for any number of ranks",
    )
