"""Which stretches become matrices: those that are deep, for many samples."""

from __future__ import annotations

from functools import cache

import pytest

from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.engines.interpreter import InterpreterEngine
from qmltrain.engines.protocol import EngineOptions
from qmltrain.engines.reference import ReferenceEngine
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.reductions import shared_blocks
from qmltrain.fusion.reductions.planner import ReducedPlanner
from qmltrain.fusion.reductions.setting import Setting
from qmltrain.fusion.stretches import shared_stretches
from tests.circuit.strategies import random_inputs
from tests.engines.comparison import assert_close, run

compiled = cache(compile_plan)  # the plan before the reduction is the same for any number of samples


@cache
def circuit_of(n: int, layers: int, encoding: str = "angle", **options):
    return assemble(n, n, encoding, options, "hea", {"layers": layers})


def plan_of(circuit, samples: int, precision: str = "complex64"):
    strings = assemble_observables(circuit.n_qubits, "z", {}).strings
    return shared_blocks.reduce(compiled(circuit, strings), circuit, strings, Setting(samples, precision))


@pytest.mark.parametrize(
    ("n", "layers", "batch"),
    [(2, 30, 64), (3, 10, 128), (4, 10, 256), (4, 100, 256), (5, 20, 256), (6, 50, 512), (7, 30, 512), (8, 50, 4096)],
)
def test_deep_and_many(n: int, layers: int, batch: int):
    for precision in ("complex64", "complex128"):
        plan = plan_of(circuit_of(n, layers), batch, precision)
        (block,) = plan.shared_blocks
        assert (block.first, block.last) == shared_stretches(plan)[0]
        assert block.gain > 1


@pytest.mark.parametrize(
    ("n", "layers", "batch"), [(4, 10, 16), (4, 100, 1), (4, 1, 512), (6, 50, 64), (7, 100, 128), (8, 20, 512)]
)
def test_flat_or_few(n: int, layers: int, batch: int):
    plan = plan_of(circuit_of(n, layers), batch)
    assert plan.shared_blocks == ()
    assert shared_blocks.line(plan).startswith("none: no stretch")


def test_too_many_qubits():
    plan = plan_of(circuit_of(9, 100), 10**6)
    assert not plan.shared_blocks
    assert shared_blocks.line(plan) == "none: more than 8 qubits"


def test_every_deep_stretch_between_encodings_is_one():
    circuit = circuit_of(4, 20, "reuploading", repeats=3, trainable="none")
    plan = plan_of(circuit, 512)
    assert len(plan.shared_blocks) == 3
    gains = [one.gain for one in plan.shared_blocks]
    assert gains[0] > gains[1] == pytest.approx(gains[2], rel=0.2)  # real states first, and no bra to carry on
    assert "in 3 blocks, each a matrix of 2^4 rows" in shared_blocks.line(plan)


def test_gradients_of_the_encoding_cost_a_product_more():
    gains = [
        plan_of(circuit_of(4, 40, "reuploading", repeats=1, trainable=trainable), 512).shared_blocks[0].gain
        for trainable in ("none", "weights")
    ]
    assert gains[0] > 1.2 * gains[1] > 1.2


def test_more_samples_and_more_layers_never_pay_less():
    for n in range(2, 9):
        gains = {}
        for layers in (5, 20, 80):
            for batch in (16, 64, 256, 1024, 4096):
                blocks = plan_of(circuit_of(n, layers), batch).shared_blocks
                gains[layers, batch] = blocks[0].gain if blocks else 0.0
        for (layers, batch), gain in gains.items():
            assert gain <= gains.get((layers, 4 * batch), 1e9)
            assert gain <= gains.get((4 * layers, batch), 1e9)


@pytest.mark.parametrize("engine", [ReferenceEngine(), InterpreterEngine()])
def test_engines_that_do_not_know_the_mark_give_the_same(engine):
    circuit = circuit_of(3, 8)
    strings = assemble_observables(3, "z", {}).strings
    theta, x = random_inputs(circuit, 5)
    planner = ReducedPlanner(("shared_blocks",), Setting(4096, "complex128"))
    assert planner(circuit, strings).shared_blocks
    found = run(engine, circuit, strings, theta, x, engine_options=EngineOptions(planner=planner))
    assert_close(found, run(engine, circuit, strings, theta, x), "complex128")
