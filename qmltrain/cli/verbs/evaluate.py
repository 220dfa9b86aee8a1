"""`qmltrain evaluate RUN`: what it takes."""

from __future__ import annotations

from pathlib import Path

from qmltrain.cli.verb import Flag, Override, Takes, Verb, whole_number

VERB = Verb(
    name="evaluate",
    takes=Takes.RUN,
    meaning="metrics of a run's best parameters on its own splits, or on other data: dataset=..., shots=1000",
    order=50,
    ranks=True,
    flags=(Flag("predictions", "label, prediction and scores of every sample, to .csv or .npz", "FILE", Path),),
    overrides=(
        Override("dataset", "other data: an entry, and options of it as dataset.path=..."),
        Override("engine", "another engine than the run's, and options of it"),
        Override("shots", "measure every sample so many times instead of computing expectations exactly", whole_number),
        Override("seed", "seed of the measurements", whole_number),
    ),
    examples=("qmltrain evaluate runs/digits-1a2b3c4d dataset=npz dataset.path=new.npz --predictions new.csv",),
)
