"""What is asked for by `engine.reductions` is what is taken, stored, and used again."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.config.groups.engine import REDUCTIONS
from qmltrain.config.schema import Config
from qmltrain.engines.cones.program import ConesProgram
from qmltrain.errors import InputError
from qmltrain.fusion.reductions import planner
from qmltrain.models import reductions
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.reductions import reductions_of
from tests.small_configs import ising_chain


def config(asked: list[str] | None) -> Config:
    one = Config()
    one.engine.reductions = asked
    return one


def test_the_config_knows_those_that_there_are():
    assert set(REDUCTIONS) == set(planner.REDUCTIONS)


def test_null_is_all_and_an_empty_list_none():
    assert reductions_of(config(None), None, 16).names == planner.REDUCTIONS
    assert reductions_of(config([]), None, 16).names == ()
    assert reductions_of(config(["light_cones"]), None, 16).names == ("light_cones",)


def test_a_run_that_goes_on_has_those_that_it_began_with():
    assert reductions_of(config(None), {"reductions": ["light_cones"]}, 16).names == ("light_cones",)
    assert reductions_of(config(None), {}, 16).names is None  # it began before there were any


def test_without_the_wing_there_are_none(monkeypatch):
    monkeypatch.setattr(reductions, "_module", lambda name: None)
    assert reductions_of(config(None), None, 16).names == ()
    with pytest.raises(InputError, match=r"engine.reductions: light_cones is not part of this installation"):
        reductions_of(config(["light_cones"]), None, 16)


@pytest.mark.parametrize("layers", [1, 2])
def test_the_energy_of_64_spins_has_the_gradient_of_its_differences(tmp_path, layers):
    changes = {"circuit__n_qubits": 64, "ansatz__name": "simplified_two_design", "ansatz__layers": layers}
    config = ising_chain(tmp_path, engine__name="auto", **changes)
    model = build_model(config, 0, None)
    evaluator = compile_model(config, model, samples=1).evaluator
    assert isinstance(evaluator.program, ConesProgram)
    generator = np.random.default_rng(2)
    theta, none = generator.uniform(-3, 3, model.n_parameters), np.zeros((1, 0))
    gradient = evaluator.gradient(theta, none, np.zeros(1)).gradient_P
    for _ in range(3):
        direction = generator.normal(size=len(theta))
        up, down = (evaluator.outputs(theta + sign * 1e-4 * direction, none)[0, 0] for sign in (1, -1))
        assert (up - down) / 2e-4 == pytest.approx(gradient @ direction, rel=1e-6, abs=1e-6)
