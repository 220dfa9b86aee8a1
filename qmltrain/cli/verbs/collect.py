"""`qmltrain collect FOLDER`: what it takes."""

from __future__ import annotations

from pathlib import Path

from qmltrain.cli.verb import Flag, Takes, Verb, comma_separated

VERB = Verb(
    name="collect",
    takes=Takes.FOLDER,
    meaning="one table (CSV) of all runs in it, of a sweep or a scan; --over run.seed: mean and spread over seeds",
    order=90,
    flags=(
        Flag(
            "over",
            "mean, deviation and 95 % interval over runs that differ in these keys alone",
            "KEY,...",
            comma_separated,
        ),
        Flag("each", "of a scan: a row for each point (default), parameter, layer or slope", "WHAT"),
        Flag("output", "the new file to write (default: standard output)", "FILE", Path),
    ),
    examples=("qmltrain collect runs --over run.seed --output table.csv", "qmltrain collect runs/plateau-1a2b3c4d"),
)
