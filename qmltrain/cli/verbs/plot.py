"""`qmltrain plot RUN`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="plot",
    takes=Takes.RUN,
    meaning="draw a run's curves, a scan's variances and landscapes (extra: plot)",
    order=110,
    examples=("qmltrain plot runs/digits-1a2b3c4d",),
)
