"""docs/config.md says what the schema says, and its examples work."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
import yaml

from qmltrain.circuit.library.assemble import assemble
from qmltrain.cli.composing import compose_config
from qmltrain.config.reference import commented_yaml
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.errors import InputError
from qmltrain.training.head_and_loss import check_head
from qmltrain.training.heads import HEADS
from qmltrain.training.losses import LOSSES

DOCUMENT = (Path(__file__).parents[2] / "docs" / "config.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, flags=re.M | re.S)


def test_the_first_block_is_the_schema_with_defaults_and_comments():
    language, text = BLOCKS[0]
    assert language == "yaml"
    assert yaml.safe_load(text) == to_dict(Config())
    # Where this fails: python -c "from qmltrain.config.reference import commented_yaml; print(commented_yaml())"
    assert text == commented_yaml()


def test_lines_are_not_too_long():
    assert all(len(line) <= 120 for line in DOCUMENT.splitlines() if not line.startswith("|"))


def test_every_command_line_composes():
    commands = re.findall(r"^ {4}qmltrain (.*)$", DOCUMENT, flags=re.M)
    assert len(commands) >= 4
    for command in commands:
        if "--config-dir" not in command:
            words = [word.split(",")[0] if word.count(",") and "[" not in word else word for word in command.split()]
            compose_config([word for word in words if word not in ("-m", "scan", "kernel")])


def test_every_experiment_is_listed():
    configs = Path(__file__).parents[2] / "configs" / "experiment"
    assert set(re.findall(r"^\| `(\w+)` \| [^|]*\|$", DOCUMENT, flags=re.M)) >= {p.stem for p in configs.glob("*.yaml")}


def test_the_experiment_of_the_user_composes(tmp_path):
    examples = [text for language, text in BLOCKS[1:] if language == "yaml"]
    sweep, mine = examples
    for name, text in (
        ("experiment/widths", sweep),
        ("experiment/mine", mine),
        ("ansatz/deep", "name: hea\nlayers: 9\n"),
    ):
        path = tmp_path / f"{name}.yaml"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    config = compose_config(["experiment=mine"], str(tmp_path))
    assert (config.ansatz.layers, config.encoding.repeats, config.run.name) == (9, 3, "mine")
    assert compose_config(["experiment=widths"], str(tmp_path)) is None  # it asks for a sweep


def test_the_function_of_the_user_builds_a_circuit(tmp_path, monkeypatch):
    [text] = [text for language, text in BLOCKS if language == "python"]
    (tmp_path / "my_circuits.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    circuit = assemble(3, 0, "none", {}, "python", {"function": "my_circuits:ladder", "layers": 3})
    assert circuit.n_parameters == 9 and len(circuit.gates) == 15
    sys.modules.pop("my_circuits")


def row(first: str) -> list[str]:
    [cells] = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in DOCUMENT.splitlines()
        if line.startswith(f"| {first} |")
    ]
    return cells


@pytest.mark.parametrize("name", HEADS)
def test_every_head_is_in_the_table(name):
    assert row(f"`{name}`")


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_in_the_table(name):
    assert f"| `{name}` |" in DOCUMENT


REFUSED = [
    ("raw", "cross_entropy", 8, 10),
    ("scaled", "binary_cross_entropy", 2, 2),
    ("linear", "cross_entropy", 4, None),
    ("linear", "hinge", 4, 3),
    ("linear", "hinge", 4, None),
    ("linear", "huber", 4, 2),
    ("linear", "expectation", 1, None),
    ("raw", "fidelity", 4, None),
    ("bias", "cross_entropy", 8, 10),
    ("bias", "unhinged", 1, 2),
    ("raw", "unhinged", 4, 2),
    ("raw", "unhinged", 1, 3),
    ("linear", "weighted_fidelity", 4, 2),
    ("raw", "weighted_fidelity", 4, 3),
]
REFUSED += [("linear", "binary_cross_entropy", 4, 3), ("linear", "mean_squared_error", 4, 3)]


@pytest.mark.parametrize(("head", "loss", "n_observables", "n_classes"), REFUSED)
def test_what_the_document_says_is_refused_is(head, loss, n_observables, n_classes):
    with pytest.raises(InputError):
        check_head(head, loss, n_observables, n_classes, (-1.0, 1.0))


def test_a_projector_that_decides_by_its_sign_is_refused():
    for loss in ("binary_cross_entropy", "mean_squared_error", "hinge"):
        with pytest.raises(InputError):
            check_head("raw", loss, 1, 2, (0.0, 1.0))
    assert check_head("linear", "cross_entropy", 8, 10) == 10
    assert check_head("raw", "mean_squared_error", 1, None) == 1
