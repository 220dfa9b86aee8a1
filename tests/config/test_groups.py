"""The config groups: every file composes, every registry entry has its file, every builder's option has its key."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import re

import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.config.schema import GROUPS, Config, options
from qmltrain.config.storage import to_dict
from qmltrain.shipped_files import configs_directory

ENTRIES = [
    (path.parent.name, path.stem)
    for path in sorted(configs_directory().glob("*/*.yaml"))
    if path.parent.name != "experiment"
]
EXPERIMENTS = sorted(path.stem for path in (configs_directory() / "experiment").glob("*.yaml"))

REGISTRIES = {
    "encoding": "qmltrain.circuit.library.encodings:ENCODINGS",
    "ansatz": "qmltrain.circuit.library.ansatze:ANSATZE",
    "observable": "qmltrain.circuit.library.observable_builders:OBSERVABLES",
    "head": "qmltrain.training.heads:HEADS",
    "loss": "qmltrain.training.losses:LOSSES",
    "dataset": "qmltrain.data.registry:SOURCES",
    "optimizer": "qmltrain.training.optimizers:OPTIMIZERS",
    "schedule": "qmltrain.training.schedules:SCHEDULES",
    "kernel": "qmltrain.quantum_kernels.kinds:KERNELS",
}


def registry(group: str) -> dict:
    module, name = REGISTRIES[group].split(":")
    return getattr(importlib.import_module(module), name)


def test_every_group_of_the_schema_has_a_folder_and_the_reverse():
    folders = {path.name for path in configs_directory().iterdir() if path.is_dir()}
    assert folders == {*GROUPS, "experiment"}


def test_nothing_chosen_gives_the_schemas_defaults():
    assert compose_config([]) == Config()


def rounds() -> list[dict[str, str]]:
    """Choices for every group at once, so that few composings see every entry."""
    entries = {group: [entry for folder, entry in ENTRIES if folder == group] for group in GROUPS}
    longest = max(map(len, entries.values()))
    return [{group: names[turn % len(names)] for group, names in entries.items()} for turn in range(longest)]


@pytest.mark.parametrize("choices", rounds(), ids=lambda choices: choices["ansatz"])
def test_every_entry_composes_and_changes_its_own_group_alone(choices):
    chosen, default = (
        to_dict(compose_config([f"{group}={entry}" for group, entry in choices.items()])),
        to_dict(Config()),
    )
    for group, entry in choices.items():
        if group in REGISTRIES:
            assert chosen[group] == {**default[group], "name": entry}  # so that group=entry and group.name=entry agree
        elif entry == "default":
            assert chosen[group] == default[group]


@pytest.mark.parametrize("group", REGISTRIES)
def test_every_registry_entry_has_a_file_and_is_named_in_the_comment(group):
    names = set(registry(group))
    assert {entry for folder, entry in ENTRIES if folder == group} == names
    meaning = next(item.metadata["meaning"] for key, _, item in options(Config()) if key == f"{group}.name")
    assert set(re.findall(r"\w+", meaning)) >= names


@pytest.mark.parametrize("group", ["encoding", "ansatz", "observable", "dataset", "head", "loss"])
def test_schema_and_builders_have_the_same_options(group):
    keys = {item.name for item in dataclasses.fields(getattr(Config(), group))}
    taken = {
        name
        for builder in registry(group).values()
        for name, parameter in inspect.signature(builder).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }
    of_every_entry = {
        "dataset": {"classes", "samples", "validation", "test", "test_path", "test_labels_path", "folds", "fold"},
        "loss": {"class_weights"},
    }
    assert keys == taken | of_every_entry.get(group, set()) | {"name"}


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_every_experiment_composes_and_carries_its_command_line(name):
    config = compose_config([f"experiment={name}"])
    assert config.run.name == name
    package, command = (configs_directory() / "experiment" / f"{name}.yaml").read_text().splitlines()[:2]
    assert package == "# @package _global_"
    assert re.fullmatch(rf"# (\w+=\S+ )*qmltrain (scan |kernel )?experiment={name}", command)


def test_an_override_beats_the_experiment():
    config = compose_config(["experiment=digits", "encoding.repeats=2", "ansatz=real_amplitudes"])
    assert (config.encoding.repeats, config.ansatz.name, config.run.name) == (2, "real_amplitudes", "digits")


def test_the_main_job_is_what_it_says():
    config = compose_config(["experiment=digits"])
    assert (config.circuit.n_qubits, config.encoding.repeats, config.ansatz.layers) == (8, 8, 2)
    assert (config.preprocess.pca, config.dataset.name, config.head.name) == (16, "digits", "linear")
