"""`qmltrain.kernel`: every registered encoding against overlaps of dense states."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
import pytest

import qmltrain
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.config.schema import Config
from qmltrain.engines.cpu import unavailable_reason
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.quantum_kernels import gram, notebook, tiles
from qmltrain.training.initialization import initial_parameters
from tests.circuit.library.documented_encodings import DOCUMENTED
from tests.engines.registered import USERS_OWN
from tests.quantum_kernels.kernel_cases import bloch_vectors, dense_states, fidelities, projected
from tests.sessions.complete_runs import complete

ENGINES = ["interpreter", *([] if unavailable_reason() else ["cpu"])]
CASES = [
    pytest.param(name, *sizes, id=f"{name}-{sizes[0]}-{sizes[1]}")
    for name in sorted(set(ENCODINGS) - USERS_OWN - {"none"})
    for sizes in DOCUMENTED[name][0]
    if sizes[0] <= 4
]


def samples(encoding: str, n_features: int, batch: int) -> np.ndarray:
    x = np.random.default_rng(3).uniform(-0.9, 0.9, (batch, n_features))
    return (x > 0).astype(float) if encoding == "basis" else x


@functools.cache
def expected_states(encoding: str, n_qubits: int, n_features: int, batch: int, **options: object) -> np.ndarray:
    """Of the whole circuit, with the ansatz behind the last feature."""
    x = samples(encoding, n_features, batch)
    model = notebook._model(Config(), encoding, options, n_qubits, x.shape[1])
    theta = initial_parameters(model.circuit, "uniform", np.random.default_rng(0), None, None)
    return dense_states(model, theta, x)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("encoding", "n_qubits", "n_features"), CASES)
def test_every_encoding(encoding, n_qubits, n_features, engine):
    options = {"repeats": n_features} if encoding == "reuploading" else {}
    x = samples(encoding, n_features, 17)  # a block of 16, and one more
    found = qmltrain.kernel(x, encoding=encoding, n_qubits=n_qubits, engine=engine, **options)
    states = expected_states(encoding, n_qubits, n_features, len(x), **options)
    np.testing.assert_allclose(found, fidelities(states, states), atol=1e-12)
    np.testing.assert_array_equal(found, found.T)
    np.testing.assert_array_equal(np.diag(found), 1)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    test = qmltrain.kernel(x, x[3:8], encoding=encoding, n_qubits=n_qubits, engine=engine, **options)
    np.testing.assert_allclose(test, found[3:8], atol=1e-12)


WHOLE = [
    ("angle", {}), ("angle", {"imprimitive": "cx"}), ("iqp", {}), ("amplitude", {}), ("zz_feature_map", {}),
    ("zz_feature_map", {"entanglement": "linear", "alpha": 1.0, "repeats": 1}),
    ("pauli_feature_map", {"paulis": ["X", "ZZ"]}), ("z_feature_map", {}), ("fourier", {}),
]  # fmt: skip


@pytest.mark.parametrize(("encoding", "options"), WHOLE)
def test_projected_kernels_measure_behind_the_whole_encoding(encoding, options):
    """All gates before the ansatz, fixed ones at the end of a feature map too."""
    x = samples(encoding, 3 if encoding != "amplitude" else 8, 9)
    model = notebook._model(Config(), encoding, options, 3, x.shape[1])
    gates = model.circuit.gates[: model.circuit.layer_starts[-1]]
    alone = dataclasses.replace(model, circuit=dataclasses.replace(model.circuit, gates=gates))
    vectors = bloch_vectors(dense_states(alone, np.zeros(model.n_parameters), x))
    found = qmltrain.kernel(x, encoding=encoding, n_qubits=3, kind="projected", gamma=0.3, **options)
    np.testing.assert_allclose(found, projected(vectors, vectors, 0.3), atol=1e-12)


def test_the_zz_map_by_hand():
    """Two qubits, one repetition: H, P(2 x_q), CX, P(2 (pi - x_0)(pi - x_1)) on the second, CX (arXiv:1804.11326)."""
    x = samples("zz_feature_map", 2, 6)
    states = np.full((6, 4), 0.5, dtype=complex)
    bits = np.array([[k & 1, k >> 1] for k in range(4)])
    states *= np.exp(2j * (x @ bits.T) + 2j * np.prod(np.pi - x, axis=1)[:, None] * (bits[:, 0] ^ bits[:, 1]))
    found = qmltrain.kernel(x, encoding="zz_feature_map", repeats=1, kind="projected", gamma=0.4)
    vectors = bloch_vectors(states)
    np.testing.assert_allclose(found, projected(vectors, vectors, 0.4), atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("encoding", ["angle", "amplitude", "iqp", "zz_feature_map"])
def test_projected_kernels(encoding, engine):
    x = samples(encoding, 4, 19)
    found = qmltrain.kernel(x, encoding=encoding, n_qubits=4, kind="projected", gamma=0.7, engine=engine)
    model = notebook._model(Config(), encoding, {}, 4, 4)
    embedded = notebook.build_embedding(
        Config(), model, notebook.KERNELS["projected"](), np.zeros(model.n_parameters), trained=False, samples=1
    )
    vectors = bloch_vectors(dense_states(embedded.model, np.zeros(model.n_parameters), x))
    np.testing.assert_allclose(found, projected(vectors, vectors, 0.7), atol=1e-12)
    by_default = qmltrain.kernel(x, encoding=encoding, n_qubits=4, kind="projected", engine=engine)
    np.testing.assert_allclose(by_default, projected(vectors, vectors, 1 / (12 * vectors.var())), atol=1e-12)


@pytest.mark.parametrize("kind", ["fidelity", "projected"])
def test_single_precision_is_single_precision(kind):
    x = samples("zz_feature_map", 3, 20)
    single, dual = (qmltrain.kernel(x, kind=kind, precision=p, engine=ENGINES[-1]) for p in ("complex64", "complex128"))
    assert (single.dtype, dual.dtype) == (np.float32, np.float64)
    np.testing.assert_allclose(single, dual, atol=2e-5)


@pytest.mark.parametrize("encoding", ["zz_feature_map", "angle"])  # of complex states, of real ones
@pytest.mark.parametrize("kind", ["fidelity", "projected"])
def test_neither_threads_nor_panels_nor_memory_change_a_bit(kind, encoding, monkeypatch):
    monkeypatch.setattr(tiles, "MOST_ROWS", 16)
    x, results = samples(encoding, 3, 75), []
    for threads, share in ((1, 0.5), (2, 0.5), (3, 0.5), (1, 0.0), (2, 0.0)):
        monkeypatch.setattr(gram, "PANEL_SHARE", share)  # 0: panels of a tile
        for against in (None, x[:37] + 0.1):
            results.append(
                qmltrain.kernel(
                    x, against, encoding=encoding, kind=kind, precision="complex64", engine=ENGINES[-1], threads=threads
                ).tobytes()
            )
    assert len(set(results[::2])) == len(set(results[1::2])) == 1


def test_the_trained_circuit_of_a_run(tmp_path):
    directory = complete(tmp_path)
    trained = qmltrain.load(directory)
    x = np.random.default_rng(0).normal(size=(9, 2))
    features = trained.features(x)
    states = dense_states(trained.model, trained.theta_P, features)
    found = qmltrain.kernel(x, run=directory, engine="interpreter")
    np.testing.assert_allclose(found, fidelities(states, states), atol=1e-12)
    vectors = bloch_vectors(states)  # with the trained gates behind the last feature
    found = qmltrain.kernel(x, x[:2], run=directory, kind="projected", gamma=1.5, engine="interpreter")
    np.testing.assert_allclose(found, projected(vectors[:2], vectors, 1.5), atol=1e-12)
    with pytest.raises(InputError, match="repeats: the circuit is the run's"):
        qmltrain.kernel(x, run=directory, repeats=2)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": [1.0, 2.0]}, r"x: found shape \(2,\) of float64; numbers of shape \(samples, features\)"),
        ({"x": [[1, 2], [3]]}, r"x: no array; numbers of shape \(samples, features\) are needed, all rows as long"),
        ({"x": [[1, 2]], "against": [[1], [1, 2]]}, "against: no array"),
        ({"x": [[0.1, 1.0]], "seed": -1, "encoding": "reuploading"}, "seed: found -1; an integer from 0"),
        ({"x": [[0.1, 1.0]], "seed": 0.5}, "seed: found 0.5"),
        ({"x": [["a", "b"]]}, "x: found shape"),
        ({"x": np.zeros((0, 2))}, "x: found shape"),
        ({"x": [[np.nan, 1.0]]}, "x: features: sample 0"),
        ({"x": [[0.1, 1.0]], "against": [[1.0, 2.0, 3.0]]}, "against: samples of 3 features, x has 2"),
        ({"x": [[0.1, 1.0]], "against": [[np.inf, 2.0]]}, "against: features: sample 0"),
        (
            {"x": [[0.1, 1.0]], "kind": "linear"},
            "kernel.name: 'linear' is not known; choose one of fidelity, projected",
        ),
        ({"x": [[0.1, 1.0]], "gamma": 1.0}, "kernel.gamma: not used by fidelity"),
        ({"x": [[0.1, 1.0]], "kind": "projected", "gamma": -1.0}, "kernel.gamma: found -1.0"),
        ({"x": [[0.1, 1.0]], "encoding": "zz"}, "encoding.name: 'zz' is not known"),
        ({"x": [[0.1, 1.0]], "encoding": "none"}, "reads no features"),
        ({"x": [[0.1, 1.0]], "depth": 3}, "depth: no option of an encoding"),
        ({"x": [[0.1, 1.0]], "precision": "complex32"}, "engine.precision: found"),
    ],
)
def test_what_cannot_be_is_one_line(given, message):
    with pytest.raises(InputError, match=message) as error:
        qmltrain.kernel(**given)
    assert "\n" not in str(error.value)


def test_a_matrix_that_does_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr(notebook, "available_bytes", lambda: 500)
    with pytest.raises(MemoryLimitError, match="x: a matrix of 20 x 20 needs"):
        qmltrain.kernel(samples("angle", 2, 20))
