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
from qmltrain.training.native_recipe import step_recipe
from qmltrain.training.optimizers import Adam
from qmltrain.training.state import TrainingPlan
from tests.small_configs import ising_chain, moons

PLAN = TrainingPlan(1, 1, None, "train/loss", None, None, lambda step: 0.01)


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


def test_who_chooses_the_matrices_of_shared_gates(tmp_path):
    """The planner; the engine itself where a run began before there was one; nobody, where none are asked for."""
    options = {
        "engine__name": "cpu",
        "ansatz__layers": 60,
        "encoding__name": "angle",
        "encoding__repeats": None,
    }
    deep = moons(tmp_path, **options)
    model = build_model(deep, 2, 2)
    began = compile_model(deep, model, samples=256)
    (block,) = began.program.plan.shared_blocks
    assert block.gain > 2
    again = compile_model(deep, model, began.choices(), samples=256)
    assert again.program.plan == began.program.plan
    before = {name: value for name, value in began.choices().items() if name != "reductions"}
    older = compile_model(deep, model, before, samples=256)
    assert older.program.plan.shared_blocks is None
    assert "reductions" not in older.choices()
    without = compile_model(moons(tmp_path, engine__reductions=[], **options), model, samples=256)
    assert without.program.plan.shared_blocks == ()
    found = {}
    for name, one in (("planner", began), ("engine", older), ("nobody", without)):
        found[name] = one.program.training_steps(step_recipe(model, Adam(model.n_parameters), PLAN)).as_matrix(256)
    assert found == {"planner": True, "engine": True, "nobody": False}


def test_array_steps_take_no_matrices_in_the_place_of_real_states(tmp_path):
    """They would not use them. A run that began with both goes on so."""
    options = {
        "engine__name": "cpu",
        "ansatz__name": "real_amplitudes",
        "ansatz__layers": 60,
        "encoding__name": "angle",
    }
    options |= {"encoding__repeats": None}
    native, arrays = moons(tmp_path, **options), moons(tmp_path, optimizer__name="lbfgs", **options)
    model = build_model(native, 2, 2)
    assert compile_model(native, model, samples=256).program.plan.shared_blocks
    began = compile_model(arrays, model, samples=256)
    assert began.program.plan.real and began.program.plan.shared_blocks == ()
    assert dict(began.reductions.lines())["shared_blocks"].startswith("none: not in array steps (optimizer.name=lbfgs")
    assert "shared_blocks" not in began.choices()["reductions"]
    before = began.choices() | {"reductions": list(planner.REDUCTIONS)}
    assert compile_model(arrays, model, before, samples=256).program.plan.shared_blocks


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


@pytest.mark.parametrize(("engine", "taken"), [("interpreter", False), ("reference", False), ("cpu", True)])
def test_an_engine_gets_what_saves_it_work(tmp_path, engine, taken):
    changes = {"circuit__n_qubits": 6, "ansatz__name": "real_amplitudes", "ansatz__layers": 2, "engine__name": engine}
    config = ising_chain(tmp_path, **changes)
    reductions = compile_model(config, build_model(config, 0, None), samples=1).reductions
    said = dict(reductions.lines())["real_states"]
    assert (said == f"none: not with engine.name={engine}") != taken
    if reductions.plans is not None:
        assert all(plan.real == taken for plan in reductions.plans)


def test_what_does_not_fit_says_that_light_cones_would(tmp_path):
    config = ising_chain(tmp_path, circuit__n_qubits=60, engine__name="cpu", engine__reductions=[], ansatz__layers=1)
    with pytest.raises(
        InputError, match=r"at most 32 are possible; with light_cones in engine\.reductions \d+ qubits are"
    ):
        compile_model(config, build_model(config, 0, None), samples=1)
