"""Small studies of every kind, and draws for them."""

from __future__ import annotations

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import Engine
from qmltrain.studies.ensemble import Draws, Ensemble, Study
from qmltrain.training.losses import build_loss
from qmltrain.training.model import AmplitudeOptions, Model
from tests.training.head_cases import build

ALL = ("loss", "gradient", "gradient_norms", "entanglement", "fidelity")
PAIRS = ["Z0 + 0.5*X1", "Y0 Z1"]


def engines() -> list[Engine]:
    return [InterpreterEngine(), *([] if unavailable_reason() else [CpuEngine()])]


def a_model(
    circuit: Circuit, head: str = "raw", loss: str = "expectation", n_classes: int | None = None, observables=None
) -> Model:
    if observables is None:
        observables = assemble_observables(circuit.n_qubits, "pauli", {"terms": ["Z0 + 0.5*X0"]})
    built = build_loss(loss, {}, n_classes, observables.n_observables)
    amplitude = AmplitudeOptions(0.3, True)
    return Model(circuit, observables, build(head, observables.n_observables, built.n_outputs), built, amplitude)


def a_study(model: Model, rows: int = 1, engine: Engine | None = None, quantities=None, **changes) -> Study:
    """All quantities that have a meaning, in complex128; the gradient of every third parameter."""
    if quantities is None:
        left_out = {*(() if rows == 1 else ("fidelity",)), *(("entanglement",) if model.circuit.n_qubits < 2 else ())}
        quantities = tuple(name for name in ALL if name not in left_out)
    generator = np.random.default_rng(7)
    features = generator.uniform(-0.9, 0.9, (rows, model.n_inputs))
    n_classes = model.loss.n_classes
    targets = generator.normal(size=rows) if n_classes is None else generator.integers(0, n_classes, rows)
    given = {"chosen": tuple(range(0, model.n_parameters, 3)), "precision": "complex128", **changes}
    return Study(model, engine or engines()[-1], quantities, features_RF=features, targets_R=targets, **given)


def some_draws(study: Study, draws: int, seed: int = 5) -> Draws:
    generator = np.random.default_rng(seed)
    theta, partners = generator.uniform(-3, 3, (2, draws, study.model.n_parameters))
    seeds = generator.integers(0, 1000, (2, draws))
    directions = generator.normal(size=(draws, 2, study.model.n_parameters))
    return Draws(theta, seeds[0], partners, seeds[1], directions)


def of_some(draws: Draws, index) -> Draws:  # noqa: ANN001
    return Draws(*(array[index] for array in vars(draws).values() if array is not None))


def random_study(
    ansatz: str, n_qubits: int, rows: int = 1, observable=("pauli", {"terms": ["Z0 + 0.5*X0"]}), **changes
):  # noqa: ANN001, ANN201
    """Of circuits that each draw has for itself."""
    encoding, n_features = ("none", 0) if rows == 1 else ("angle", n_qubits)

    def circuit_of(seed: int) -> Circuit:
        return assemble(n_qubits, n_features, encoding, {}, ansatz, {"layers": 3, "seed": seed})

    observables = assemble_observables(n_qubits, observable[0], observable[1])
    return a_study(a_model(circuit_of(0), observables=observables), rows, circuit_of=circuit_of, **changes)


def evaluate(study: Study, draws: Draws) -> dict[str, np.ndarray]:
    return Ensemble(study).evaluate(draws)
