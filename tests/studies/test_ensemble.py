"""The quantities of each draw of a study, judged by dense states and finite differences, one draw at a time."""

from __future__ import annotations

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze_random import two_design_axes
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.cpu import CpuEngine, unavailable_reason
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import InputError, MemoryLimitError, NonFiniteError
from qmltrain.studies import ensemble as ensembles
from qmltrain.studies.ensemble import Draws, Ensemble
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.head_and_loss import check_head
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from tests.circuit.strategies import random_states
from tests.engines.cuda.emulator_device import EmulatorDevice, compiler
from tests.engines.registered import build, registered_circuits
from tests.pairwise import covering
from tests.studies import dense_draws
from tests.studies.small_studies import a_model, a_study, engines, evaluate, of_some, random_study, some_draws
from tests.training.small_models import MODELS, make

SLOW = pytest.mark.slow
needs_cpu = pytest.mark.skipif(unavailable_reason() is not None, reason="the C++ extension is not built")


@pytest.fixture(autouse=True)
def small_studies_take_both_ways(monkeypatch):
    """A draw of 17 rows or more is a batch of its own."""
    monkeypatch.setattr(ensembles, "ROWS_ALONE", 17)
    monkeypatch.setattr(ensembles, "ANGLES_ALONE", 0)


def agrees(study, draws: Draws, atol: float = 1e-8) -> None:
    """Every column of the study with the dense judge's."""
    circuit_of, own = study.circuit_of, study.model.circuit
    circuits = [own if circuit_of is None else circuit_of(int(seed)) for seed in draws.seeds_D]
    partners = [own if circuit_of is None else circuit_of(int(seed)) for seed in draws.partner_seeds_D]
    found, expected = evaluate(study, draws), dense_draws.quantities(study, draws, circuits, partners)
    assert set(found) == set(study.quantities)
    for name, values in found.items():
        np.testing.assert_allclose(values, np.array(expected[name]), atol=atol, err_msg=name)


def circuits_and_engines() -> list:
    """Every circuit in the last engine, and a size of each in the others; the rest in the long set."""
    cases, seen = [], set()
    for case in registered_circuits():
        encoding, _, _, ansatz = case.values
        for engine in engines():
            marks = [SLOW] if engine.name != engines()[-1].name and (encoding, ansatz) in seen else []
            cases.append(pytest.param(engine, *case.values, id=f"{case.id}-{engine.name}", marks=marks))
        seen.add((encoding, ansatz))
    return cases


@pytest.mark.parametrize(("engine", "encoding", "n_qubits", "n_features", "ansatz"), circuits_and_engines())
def test_every_registered_circuit(engine, encoding, n_qubits, n_features, ansatz):
    study = a_study(a_model(build(encoding, n_qubits, n_features, ansatz)), engine=engine)
    if encoding == "basis":
        study = replace(study, features_RF=(study.features_RF > 0).astype(float))
    agrees(study, some_draws(study, 2))


def heads_and_losses() -> list:
    """All that go together; each head and each loss once with each kind of task, the rest in the long set."""
    found, seen = [], set()
    for head in HEADS:
        for loss in LOSSES:
            for n_classes in (None, 2, 3):
                try:
                    outputs = check_head(head, loss, 1, n_classes)
                    observables = 1
                except InputError:
                    try:
                        outputs = check_head(head, loss, n_classes or 1, n_classes)
                        observables = outputs
                    except InputError:
                        continue
                new = {(head, n_classes), (loss, n_classes)} - seen
                seen |= new
                name = f"{head}-{loss}-{n_classes}"
                found.append(pytest.param(head, loss, n_classes, observables, id=name, marks=[] if new else [SLOW]))
    return found


def test_each_head_and_loss_is_here():
    names = {(case.values[0], case.values[1]) for case in heads_and_losses()}
    assert {head for head, _ in names} == set(HEADS) and {loss for _, loss in names} == set(LOSSES)


@pytest.mark.parametrize("rows", [3, pytest.param(1, marks=SLOW), pytest.param(19, marks=SLOW)])
@pytest.mark.parametrize(("head", "loss", "n_classes", "n_observables"), heads_and_losses())
def test_every_head_and_loss(head, loss, n_classes, n_observables, rows):
    """Rows together, and so many that each draw is a batch."""
    circuit = assemble(3, 3, "angle", {}, "hea", {"layers": 1})
    observables = assemble_observables(3, "z", {"qubits": list(range(n_observables))})
    study = a_study(a_model(circuit, head, loss, n_classes, observables), rows)
    agrees(study, some_draws(study, 3))


