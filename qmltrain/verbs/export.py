"""`qmltrain export RUN --to qasm3 | pennylane | qiskit`: the trained model for other programs."""

from __future__ import annotations

import sys
from pathlib import Path

from qmltrain.circuit.interchange.python_export import state_source, to_pennylane, to_qiskit
from qmltrain.circuit.interchange.qasm_export import to_qasm3
from qmltrain.config.schema import CommandContext
from qmltrain.errors import InputError
from qmltrain.models.trained import TrainedModel, load
from qmltrain.numpy_source.assemble import around_circuit
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
    print(f"{'circuit' if to == 'qasm3' else 'model':<10} {output}")
    return 0


def source(trained: TrainedModel, to: str) -> str:
    """The trained model in the format `to`; in OpenQASM its circuit alone, parameters bound, features as inputs."""
    model = trained.model
    parameters_P = model.split(trained.theta_P).circuit.tolist()
    origin = f"Trained with qmltrain, run {trained.directory.name}, epoch {trained.epoch}."
    observables = f"Observables: {', '.join(model.observables.names)}."
    if to == "qasm3":
        notes = [origin, _features(trained), observables]
        if model.head.n_parameters:
            notes.append(f"Its head ({model.head.name}) acts on the expectation values and is not part of the circuit.")
        if model.observables.diagonalizing_gates:
            notes.append("They are measured after further gates (the target state to |0...0>), which are not here.")
        notes.append("Qubit q[k] is qubit k of qmltrain, bit k of a basis state's index (q[0] the lowest).")
        return to_qasm3(model.circuit, parameters_P, _lines(notes))
    amplitude = model.amplitude
    state = state_source(model.circuit.n_qubits, amplitude.pad_with, amplitude.normalize, amplitude.copies)
    writer = to_pennylane if to == "pennylane" else to_qiskit
    notes = [origin, observables]
    if 0 in trained.sample_shape:  # trained without data
        notes.append("It takes no data: expectations(()) are its expectation values.")
        return writer(model.circuit, model.observables, parameters_P, state, _lines(notes))
    made_by = "preprocess and input_layers make" if model.input is not None else "preprocess makes"
    notes += [
        "predict(x) and scores(x) take raw samples x, as the run's data has them.",
        f"circuit and expectations take the features of one sample that {made_by} of it.",
    ]
    around = around_circuit(trained)
    imports = ["import numpy as np", *(f"import {name}" for name in around.imports)]
    return writer(model.circuit, model.observables, parameters_P, state, _lines(notes), imports) + around.text


def _features(trained: TrainedModel) -> str:
    """What the circuit's x are, and how to get them from raw samples."""
    if trained.model.input is None:
        return "x are preprocessed features: qmltrain.load(run).features(raw) makes them from raw samples."
    return (
        "x are what the input layers, which are not part of the circuit, make of preprocessed features: with trained = "
        "qmltrain.load(run), trained.model.features(trained.model.split(trained.theta_P), trained.features(raw))."
    )


def _lines(notes: list[str]) -> list[str]:
    """Each note as one line."""
    return [" ".join(note.split()) for note in notes]
