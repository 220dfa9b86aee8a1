"""What stands in a user's file where something else is needed is refused with file, line and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli.user_configs import read_user_config
from qmltrain.errors import InputError

DIGITS = 5000 * "9"
CHOSEN = "an entry of a group is chosen in the defaults list: write defaults: and below it "


def refused(folder: Path, text: str, group: str = "experiment") -> str:
    path = folder / "mine.yaml"
    path.write_text(text)
    with pytest.raises(InputError) as error:
        read_user_config(path, group)
    assert "\n" not in str(error.value)
    return str(error.value).removeprefix(f"--config-dir: {path}: ")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("run: {}\nansatz: hea\n", f"line 2: ansatz: found 'hea'; {CHOSEN}'- override /ansatz: hea'"),
        ("experiment: digits\n", f"line 1: experiment: found 'digits'; {CHOSEN}'- digits'"),
        ("ansatz: [hea]\n", "line 1: ansatz: found a list; its options stand below it, further to the right"),
        ("train: 3\n", "line 1: train: found '3'; its options stand below it, further to the right"),
        ("train:\nepochs: 3\n", "line 1: train: found nothing; its options stand below it, further to the right"),
        ("defaults: [dataset: csv]\n", "line 1: defaults: found 'dataset: csv'; write override /dataset: csv"),
        ("defaults:\n- optional /loss: hinge\n", "line 2: defaults: found 'optional /loss: hinge'; "
                                                 "write override /loss: hinge"),
        ("defaults:\n- override loss: hinge\n", "line 2: defaults: found 'override loss: hinge'; "
                                                "write override /loss: hinge"),
        ("defaults:\n- override /loss: hinge\n- override /loss: huber\n",
         "line 3: defaults: found 'override /loss: huber'; override /loss stands there already"),
        ("defaults:\n- override /loss: yes\n", "line 2: defaults: override /loss: found 'yes'; allowed: a name"),
        ("dataset: {features: 'a, b'}\n", "line 1: dataset.features: found 'a, b'; write a list in brackets: [a, b]; "
         "allowed: a list [a, b, ...] of values: text that is not empty, or null"),
        ("observable:\n  states: 0010\n", "line 2: observable.states: found '0010'; write a list in brackets: [0010]; "
         "allowed: a list [a, b, ...] of different values: an integer of 0 or more, or a bit string as '0110'"),
        ("train: {epochs: [3]}\n", "line 1: train.epochs: found a list; allowed: integers from 1 to 2147483647"),
        ("run: &a {name: {a: 3}}\n", "line 1: run.name: found a mapping; allowed: a name without"),
        ("- a\n- b\n", "line 1: found a list; a file holds lines as key: value"),
        ("# mine\nhea\n", "line 2: found 'hea'; a file holds lines as key: value"),
        ("circuit.n_qubits: 4\n", "line 1: circuit.n_qubits: a file takes no dotted keys; write circuit: and below it, "
         "further to the right, n_qubits:"),
    ],
)  # fmt: skip
def test_it_is_told_with_its_line(tmp_path, text, line):
    assert refused(tmp_path, text).startswith(line)


@pytest.mark.parametrize("value", [DIGITS, f"-{DIGITS}", f"[1, {DIGITS}]"], ids=["plain", "negative", "list"])
def test_a_number_of_thousands_of_digits_names_its_key(tmp_path, value):
    group, name = ("ansatz", "ranges") if value.startswith("[") else ("train", "epochs")
    line = refused(tmp_path, f"{group}:\n  {name}: {value}\n")
    assert line.startswith(f"line 2: {group}.{name}: found '")
    assert "digits; allowed: " in line and len(line) < 300


def test_the_entry_of_a_group_likewise(tmp_path):
    assert refused(tmp_path, "name: hea\nrotations: ry\n", "ansatz").startswith(
        "line 2: ansatz.rotations: found 'ry'; write a list in brackets: [ry]"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "dataset: {features: null}\ntrain: {epochs: 3}\n",
        "dataset: {classes: '${run.name}'}\n",
        "defaults:\n- other\n- override /dataset: csv\n- override hydra/sweeper: basic\n- _self_\n",
        "hydra: {mode: MULTIRUN, sweeper: {params: {run.seed: '1,2'}}}\n",
        "loss: {class_weights: balanced}\n",
        "run: &r {seed: 3}\n",
    ],
)
def test_what_is_right_is_read(tmp_path, text):
    (tmp_path / "mine.yaml").write_text(text)
    package, _ = read_user_config(tmp_path / "mine.yaml", "experiment")
    assert package == "_global_"


def test_an_entry_of_a_folder_beside_the_file_may_be_chosen(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset/own.yaml").write_text("")
    (tmp_path / "mine.yaml").write_text("defaults: [dataset: own]\n")
    assert read_user_config(tmp_path / "mine.yaml", "experiment")[0] == "_global_"