@pytest.mark.parametrize("rows", [2, pytest.param(1, marks=SLOW), pytest.param(17, marks=SLOW)])
@pytest.mark.parametrize("name", MODELS)
def test_trained_encodings_amplitudes_projectors_and_input_layers(name, rows):
    study = a_study(make(name), rows)
    agrees(study, some_draws(study, 2))


@pytest.mark.parametrize(
    ("ansatz", "observable", "rows"),  # the second observable needs gates of its own
    covering(["pauli_two_design", "random_layers"], ["pauli", "target_state"], [1, 3, 17]),
)
def test_circuits_of_each_draw(tmp_path, ansatz, observable, rows):
    np.save(tmp_path / "target.npy", random_states(3, 1)[0])
    options = {"terms": ["Z0 + 0.5*X2"]} if observable == "pauli" else {"path": str(tmp_path / "target.npy")}
    study = random_study(ansatz, 3, rows, (observable, options))
    agrees(study, some_draws(study, 5))


def test_axes_are_taken_together_and_other_circuits_are_not():
    study = random_study("pauli_two_design", 3)
    draws = some_draws(study, 4)
    (group,) = Ensemble(study)._groups(draws.theta_DP, draws.seeds_D, 0)
    assert group.vectors.axes_DA is not None and len(group.draws) == 4
    study = random_study("random_layers", 3)
    (group,) = Ensemble(study)._groups(draws.theta_DP[:, : study.model.n_parameters], draws.seeds_D, 0)
    assert group.vectors.axes_DA is None


@pytest.mark.parametrize("rows", [1, 3, 17])
def test_axes_without_circuits_are_the_same(rows):
    study = random_study("pauli_two_design", 3, rows)
    draws = some_draws(study, 5)
    fast = replace(study, axes_of=two_design_axes(study.model.circuit, 3))
    assert bits(evaluate(fast, draws)) == bits(evaluate(study, draws))


def test_draws_of_both_kinds_are_put_back_in_order():
    """A user's ansatz that is sometimes the same but for its axes."""
    one = random_study("pauli_two_design", 3)

    def circuit_of(seed: int) -> Circuit:
        circuit = one.circuit_of(seed)
        return circuit if seed % 2 else replace(circuit, gates=circuit.gates[::-1])

    study = replace(one, circuit_of=circuit_of)
    draws = some_draws(study, 7)
    assert {seed % 2 for seed in draws.seeds_D} == {0, 1}
    agrees(study, draws)


# bits


def kinds() -> list:
    hea = a_model(assemble(4, 4, "angle", {}, "hea", {"layers": 2}), "linear", "mean_squared_error")
    return [
        pytest.param(lambda **o: a_study(hea, 1, **o), id="together"),
        pytest.param(lambda **o: a_study(hea, 3, **o), id="with rows"),
        pytest.param(lambda **o: a_study(hea, 40, **o), id="many rows"),
        pytest.param(lambda **o: random_study("pauli_two_design", 4, **o), id="axes"),
        pytest.param(lambda **o: random_study("random_layers", 4, **o), id="circuits"),
    ]


def bits(found, index=slice(None)) -> dict[str, bytes]:
    return {name: np.ascontiguousarray(values[index]).tobytes() for name, values in found.items()}


@pytest.mark.parametrize("precision", ["complex64", pytest.param("complex128", marks=SLOW)])
@pytest.mark.parametrize("of_kind", kinds())
def test_a_draw_has_its_bits_in_any_company(monkeypatch, of_kind, precision):
    study = of_kind(precision=precision)
    draws = some_draws(study, 37)
    expected = evaluate(study, draws)
    for index in (slice(0, 5), slice(20, 37), np.array([36, 3, 3, 11]), slice(8, 9)):
        assert bits(evaluate(study, of_some(draws, index))) == bits(expected, index)
    monkeypatch.setattr(ensembles, "PORTION_BYTES", 1)
    assert bits(evaluate(study, draws)) == bits(expected)
    threads = replace(study, options=EngineOptions(threads=3))
    assert bits(evaluate(threads, draws)) == bits(expected)


@needs_cpu
@pytest.mark.parametrize("n_qubits", [7, 9, 11])
def test_larger_states_have_their_bits_in_any_company(n_qubits):
    for engine in engines():
        circuit = assemble(n_qubits, 0, "none", {}, "hea", {"layers": 2})
        study = a_study(a_model(circuit), engine=engine, precision="complex64")
        draws = some_draws(study, 19)
        expected = evaluate(study, draws)
        for index in (slice(0, 16), slice(17, 19), np.array([18, 1])):
            assert bits(evaluate(study, of_some(draws, index))) == bits(expected, index)


