"""`qmltrain info`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Flag, Takes, Verb

VERB = Verb(
    name="info",
    takes=Takes.NOTHING,
    meaning="versions, devices, what is missing and how to get it",
    order=120,
    flags=(Flag("warm-up", "compile every CUDA kernel for this GPU into the cache, so that jobs start at once"),),
    examples=("qmltrain info",),
)
