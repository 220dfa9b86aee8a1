"""`qmltrain export RUN --to qasm3 | pennylane | qiskit`: the trained circuit for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

from qmltrain.circuit.interchange.python_export import state_source, to_pennylane, to_qiskit
from qmltrain.circuit.interchange.qasm_export import to_qasm3
from qmltrain.config.schema import CommandContext
from qmltrain.errors import InputError
from qmltrain.models.trained import TrainedModel, load
from qmltrain.runs.output_file import check_new_file, write_text

FORMATS = ("qasm3", "pennylane", "qiskit")


def run(path: Path, context: CommandContext, *, to: str | None = None, output: Path | None = None) -> int:
    """Print the source, or write it to the new file `output`."""
    if to not in FORMATS:
        raise InputError(f"--to: found {to!r}; allowed: {', '.join(FORMATS)}")
    if output is not None:
        check_new_file(output, "--output")
    text = source(load(path), to)
    if output is None:
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    print(f"circuit    {output}")
    return 0


def source(trained: TrainedModel, to: str) -> str:
    """The trained circuit in the format `to`: parameters bound, features as inputs, and what to know about both."""
    model = trained.model
    parameters_P = model.split(trained.theta_P).circuit.tolist()
    notes = [
        f"Trained with qmltrain, run {trained.directory.name}, epoch {trained.epoch}.",
        "x are preprocessed features: qmltrain.load(run).features(raw) makes them from raw samples.",
        f"Observables: {', '.join(model.observables.names)}.",
    ]
    if model.head.n_parameters:
        notes.append(f"Its head ({model.head.name}) acts on the expectation values and is not part of the circuit.")
    notes = [" ".join(note.split()) for note in notes]  # each one line
    if to == "qasm3":
        if model.observables.diagonalizing_gates:
            notes.append("They are measured after further gates (the target state to |0...0>), which are not here.")
        notes.append("Qubit q[k] is qubit k of qmltrain, bit k of a basis state's index (q[0] the lowest).")
        return to_qasm3(model.circuit, parameters_P, notes)
    amplitude = model.amplitude
    state = state_source(model.circuit.n_qubits, amplitude.pad_with, amplitude.normalize, amplitude.copies)
    writer = to_pennylane if to == "pennylane" else to_qiskit
    return writer(model.circuit, model.observables, parameters_P, state, notes)