def test_together_and_one_by_one_agree(monkeypatch):
    study = a_study(make("regression"), 5)
    draws = some_draws(study, 4)
    together = evaluate(study, draws)
    monkeypatch.setattr(ensembles, "ROWS_ALONE", 5)
    for name, values in evaluate(study, draws).items():
        np.testing.assert_allclose(values, together[name], atol=1e-12)


def test_an_engine_of_another_kind_agrees():
    study = a_study(a_model(build("angle", 3, 3, "hea")))
    draws = some_draws(study, 3)
    expected = evaluate(study, draws)
    for name, values in evaluate(replace(study, engine=ReferenceEngine()), draws).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-12)


@needs_cpu
def test_gradients_of_all_draws_are_never_held(monkeypatch):
    monkeypatch.setattr(ensembles, "PORTION_BYTES", 1 << 20)
    circuit = assemble(3, 0, "none", {}, "hea", {"layers": 20})
    study = a_study(a_model(circuit), quantities=("gradient", "gradient_norms"), chosen=(0,))
    ensemble, draws = Ensemble(study), some_draws(study, 8000)
    tracemalloc.start()
    ensemble.evaluate(draws)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    kept = sum(8 * len(draws) * (column.shape[0]) for column in ensemble.columns)
    assert peak - kept < 3 << 20 < 8 * draws.theta_DP.size


# what is refused, and when it stops


def test_what_has_no_meaning_is_refused():
    model = a_model(assemble(2, 0, "none", {}, "hea", {"layers": 1}))
    one = a_model(assemble(1, 0, "none", {}, "hea", {"layers": 1}))
    bare = a_model(replace(model.circuit, gates=(), parameter_names=(), parameter_layers=()))
    for study, message in (
        (a_study(model, quantities=("norms",)), "scan.quantities: 'norms' is not known; choose of loss, gradient"),
        (a_study(one, quantities=("entanglement",)), "scan.quantities: entanglement is between qubits"),
        (a_study(bare, quantities=("gradient_norms",)), "scan.quantities: gradient_norms, but this model has no param"),
        (a_study(model, quantities=("gradient",), chosen=()), "scan.gradients: no parameter is chosen"),
        (a_study(model, 2, quantities=("fidelity",)), r"one sample, 2 rows are taken; choose scan.rows=1"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            Ensemble(study)
        assert "\n" not in str(caught.value)


@needs_cpu
def test_what_does_not_fit_is_refused_beforehand():
    model = a_model(assemble(8, 0, "none", {}, "hea", {"layers": 1}))
    options = EngineOptions(threads=1, memory_bytes=1 << 16)
    for quantity in ("loss", "gradient_norms", "entanglement", "fidelity"):
        with pytest.raises(MemoryLimitError):
            Ensemble(a_study(model, engine=CpuEngine(), quantities=(quantity,), options=options))
    assert Ensemble(a_study(model, engine=CpuEngine())).memory_bytes > 0


def test_a_loss_that_is_not_finite_names_its_draw():
    study = a_study(make("regression"), quantities=("loss", "gradient"))
    draws = some_draws(study, 20)
    draws.theta_DP[18, -1] = 1e200
    with pytest.raises(NonFiniteError, match="loss of draw 18"):
        evaluate(study, draws)


@pytest.mark.parametrize("of_kind", kinds())
def test_it_stops_where_it_is_asked_to(of_kind):
    study = of_kind()
    ensemble, asked = Ensemble(study), []
    with pytest.raises(StepAbandoned):
        ensemble.evaluate(some_draws(study, 2), lambda: bool(asked.append(1)) or len(asked) > 0)
    assert asked == [1]


def test_work_grows_with_what_is_asked():
    model = a_model(assemble(3, 0, "none", {}, "hea", {"layers": 1}))
    work = [
        Ensemble(a_study(model, quantities=quantities)).work
        for quantities in (("loss",), ("loss", "entanglement"), ("loss", "gradient"), ("gradient", "fidelity"))
    ]
    assert work == sorted(work) and work[0] > 0


def test_the_interpreter_goes_a_block_at_a_time():
    assert Ensemble(a_study(a_model(build("angle", 3, 3, "hea")), engine=InterpreterEngine())).draws_at_once == 16


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
@pytest.mark.parametrize("of_kind", kinds())
def test_the_cuda_engine_agrees(of_kind):
    study = of_kind(precision="complex128")
    draws = some_draws(study, 2)
    expected = evaluate(study, draws)
    for name, values in evaluate(replace(study, engine=CudaEngine(EmulatorDevice())), draws).items():
        np.testing.assert_allclose(values, expected[name], atol=1e-11, err_msg=name)
