"""`qmltrain kernel`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="kernel",
    takes=Takes.CONFIG,
    meaning="a quantum kernel's Gram matrices, to HDF5, and a classifier on them",
    order=26,
    listens=True,
    ranks=True,
    examples=(
        "qmltrain kernel encoding=zz_feature_map circuit.n_qubits=8 preprocess.pca=8",
        "qmltrain kernel kernel=projected kernel.run=runs/digits-…",
    ),
)
