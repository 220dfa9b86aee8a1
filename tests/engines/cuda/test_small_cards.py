"""Cards with little memory: what is forecast is what is taken; steps fit beside graphs and with a short last chunk.

The stand-in for CuPy has as much memory as is said and counts all of it, whatever pool takes it; at the size of cards
it is idle: memory is never touched and nothing is computed.
"""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.cuda import step as cuda_step
from qmltrain.engines.protocol import BLOCK, GradientOptions
from qmltrain.training.gradients import Evaluator, chunk_size
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES
from qmltrain.training.model import Model
from tests.engines.cases import hea
from tests.engines.cuda import fake_cupy
from tests.engines.cuda.emulator_device import compiler
from tests.training.small_models import inputs, make

GIB = 1 << 30
needs_compiler = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


@pytest.fixture
def card(monkeypatch):
    """Makes a card with so much memory."""

    def install(free_bytes: int, idle: bool = False):  # noqa: ANN202
        gc.collect()
        return fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make(free_bytes, idle=idle)).machine

    return install


def model_of(n_qubits: int, layers: int) -> Model:
    observables = assemble_observables(n_qubits, "z", {"qubits": [0]})
    head = HEADS["linear"](1, 1)
    return Model(hea(n_qubits, layers), observables, head, LOSSES["mean_squared_error"](None))


@pytest.mark.parametrize("mode", [GradientOptions(), GradientOptions("checkpoint")], ids=["reversible", "checkpoint"])
@pytest.mark.parametrize("n_qubits", [12, 16, 20, 22])
@pytest.mark.parametrize("size", [4, 8, 16])
def test_steps_of_whole_circuits_fit_cards_of_4_8_and_16_gib(card, size, n_qubits, mode):
    """A chunk takes what is forecast and most of the card is used; two chunks and a short one, again and again."""
    machine = card(size * GIB, idle=True)
    model = model_of(n_qubits, 3)
    engine = CudaEngine()
    assert engine.device.limits.memory_bytes == int(0.9 * size * GIB)
    program = engine.compile(model.circuit, model.observables.strings, "complex64", mode)
    chunk = chunk_size(program.forecast, 1)
    run = Evaluator(model, program, chunk)
    assert program.forecast.bytes(chunk) <= program.forecast.memory_bytes
    batch = min(2 * chunk, 2048) + 5  # the angles of many samples take time on the host
    generator = np.random.default_rng(0)
    theta, x = generator.normal(size=model.n_parameters), generator.normal(size=(batch, model.circuit.n_features))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(5):
            run.gradient(theta, x, np.ones(batch))
    assert machine.most <= size * GIB
    if batch > chunk:
        whole = program.forecast.bytes(chunk)
        assert whole + program.forecast.block_bytes > program.forecast.memory_bytes  # not one more would fit
        assert 0.7 * whole <= machine.most_live <= 1.02 * program.forecast.memory_bytes


@needs_compiler
def test_a_short_chunk_is_no_graph_where_the_long_ones_take_all_memory(card):
    """Nothing is missing, nothing is said; the bits are those of a card with room for graphs."""
    found, size = [], 1 << 20  # of which a block takes some tens of KiB
    for free_bytes in (size, 1 << 28):
        machine = card(free_bytes)
        model = make("biases too")
        program = CudaEngine().compile(model.circuit, model.observables.strings, "complex64")
        if free_bytes == size:
            chunk = chunk_size(program.forecast, len(model.observables.strings))
            short = chunk // BLOCK // 9 * BLOCK  # less than an eighth of the memory
            assert short >= 2 * BLOCK
        run = Evaluator(model, program, chunk)
        arguments = inputs(model, 2 * chunk + short)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found.append([run.gradient(*arguments).gradient_P for _ in range(6)])
        assert machine.most <= free_bytes
        assert (machine.graph_launches > 0) == (free_bytes > size)
    np.testing.assert_array_equal(*found)


@needs_compiler
def test_memory_that_other_pools_keep_is_given_to_a_graph(card):
    """What the launches before left in the default pool would do; the graph's own pool knows nothing of it."""
    machine = card(1 << 28)
    model = make("biases too")
    run = Evaluator(model, CudaEngine().compile(model.circuit, model.observables.strings, "complex64"), 64)
    arguments = inputs(model, 60)
    expected = run.gradient(*arguments).gradient_P
    run.gradient(*arguments)  # the other place
    machine.free_bytes = machine.used  # all that is there has been taken once
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(run.gradient(*arguments).gradient_P, expected)
    assert machine.graph_launches == 1
    with pytest.warns(
        UserWarning, match=r"^engine cuda: no CUDA graphs from here on, GPU memory: .* are free;"
    ) as said:
        for _ in range(4):  # another graph beside the first is too much
            np.testing.assert_array_equal(run.gradient(*arguments).gradient_P, expected)
    assert len(said) == 1
    assert machine.graph_launches == 1


@needs_compiler
def test_graphs_give_their_memory_back_where_it_is_missing(card, monkeypatch):
    """Another process has taken memory since: steps that need it go on, without graphs."""
    machine = card(1 << 28)
    monkeypatch.setattr(cuda_step, "_GRAPH_SHARE", 8)
    model = make("biases too")
    run = Evaluator(model, CudaEngine().compile(model.circuit, model.observables.strings, "complex64"), 64)
    few, many = inputs(model, 60), inputs(model, 64)
    expected = run.gradient(*many).gradient_P
    for _ in range(4):
        run.gradient(*few)
    assert machine.graph_launches
    machine.default_pool.free_all_blocks()
    machine.free_bytes = machine.used + (1 << 10)
    with pytest.warns(UserWarning, match="no CUDA graphs from here on, GPU memory: "):
        np.testing.assert_array_equal(run.gradient(*many).gradient_P, expected)
