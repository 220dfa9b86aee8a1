"""`qmltrain compare RUN RUN`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="compare",
    takes=Takes.TWO_RUNS,
    meaning="what differs between two runs, in their configs and in their results",
    order=80,
    examples=("qmltrain compare runs/digits-1a2b3c4d runs/digits-5e6f7a8b",),
)
