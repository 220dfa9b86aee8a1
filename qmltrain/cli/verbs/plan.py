"""`qmltrain plan`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Takes, Verb

VERB = Verb(
    name="plan",
    takes=Takes.CONFIG,
    meaning="what would run: passes, operations, bytes, memory; executes nothing",
    order=30,
    examples=("qmltrain plan circuit.n_qubits=20 encoding=none ansatz.layers=1000",),
)
