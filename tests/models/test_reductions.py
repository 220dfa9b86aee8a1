"""What is asked for by `engine.reductions` is what is taken, stored, and used again."""

from __future__ import annotations

import pytest

from qmltrain.config.groups.engine import REDUCTIONS
from qmltrain.config.schema import Config
from qmltrain.errors import InputError
from qmltrain.fusion.reductions import planner
from qmltrain.models import reductions
from qmltrain.models.reductions import reductions_of


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
    assert reductions_of(config(None), {}, 16).names == ()  # it began before there were any


def test_without_the_wing_there_are_none(monkeypatch):
    monkeypatch.setattr(reductions, "_module", lambda name: None)
    assert reductions_of(config(None), None, 16).names == ()
    with pytest.raises(InputError, match=r"engine.reductions: light_cones is not part of this installation"):
        reductions_of(config(["light_cones"]), None, 16)
