"""Whether a product start is worth it, and what `qmltrain plan` says of it. The engine that takes it is tested in
tests/engines/cpu/test_product_start.py."""

from __future__ import annotations

from dataclasses import replace

from qmltrain.circuit.angle import feature
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.reductions import product_start
from qmltrain.fusion.reductions.setting import Setting
from tests.engines.cases import hea

STRINGS = (PauliString(0, 1),)


def reduced(circuit: Circuit, samples: int = 16):
    return product_start.reduce(compile_plan(circuit, STRINGS), circuit, STRINGS, Setting(samples, "complex64"))


def test_it_is_taken_where_states_are_long_enough():
    one_sample = [n for n in (1, 7, 12) if reduced(hea(n, 3), 1).product_start]
    many = [n for n in (1, 2, 5, 6, 12) if reduced(hea(n, 3), 64).product_start]
    assert (one_sample, many) == ([12], [6, 12])


def test_the_gain_is_predicted():
    line = product_start.line(reduced(hea(12, 3)))
    assert line == "24 of 48 rotations come before anything entangles: one product state, 27 % fewer multiply-adds"


def test_the_plan_is_the_same_but_for_the_mark():
    plan = reduced(hea(8, 2))
    assert replace(plan, product_start=False) == compile_plan(hea(8, 2), STRINGS)


def test_an_encoding_alone_is_left_out():
    """It is a product state as it is, and of its gradients there is little to save."""
    body = hea(8, 2).gates
    gates = (*(Gate("ry", (q,), (feature(q),)) for q in range(8)), *body[-8:], *body)
    plan = reduced(replace(hea(8, 2), gates=gates))
    assert not plan.product_start
    assert (
        product_start.line(plan) == "left out: 8 of 32 rotations come before anything entangles, too few to save time"
    )


def test_amplitudes_have_no_start():
    plan = reduced(replace(hea(8, 2), amplitude_encoded=True))
    assert not plan.product_start
    assert product_start.line(plan) == "does not apply: samples are amplitudes"


def test_a_circuit_without_gates():
    plan = reduced(Circuit(3, (), ()))
    assert not plan.product_start
    assert product_start.line(plan) == "left out: 0 of 0 rotations come before anything entangles, too few to save time"
