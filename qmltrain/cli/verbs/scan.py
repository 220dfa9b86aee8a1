"""`qmltrain scan`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="scan",
    takes=Takes.CONFIG,
    meaning="many draws of the parameters at every point of a grid (key=a,b): losses, gradients, landscapes",
    order=22,
    trains=True,
    grid=True,
    ranks=True,
    examples=("qmltrain scan experiment=vqe_ising circuit.n_qubits=2,4,6 ansatz.layers=1,5,20 scan.draws=1000",),
)
