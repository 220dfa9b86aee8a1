"""No version renames a run: directories of the shipped experiments and of other commands, as they were first named."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from functools import cache

import pytest
import yaml

from qmltrain.cli import composing
from qmltrain.cli.composing import compose_config
from qmltrain.config import identity, reference, schema, storage
from qmltrain.config.groups.train import TrainConfig
from qmltrain.config.identity import check_same_run
from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.schema import Config
from qmltrain.config.storage import from_yaml, to_dict, to_yaml
from qmltrain.errors import InputError
from qmltrain.sessions.training_run import run_directory
from qmltrain.shipped_files import entry_names

NAMES = [
    ("experiment=cifar10", "runs/cifar10-643bbd5f"),
    ("experiment=cifar10_full", "runs/cifar10_full-2158d339"),
    ("experiment=circles", "runs/circles-c097fee1"),
    ("experiment=diabetes", "runs/diabetes-83bebe6d"),
    ("experiment=digits", "runs/digits-08a8ed97"),
    ("experiment=digits_amplitude", "runs/digits_amplitude-903458b7"),
    ("experiment=digits_dressed", "runs/digits_dressed-a24458f4"),
    ("experiment=headline", "runs/headline-d0e6c0e2"),
    ("experiment=iris", "runs/iris-cb03cd29"),
    ("experiment=kernel_digits", "runs/kernel_digits-bb689eff"),
    ("experiment=mnist", "runs/mnist-c9ce2bb2"),
    ("experiment=mnist_amplitude", "runs/mnist_amplitude-abefb4d2"),
    ("experiment=mnist_full", "runs/mnist_full-33bf3055"),
    ("experiment=qaoa_maxcut", "runs/qaoa_maxcut-ef0d4acb"),
    ("experiment=vqe_ising", "runs/vqe_ising-813b6762"),
    ("experiment=expressibility_sim", "runs/expressibility_sim-6f22340c"),
    ("experiment=plateau_cost", "runs/plateau_cost-0b2483bb"),
    ("experiment=plateau_mcclean", "runs/plateau_mcclean-2d1e8403"),
    ("experiment=starts", "runs/starts-1803ec7a"),
    ("experiment=qml_benchmarks/circuit_centric", "runs/circuit_centric-0e300cb7"),
    ("experiment=qml_benchmarks/data_reuploading", "runs/data_reuploading-04e12d7b"),
    ("experiment=qml_benchmarks/data_reuploading_no_cost", "runs/data_reuploading_no_cost-b335994f"),
    ("experiment=qml_benchmarks/data_reuploading_no_scaling", "runs/data_reuploading_no_scaling-3d9e891a"),
    ("experiment=qml_benchmarks/data_reuploading_separable", "runs/data_reuploading_separable-c3a2e31e"),
    ("experiment=qml_benchmarks/dressed", "runs/dressed-b7b9c7b5"),
    ("experiment=qml_benchmarks/iqp_variational", "runs/iqp_variational-52386797"),
    ("experiment=qml_benchmarks/separable_variational", "runs/separable_variational-243fe3da"),
    ("experiment=qml_benchmarks/tree_tensor", "runs/tree_tensor-c3a41c3f"),
    ("experiment=qml_benchmarks/vanilla_qnn", "runs/vanilla_qnn-241da99e"),
    ("", "runs/run-4d17886a"),
    ("run.seed=1", "runs/run-5bdcb0aa"),
    ("preprocess.pca=null", "runs/run-fac8e85d"),
    ("experiment=digits encoding.repeats=2 ansatz=real_amplitudes", "runs/digits-7e3b74b3"),
    (
        "experiment=digits ansatz=strongly_entangling optimizer.learning_rate=0.02 run.seed=1",
        "runs/digits-d771a176",
    ),
    (
        "dataset=make_moons dataset.n_samples=500 preprocess=angles circuit.n_qubits=4 encoding.repeats=3",
        "runs/run-e3bc9b65",
    ),
    (
        "dataset=none encoding=none head=raw loss=expectation observable=ising ansatz.layers=4 train.epochs=300",
        "runs/run-25eec849",
    ),
    (
        "engine.threads=3 engine.memory_gib=2 run.keep=9 run.gradients=full study.rows=3 run.save_every=7 "
        "run.progress=none",
        "runs/run-4d17886a",
    ),
    (
        "run.name=other run.root=elsewhere gradient=checkpoint gradient.checkpoint_interval=3 engine=cpu "
        "engine.precision=complex128 engine.fusion=false",
        "elsewhere/other-45b6693d",
    ),
    (
        "optimizer=lbfgs schedule=constant train.perceptron=true train.baseline=false train.freeze=[0,encoding]",
        "runs/run-9b37d081",
    ),
    (
        "dataset.classes=[3,6] loss=binary_cross_entropy loss.class_weights=balanced preprocess=standard "
        "preprocess.resize=[4,8]",
        "runs/run-df459a52",
    ),
    (
        "run.seed_split=1 run.seed_initial=2 run.seed_order=3 train.initial=beta "
        "train.initial_shape=[1,3] schedule=step schedule.factor=0.5",
        "runs/run-f849c781",
    ),
]


@cache
def composed(command: str) -> Config:
    """By the schema of today: not for tests of a later version."""
    config = compose_config(command.split())
    assert config is not None
    return config


def name_of(command: str, *words: str) -> str:
    config = compose_config([*command.split(), *words])
    assert config is not None
    return str(run_directory(config))


def test_every_experiment_is_here():
    assert {command.removeprefix("experiment=") for command, _ in NAMES} >= {*entry_names("experiment")}


@pytest.mark.parametrize(("command", "name"), NAMES, ids=[command for command, _ in NAMES])
def test_the_name_is_what_it_was(command, name):
    assert str(run_directory(composed(command))) == name


@dataclass
class LaterTrainConfig(TrainConfig):
    """A group of today with keys that a later version added."""

    average: bool = option(True, "")
    momenta: list[float] = option([0.5, 0.25], "")
    limit: float | None = option(None, "")
    shown: int = option(3, "", same_run="what is shown on screen")


@dataclass
class NoiseConfig(ConfigGroup):
    """A group that a later version added."""

    name: str = option("none", "")
    rate: float = option(0.1, "")


@dataclass
class LaterConfig(Config):
    train: TrainConfig = field(default_factory=LaterTrainConfig)
    noise: NoiseConfig = field(default_factory=NoiseConfig)


@pytest.fixture
def later_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """The schema with more keys in a group, and one more group."""
    for module in (schema, identity, reference, storage, composing):
        monkeypatch.setattr(module, "Config", LaterConfig)
    for module in (schema, reference, composing):
        monkeypatch.setattr(module, "GROUPS", tuple(item.name for item in dataclasses.fields(LaterConfig)))


def test_keys_and_groups_of_a_later_version_rename_nothing(monkeypatch, request):
    stored = [(to_yaml(composed(command)), name) for command, name in NAMES]
    request.getfixturevalue("later_version")
    for text, name in stored:
        config = from_yaml(text)
        assert isinstance(config, LaterConfig) and str(run_directory(config)) == name


@pytest.mark.parametrize(("command", "name"), NAMES[::9], ids=[command for command, _ in NAMES[::9]])
def test_written_out_with_their_defaults_they_rename_nothing(later_version, command, name):
    written_out = ["train.average=true", "train.momenta=[0.5,0.25]", "train.limit=null", "noise.name=none"]
    assert name_of(command) == name
    assert name_of(command, *written_out, "train.shown=9") == name


def test_where_they_are_used_they_are_another_run(later_version):
    uses = ["train.average=false", "train.momenta=[0.5]", "train.limit=1", "noise.name=bit_flip", "noise.rate=0.2"]
    names = [name_of("experiment=iris", word) for word in uses]
    assert len({*names, "runs/iris-cb03cd29"}) == len(uses) + 1


def test_a_run_of_today_goes_on_in_a_later_version_that_leaves_its_keys_alone(monkeypatch, request):
    stored = to_yaml(compose_config(["experiment=iris"]))
    request.getfixturevalue("later_version")
    old = yaml.safe_load(stored)
    check_same_run(old, to_dict(compose_config(["experiment=iris", "train.shown=9"])), "runs/iris")
    assert run_directory(from_yaml(stored)) == run_directory(compose_config(["experiment=iris"]))
    with pytest.raises(InputError, match=r"\(noise.name was \"none\", now \"bit_flip\"\)"):
        check_same_run(old, to_dict(compose_config(["experiment=iris", "noise.name=bit_flip"])), "runs/iris")
    with pytest.raises(InputError, match=r"\(train.average was true, now false\)"):
        check_same_run(old, to_dict(compose_config(["experiment=iris", "train.average=false"])), "runs/iris")
