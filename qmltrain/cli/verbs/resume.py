"""`qmltrain resume RUN`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="resume",
    takes=Takes.RUN,
    meaning="go on with a run that was stopped, from its own stored config",
    order=60,
    trains=True,
    ranks=True,
    examples=("qmltrain resume runs/digits-1a2b3c4d",),
)
