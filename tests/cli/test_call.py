"""What a verb's `run` is called with: flags and overrides, converted."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli.arguments import parse_arguments
from qmltrain.cli.call import changed_groups, path_arguments
from qmltrain.errors import InputError


def call_of(command: str):
    arguments = parse_arguments(command.split())
    return path_arguments(arguments.verb, arguments.words, arguments.flags)


@pytest.mark.parametrize(
    ("command", "paths", "options", "overrides"),
    [
        ("resume runs/a", ["runs/a"], {}, []),
        ("compare a b", ["a", "b"], {}, []),
        ("info --warm-up", [], {"warm_up": True}, []),
        ("collect . --over run.seed,loss.delta --output a.csv", ["."],
         {"over": ["run.seed", "loss.delta"], "output": Path("a.csv")}, []),
        ("export a --to qasm3", ["a"], {"to": "qasm3"}, []),
        ("evaluate runs/lr=0.1 seed=1", ["runs/lr=0.1"], {"seed": 1}, ["seed=1"]),
        ("repeat runs/lr=0.1 run.dir='b=2'", ["runs/lr=0.1"], {"directory": Path("b=2")}, ["run.dir='b=2'"]),
        ("compare lr=0.1 lr=0.2", ["lr=0.1", "lr=0.2"], {}, []),
        ("repeat a run.dir=b", ["a"], {"directory": Path("b")}, ["run.dir=b"]),
        ("evaluate a shots=1000 seed=-3 --predictions p.npz", ["a"],
         {"shots": 1000, "seed": -3, "predictions": Path("p.npz")}, ["shots=1000", "seed=-3"]),
        ("evaluate shots=5 a engine.threads=2", ["a"], {"shots": 5, "engine": {"threads": 2}},
         ["shots=5", "engine.threads=2"]),
    ],
)  # fmt: skip
def test_paths_options_and_overrides(command, paths, options, overrides):
    assert call_of(command) == ([Path(path) for path in paths], options, overrides)


@pytest.mark.parametrize("word", ["shots=many", "shots=1.5", "seed="])
def test_a_value_that_cannot_be_converted_is_told_with_its_key(word):
    key, _, value = word.partition("=")
    with pytest.raises(InputError, match=rf"^{key}: found '{value}'; allowed: whole numbers$"):
        call_of(f"evaluate a {word}")


def test_a_group_that_is_chosen_comes_whole_and_one_that_is_not_in_part():
    found = changed_groups(["dataset=npz", "dataset.path=a.npz", "engine.precision=complex128"])
    assert found["dataset"]["name"] == "npz" and found["dataset"]["path"] == "a.npz" and "test" in found["dataset"]
    assert found["engine"] == {"precision": "complex128"}
    with pytest.raises(InputError, match="one run at a time"):
        changed_groups(["hydra.mode=MULTIRUN"])
