"""`qmltrain gradient`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="gradient",
    takes=Takes.CONFIG,
    meaning="loss, expectations and gradients at given parameters, to HDF5",
    order=20,
    ranks=True,
    output_key="study.output",
    examples=("qmltrain gradient experiment=digits study.rows=64 study.per_sample=true study.output=gradient.h5",),
)
