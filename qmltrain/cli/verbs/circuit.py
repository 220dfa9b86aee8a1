"""`qmltrain circuit`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="circuit",
    takes=Takes.CONFIG,
    meaning="draw the circuit, count gates, name the parameters in order",
    order=40,
    examples=("qmltrain circuit circuit.n_qubits=4 preprocess.pca=4 encoding=angle ansatz.layers=2",),
)
