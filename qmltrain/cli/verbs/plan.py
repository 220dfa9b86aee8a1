"""`qmltrain plan`: what it takes."""

from __future__ import annotations

from qmltrain.cli.verb import Flag, Takes, Verb

VERB = Verb(
    name="plan",
    takes=Takes.CONFIG,
    meaning="what would run: passes, operations, bytes, memory; executes nothing",
    order=30,
    flags=(Flag("device", "with engine=cuda: for this GPU, which need not be here, and about how long", "NAME"),),
    examples=("qmltrain plan circuit.n_qubits=20 encoding=none ansatz.layers=1000",),
)
