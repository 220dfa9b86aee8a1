"""`qmltrain export RUN`: what it takes."""

from __future__ import annotations

from pathlib import Path

from qmltrain.cli.verb import Flag, Takes, Verb

VERB = Verb(
    name="export",
    takes=Takes.RUN,
    meaning="the trained model for other programs: --to qasm3 (circuit alone), pennylane or qiskit",
    order=100,
    flags=(
        Flag("to", "qasm3, pennylane or qiskit", "FORMAT"),
        Flag("output", "the new file to write (default: standard output)", "FILE", Path),
    ),
    examples=("qmltrain export runs/digits-1a2b3c4d --to qiskit --output digits_qiskit.py",),
)
