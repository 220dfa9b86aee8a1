"""`qmltrain repeat RUN`, also spelled `qmltrain train --from RUN`: what it takes."""

from __future__ import annotations

from pathlib import Path

from qmltrain.cli.verb import Flag, Override, Takes, Verb

VERB = Verb(
    name="repeat",
    takes=Takes.RUN,
    meaning="train a run's config again in a fresh directory and say whether it came out equal to the bit",
    order=70,
    trains=True,
    overrides=(
        Override("run.dir", "the fresh directory (default: the run's own with -repeat added)", Path, "directory"),
    ),
    flag_of=(
        "train",
        Flag("from", "repeat RUN instead of composing a config: the same as `qmltrain repeat RUN`", "RUN"),
    ),
    examples=("qmltrain repeat runs/digits-1a2b3c4d",),
)
