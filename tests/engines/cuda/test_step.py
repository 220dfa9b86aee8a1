"""Training steps on the device: heads and losses there, one synchronisation per step, streams and graphs.

Through `CupyDevice` and a stand-in for CuPy whose kernels run in the emulator, whose arrays refuse to come to the host
unasked, and whose streams work as late as CUDA allows (`tests.engines.cuda.fake_streams`).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.cuda import step as cuda_step
from qmltrain.engines.cuda.cupy_device import CupyDevice
from qmltrain.engines.cuda.program import CudaProgram
from qmltrain.engines.host_step import HostStep
from qmltrain.errors import NonFiniteError, QmltrainError
from qmltrain.training import reduction
from qmltrain.training.class_weights import ClassWeighted
from qmltrain.training.gradients import Evaluator, StepAbandoned
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from tests.engines.cuda import fake_cupy
from tests.engines.cuda.emulator_device import compiler
from tests.engines.cuda.fake_arrays import HostRoundTripError
from tests.training.head_cases import CASES as HEAD_CASES
from tests.training.loss_cases import CASES
from tests.training.small_models import MODELS, inputs, make

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")
LATE = [(False, False), (True, False), (False, True), (True, True)]  # compute stream, copy stream


@pytest.fixture
def cupy(monkeypatch):
    """Makes the stand-in; every call a fresh one."""

    def install(lazy: tuple[bool, ...] = (False, False)):  # noqa: ANN202
        return fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make(lazy=lazy))

    return install


def evaluator(model, chunk: int = 64, **options) -> Evaluator:  # noqa: ANN001, ANN003
    engine = CudaEngine(CupyDevice())
    return Evaluator(model, engine.compile(model.circuit, model.observables.strings, "complex128", **options), chunk)


class OnTheHost(HostStep):
    """A step of the engine whose head, loss and sums are in NumPy."""

    begin = CudaProgram.begin_step

    def __init__(self, program: CudaProgram, shared_S: np.ndarray) -> None:
        super().__init__()
        step = OnTheHost.begin(program, shared_S)
        self.forward, self.slot_gradient = step.forward, step.slot_gradient

    def forward(self, per_sample_BS, initial_BN=None): ...  # noqa: ANN001, ANN201

    def states(self, per_sample_BS, initial_BN=None): ...  # noqa: ANN001, ANN201

    def slot_gradient(self, total_R): ...  # noqa: ANN001, ANN201


def on_the_host(run: Evaluator, *arguments, monkeypatch):  # noqa: ANN001, ANN002, ANN202
    """The same kernels, with head, loss and sums in NumPy."""
    with monkeypatch.context() as patch:
        patch.setattr(CudaProgram, "begin_step", lambda program, shared_S: OnTheHost(program, shared_S))
        return run.gradient(*arguments)


def assert_same(found, expected, atol: float = 1e-14) -> None:  # noqa: ANN001
    for name in ("gradient_P", "outputs_BC", "losses_B", "loss", "drift"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-13, atol=atol, err_msg=name)


@pytest.mark.parametrize("name", MODELS)
def test_a_step_on_the_device_is_the_step_on_the_host(cupy, name, monkeypatch):
    cupy()
    model = make(name)
    run = evaluator(model)
    arguments = inputs(model, 37)
    found = run.gradient(*arguments)
    assert_same(found, on_the_host(run, *arguments, monkeypatch=monkeypatch))
    theta, x, _ = arguments
    np.testing.assert_allclose(run.outputs(theta, x), found.outputs_BC, atol=1e-14)
    assert run.expectations(theta, x).shape == (37, model.observables.n_observables)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_runs_on_the_device(cupy, loss, monkeypatch):
    cupy()
    model = make("regression")
    model.loss = next(case for case in CASES if case.name == loss)  # of the first task that it takes
    model.head = HEADS["linear"](1, model.loss.n_outputs)
    if model.loss.n_classes is not None:
        model.loss = ClassWeighted(model.loss, np.array([0.5, 2.0]))
    run = evaluator(model)
    arguments = inputs(model, 19)
    assert_same(run.gradient(*arguments), on_the_host(run, *arguments, monkeypatch=monkeypatch))


@pytest.mark.parametrize(
    "head",
    [head for head in HEAD_CASES if head.n_observables in (1, 3)],
    ids=lambda head: f"{head.name}-{head.n_observables}-{head.n_parameters}",
)
def test_every_head_runs_on_the_device(cupy, head, monkeypatch):
    cupy()
    model = make("regression")
    model.observables = assemble_observables(3, "z", {"qubits": [0, 1, 2][: head.n_observables]})
    model = Model(model.circuit, model.observables, head, LOSSES["mean_squared_error"](None))
    model.loss = model.loss if head.n_outputs == 1 else LOSSES["cross_entropy"](head.n_outputs)
    run = evaluator(model)
    arguments = inputs(model, 19)
    assert_same(run.gradient(*arguments), on_the_host(run, *arguments, monkeypatch=monkeypatch))


@pytest.mark.parametrize(
    "name", ["angle, scaled, binary", "amplitude, projectors", "biases too", "weighted fidelity", "network behind"]
)
def test_a_step_waits_once_and_comes_back_in_one_transfer_a_chunk(cupy, name):
    machine = cupy((True, True)).machine
    model = make(name)
    run = evaluator(model, chunk=16)
    for k, batch in enumerate((5, 16, 40, 90)):
        arguments = inputs(model, batch)
        run.gradient(*arguments)  # new shapes: memory, class weights and coefficients come to the device
        for _ in range(4):  # plain, captured, replayed
            before = machine.synchronizations, machine.to_host, machine.to_device, machine.event_waits
            run.gradient(*arguments)
            after = machine.synchronizations, machine.to_host, machine.to_device, machine.event_waits
            chunks = -(-batch // 16)
            waits, fetched, sent, flow = (b - a for a, b in zip(before, after, strict=True))
            assert waits == 1, (k, waits)
            assert fetched == chunks
            assert sent == chunks
            assert flow <= max(0, chunks - 2)  # of copies two chunks old, where the host runs ahead


def test_a_value_that_goes_to_the_host_is_noticed(cupy, monkeypatch):
    cupy()
    model = make("angle, scaled, binary")
    run = evaluator(model)
    head = type(model.head)

    def forward(self, parameters_P, expectations_BK):  # noqa: ANN001, ANN202
        return expectations_BK * float(parameters_P[0])

    monkeypatch.setattr(head, "forward", forward)
    with pytest.raises(HostRoundTripError):
        run.gradient(*inputs(model, 5))


def trained(name: str, chunk: int, batches: list[int], fault: Callable[[], None] | None = None):  # noqa: ANN201
    """Gradients of several steps with parameters and data that change; `fault` happens once the tables are there."""
    model = make(name)
    run = evaluator(model, chunk)
    run.program.device_plan.device.synchronize()
    if fault is not None:
        fault()
    theta = inputs(model, 1)[0]
    found = []
    for k, batch in enumerate(batches):
        _, x, targets = inputs(model, batch)
        result = run.gradient(theta, np.roll(x, k, axis=0), np.roll(targets, k))
        theta = theta - 0.3 * result.gradient_P
        found.append(result)
    return found


@pytest.mark.parametrize("lazy", LATE)
@pytest.mark.parametrize("name", ["biases too", "amplitude, padded"])
def test_streams_wait_for_each_other_wherever_they_must(cupy, lazy, name, monkeypatch):
    cupy()
    with monkeypatch.context() as patch:
        patch.setattr(CudaProgram, "begin_step", lambda program, shared_S: OnTheHost(program, shared_S))
        expected = trained(name, 16, [90] * 4)
    cupy(lazy)
    for a, b in zip(trained(name, 16, [90] * 4), expected, strict=True):
        assert_same(a, b, atol=1e-12)


def ignore(*_: object) -> None:
    pass


@pytest.mark.parametrize(
    ("fault", "lazy"),
    [
        ("compute does not wait for the copy", (False, True)),
        ("the copy does not wait for the kernels", (True, False)),
        ("the host does not wait for the copy", (True, True)),
        ("results are read too early", (True, False)),
    ],
)
def test_a_missing_wait_is_noticed(cupy, fault, lazy, monkeypatch):
    monkeypatch.setattr(cuda_step, "_GRAPH_SECONDS", -1)
    cupy()
    expected = trained("amplitude, padded", 16, [90] * 2)
    module = cupy(lazy)
    send = CupyDevice.send

    def plant() -> None:
        if fault == "compute does not wait for the copy":
            monkeypatch.setattr(CupyDevice, "wait", ignore)
        elif fault == "the copy does not wait for the kernels":
            monkeypatch.setattr(
                CupyDevice, "send", lambda self, t, s, n, after: send(self, t, s, n, self._event(self.copy_stream))
            )
        elif fault == "the host does not wait for the copy":
            monkeypatch.setattr(module.cuda, "Event", lambda disable_timing: _AlwaysDone(module.machine))
        else:
            monkeypatch.setattr(CupyDevice, "synchronize", ignore)

    try:
        found = trained("amplitude, padded", 16, [90] * 2, plant)
    except NonFiniteError:  # NaN of memory that was never written
        return
    worst = max(np.max(np.abs(a.outputs_BC - b.outputs_BC)) for a, b in zip(found, expected, strict=True))
    assert not worst < 1e-6


class _AlwaysDone(fake_cupy.Event):
    done = True


@pytest.mark.parametrize("name", ["biases too", "amplitude, projectors", "regression"])
def test_a_replayed_graph_gives_the_same_bits(cupy, name, monkeypatch):
    batches = [40, 40, 25, 40, 40, 25, 40, 25]
    machine = cupy((True, True)).machine
    found = trained(name, 48, batches)
    assert machine.graph_launches == 4  # each of two shapes in each of two places: plain, then captured and replayed
    monkeypatch.setattr(cuda_step, "_GRAPH_SECONDS", -1)
    machine = cupy((True, True)).machine
    for a, b in zip(found, trained(name, 48, batches), strict=True):
        np.testing.assert_array_equal(a.gradient_P, b.gradient_P)
        np.testing.assert_array_equal(a.outputs_BC, b.outputs_BC)
    assert machine.graph_launches == 0


def test_a_replay_launches_nothing_else_and_allocates_nothing(cupy):
    machine = cupy().machine
    model = make("angle, scaled, binary")
    run = evaluator(model)
    arguments = inputs(model, 50)
    for _ in range(4):
        run.gradient(*arguments)
    before = machine.launches, machine.mallocs, machine.graph_launches
    run.gradient(*arguments)
    assert (machine.launches, machine.mallocs, machine.graph_launches) == (before[0], before[1], before[2] + 1)


def test_many_slabs_and_nodes_may_be_captured(cupy, monkeypatch):
    monkeypatch.setattr(reduction, "SLAB", 1)
    machine = cupy().machine
    model = make("biases too")
    run = evaluator(model, chunk=16 * 15)
    arguments = inputs(model, 16 * 30 - 5)
    found = [run.gradient(*arguments).gradient_P for _ in range(4)]
    assert machine.graph_launches
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_what_breaks_a_capture_is_said_once_and_the_run_goes_on(cupy, monkeypatch):
    """A function that copies from the host while a graph is captured: one warning, no graph, no broken stream."""
    machine = cupy().machine
    model = make("angle, scaled, binary")
    run = evaluator(model)
    head = type(model.head)

    def forward(self, parameters_P, expectations_BK):  # noqa: ANN001, ANN202
        from qmltrain.training.reduction import array_namespace

        return expectations_BK * array_namespace(expectations_BK).asarray(np.ones(1))

    monkeypatch.setattr(head, "forward", forward)
    arguments = inputs(model, 5)
    expected = run.gradient(*arguments).gradient_P
    run.gradient(*arguments)  # the other place
    line = r"^engine cuda: no CUDA graphs from here on, cudaErrorStreamCaptureUnsupported: a copy from host memory"
    with pytest.warns(UserWarning, match=line) as warned:
        for _ in range(5):
            np.testing.assert_array_equal(run.gradient(*arguments).gradient_P, expected)
    assert len(warned) == 1
    assert machine.graph_launches == 0 and machine.capturing is None
    monkeypatch.undo()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (fake_cupy.CUDARuntimeError("cudaErrorStreamCaptureInvalidated: operation failed\nmore"), "cudaErrorStreamCap"),
        (AttributeError("'Stream' object has no attribute 'end_capture'"), "'Stream' object has"),
    ],
)
def test_any_failure_of_a_capture_costs_graphs_alone(cupy, fault, said):
    machine = cupy().machine
    machine.capture_failures.append(fault)
    model = make("biases too")
    run = evaluator(model)
    arguments = inputs(model, 20)
    expected = run.gradient(*arguments).gradient_P
    with pytest.warns(UserWarning, match=f"no CUDA graphs from here on, {said}") as warned:
        for _ in range(4):
            np.testing.assert_array_equal(run.gradient(*arguments).gradient_P, expected)
    assert len(warned) == 1
    assert machine.graph_launches == 0


def test_what_is_wrong_with_the_work_itself_ends_it(cupy, monkeypatch):
    """A GPU that is lost while a graph is made is lost without one, too."""
    cupy()
    model = make("biases too")
    run = evaluator(model)
    arguments = inputs(model, 20)
    run.gradient(*arguments)
    run.gradient(*arguments)

    def lost(*_: object, **__: object) -> None:
        raise fake_cupy.CUDARuntimeError("cudaErrorIllegalAddress: an illegal memory access was encountered")

    monkeypatch.setattr(fake_cupy.Function, "__call__", lost)
    with pytest.warns(UserWarning), pytest.raises(QmltrainError, match=r"^GPU Fake GPU: cudaErrorIllegal.*snapshot$"):
        run.gradient(*arguments)


@pytest.mark.parametrize(
    ("name", "graphs"),
    [
        ("biases too", True),
        ("reuploading, linear, cross entropy", False),
        pytest.param("biases too", False, marks=pytest.mark.slow),
        pytest.param("reuploading, linear, cross entropy", True, marks=pytest.mark.slow),
    ],
)
def test_chunks_change_no_bit(cupy, name, graphs, monkeypatch):
    if not graphs:
        monkeypatch.setattr(cuda_step, "_GRAPH_SECONDS", -1)
    found = []
    for chunk in (16, 48, 112, 256):
        cupy((True, False))
        found.append(trained(name, chunk, [150] * 3))
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a.gradient_P, b.gradient_P)
            np.testing.assert_array_equal(a.losses_B, b.losses_B)
            assert a.loss == b.loss


def test_an_abandoned_step_leaves_nothing_behind(cupy, monkeypatch):
    machine = cupy((True, True)).machine
    model = make("biases too")
    run = evaluator(model, chunk=16)
    arguments = inputs(model, 90)
    expected = run.gradient(*arguments)
    asked = iter([False, False, False, True])
    with pytest.raises(StepAbandoned):
        run.gradient(*arguments, lambda: next(asked))
    before = machine.synchronizations
    assert_same(run.gradient(*arguments), expected)
    assert machine.synchronizations == before + 2  # what was queued, then the step itself


def test_graphs_make_room_for_each_other(cupy, monkeypatch):
    machine = cupy().machine
    monkeypatch.setattr(cuda_step, "_GRAPHS", 4)
    model = make("angle, scaled, binary")
    run = evaluator(model)
    expected = {batch: run.gradient(*inputs(model, batch)).gradient_P for batch in range(1, 8)}
    for _ in range(4):
        for batch in (3, 3, 3, 3, 5, 5, 5, 5):
            np.testing.assert_array_equal(run.gradient(*inputs(model, batch)).gradient_P, expected[batch])
    assert machine.graph_launches
    assert len(run.program._memory.graphs._graphs) <= 4


def test_the_right_sample_is_named_where_a_loss_is_not_finite(cupy):
    cupy()
    model = make("regression")
    run = evaluator(model, chunk=16)
    theta, x, targets = inputs(model, 40)
    targets[37] = 1e200
    with pytest.raises(Exception, match=r"^loss of sample 37 of the batch is inf"):
        run.gradient(theta, x, targets)
