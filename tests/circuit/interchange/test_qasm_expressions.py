"""Polynomials as angles: every angle that a circuit can have is recognised, sums that it cannot have are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.interchange.qasm_expressions import Expression, NotAnAngleError, Symbol, to_angle
from tests.circuit.dense import angle_value
from tests.circuit.strategies import angles
from tests.examples import examples


def expression_of(angle: Angle) -> Expression:
    """The polynomial that an Angle is, term by term as its definition says."""
    total = Expression.number(1.0 if angle.weight is not None or angle.feature else 0.0).scaled(angle.scale)
    if angle.feature is not None:
        for index in angle.feature.indices:
            kind = "arccos" if angle.feature.kind == "arccos" else "feature"
            symbol = Expression.symbol(Symbol(kind, index))
            total = total * (
                Expression.number(angle.feature.centre) - symbol if angle.feature.kind == "product" else symbol
            )
    if angle.weight is not None:
        total = total * Expression.symbol(Symbol("parameter", angle.weight))
    if angle.bias is not None:
        total = total + Expression.symbol(Symbol("parameter", angle.bias))
    return total + Expression.number(float(angle.offset))


@settings(max_examples=examples(200))
@given(angles(), st.integers(0, 2**32))
@example(Angle(2.0, Feature("product", (0, 0, 1), math.pi), 1, 1, 0.5), 0)
@example(Angle(-1.0, Feature("product", (2, 1), 0.0), None, 3, 0.0), 1)
def test_every_angle_of_a_circuit_is_recognised(angle, seed):
    generator = np.random.default_rng(seed)
    theta, x = generator.normal(size=4), generator.uniform(-0.9, 0.9, size=3)
    found = to_angle(expression_of(angle))
    assert angle_value(found, theta, x) == pytest.approx(angle_value(angle, theta, x), rel=1e-9, abs=1e-9)


def test_sums_of_three_parameters_are_no_angle():
    three = [Expression.symbol(Symbol("parameter", k)) for k in range(3)]
    with pytest.raises(NotAnAngleError, match="two parameters may be added"):
        to_angle(three[0] + three[1] + three[2])
    with pytest.raises(NotAnAngleError, match="two parameters may be added"):
        to_angle(three[0].scaled(2) + three[1].scaled(3))
    assert to_angle(three[0].scaled(2) + three[1]) == Angle(2.0, None, 0, 1)
