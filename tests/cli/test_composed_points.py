"""Points are composed once, and what is kept is what Hydra composed."""

from __future__ import annotations

import pickle
from dataclasses import dataclass

import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from qmltrain.cli.composed_points import ComposedPoints
from qmltrain.cli.composing import CONFIG_NAME, hydra_session

SWEPT = ["run.seed=1,2", "encoding=angle,none", "+hydra.job.env_set.WHEN='${now:%f}'"]
POINTS = [[f"run.seed={seed}", f"encoding={encoding}"] for seed in (1, 2) for encoding in ("angle", "none")]


@pytest.fixture
def sweep():
    """Hydra's own loader, and the master config of a sweep."""
    with hydra_session():
        hydra = GlobalHydra.instance().hydra
        yield hydra.config_loader, hydra.compose_config(CONFIG_NAME, SWEPT, RunMode.MULTIRUN)


class Counting:
    """A loader that counts how often it is asked to compose."""

    def __init__(self, loader):
        self.loader, self.composed = loader, 0

    def load_sweep_config(self, master_config, sweep_overrides):
        self.composed += 1
        return self.loader.load_sweep_config(master_config, sweep_overrides)


def text(config) -> str:
    """Everything in it, interpolations resolved."""
    return OmegaConf.to_yaml(config, resolve=True)


def test_the_second_request_is_answered_with_what_hydra_composes(sweep):
    loader, master = sweep
    text(master)  # resolves the time, which all points share
    counting = Counting(loader)
    points = ComposedPoints(counting)
    first = [points.load_sweep_config(master, point) for point in POINTS]
    second = [points.load_sweep_config(master, point) for point in POINTS]
    assert counting.composed == len(POINTS)
    for point, one, other in zip(POINTS, first, second, strict=True):
        own = loader.load_sweep_config(master, point)
        assert text(one) == text(other) == text(own)
        for group in own:
            assert OmegaConf.get_type(other[group]) is OmegaConf.get_type(own[group])
        assert OmegaConf.is_struct(other) and OmegaConf.is_readonly(other) == OmegaConf.is_readonly(own)
    assert len({text(config) for config in second}) == len(POINTS)


def test_a_value_that_is_resolved_meanwhile_is_that_of_the_sweep(sweep):
    loader, master = sweep
    points = ComposedPoints(loader)
    points.load_sweep_config(master, POINTS[0])
    when = master.hydra.job.env_set.WHEN
    assert when == points.load_sweep_config(master, POINTS[0]).hydra.job.env_set.WHEN


def test_changing_a_config_changes_no_other(sweep):
    loader, master = sweep
    points = ComposedPoints(loader)
    points.load_sweep_config(master, POINTS[0]).run.seed = 77
    assert points.load_sweep_config(master, POINTS[0]).run.seed == 1


def test_the_third_request_is_composed_anew(sweep):
    loader, master = sweep
    counting = Counting(loader)
    points = ComposedPoints(counting)
    for composed in (1, 1, 2, 2):
        points.load_sweep_config(master, POINTS[0])
        assert counting.composed == composed


def test_classes_that_their_names_do_not_lead_to(sweep):
    """As those of hydra-joblib-launcher, whose module Hydra imports twice."""

    @dataclass
    class Launcher:
        n_jobs: int = 2

    class Loader:
        def load_sweep_config(self, master_config, sweep_overrides):
            return OmegaConf.structured(Launcher(3))

    _, master = sweep
    points = ComposedPoints(Loader())
    for _ in range(2):
        config = points.load_sweep_config(master, POINTS[0])
        assert config.n_jobs == 3 and OmegaConf.get_type(config) is Launcher
    with pytest.raises(ValidationError):
        config.n_jobs = "many"


def test_another_process_gets_the_loader_alone(sweep):
    loader, master = sweep
    text(master)
    points = ComposedPoints(loader)
    empty = len(pickle.dumps(points))
    expected = text(points.load_sweep_config(master, POINTS[0]))
    sent = pickle.dumps(points)
    assert len(sent) == empty
    assert text(pickle.loads(sent).load_sweep_config(master, POINTS[0])) == expected


def test_all_else_is_asked_of_hydras_loader(sweep):
    loader, _ = sweep
    assert ComposedPoints(loader).get_group_options("encoding") == loader.get_group_options("encoding")
