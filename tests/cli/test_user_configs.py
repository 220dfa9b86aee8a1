"""Files of a user's folder mean what stands in them, whatever YAML 1.1 makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from qmltrain.cli.composing import compose_config
from qmltrain.cli.user_configs import read_user_config
from qmltrain.errors import InputError
from tests.examples import examples

HEAD = "# @package _global_\n"


def experiment(folder: Path, text: str | bytes, name: str = "mine") -> str:
    (folder / "experiment").mkdir(exist_ok=True)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "experiment" / f"{name}.yaml").write_bytes(content)
    return str(folder)


@pytest.mark.parametrize("head", ["", HEAD, "# mine\n\n" + HEAD, 600 * "# long\n" + HEAD, "\ufeff" + HEAD, "\ufeff"],
                         ids=["none", "first", "below", "far below", "mark", "mark, none"])  # fmt: skip
def test_an_experiment_is_for_the_whole_config(tmp_path, head):
    folder = experiment(tmp_path, head + "train: {epochs: 3}\n")
    assert compose_config(["experiment=mine"], folder).train.epochs == 3


def test_lines_of_windows(tmp_path):
    folder = experiment(
        tmp_path, b"\xef\xbb\xbf# @package _global_\r\ntrain:\r\n  epochs: 3\r\nrun:\r\n  name: 1.10\r\n"
    )
    config = compose_config(["experiment=mine"], folder)
    assert (config.train.epochs, config.run.name) == (3, "1.10")


def test_a_file_that_is_not_chosen_stops_nothing(tmp_path):
    experiment(tmp_path, "train: {epochs: 3}\n")
    experiment(tmp_path, b"\xff\xfe\x00", "broken")
    experiment(tmp_path, "train.epochs: 3\n", "dotted")
    assert compose_config(["run.seed=3"], str(tmp_path)).run.seed == 3
    assert compose_config(["experiment=mine"], str(tmp_path)).train.epochs == 3


def test_a_dotted_key_is_told_with_file_and_line(tmp_path):
    folder = experiment(tmp_path, HEAD + "circuit.n_qubits: 4\n")
    with pytest.raises(InputError, match=r"mine.yaml: line 2: circuit.n_qubits: a file takes no dotted keys; write"):
        compose_config(["experiment=mine"], folder)


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("observable: {states: [0010, '0011', 3]}", "observable.states", ["0010", "0011", 3]),
        ("dataset: {classes: [yes, no]}", "dataset.classes", ["yes", "no"]),
        ("dataset: {classes: [007, 1_000, +1, 0]}", "dataset.classes", ["007", "1_000", 1, 0]),
        ("train: {epochs: 1_0}", "train.epochs", 10),
        ("engine: {fusion: on}", "engine.fusion", True),
        ("dataset: {classes: [1:30, 2]}", "dataset.classes", ["1:30", 2]),
        ("dataset: {target: on}", "dataset.target", "on"),
        ("dataset: {target: null}", "dataset.target", None),
        ("dataset: {target: }", "dataset.target", None),
        ("dataset: {features: [1.10, a, 007, y]}", "dataset.features", ["1.10", "a", "007", "y"]),
        ("run: {name: 1e3}", "run.name", "1e3"),
        ("train: {baseline: no}", "train.baseline", False),
        ("circuit: {n_qubits: 010}", "circuit.n_qubits", 10),
        ("optimizer: {learning_rate: 1e-3}", "optimizer.learning_rate", 1e-3),
        ("loss: {name: hinge, class_weights: [1, 2.5]}", "loss.class_weights", [1, 2.5]),
    ],
)
def test_the_text_of_the_file_counts(tmp_path, line, key, value):
    config = compose_config(["experiment=mine"], experiment(tmp_path, HEAD + line + "\n"))
    group, _, name = key.partition(".")
    assert getattr(getattr(config, group), name) == value


def test_the_entry_of_a_group_likewise(tmp_path):
    (tmp_path / "dataset").mkdir()
    (tmp_path / "dataset" / "mine.yaml").write_text("name: csv\npath: a.csv\ntarget: 1.10\nclasses: [no, 0010]\n")
    config = compose_config(["dataset=mine"], str(tmp_path))
    assert (config.dataset.target, config.dataset.classes) == ("1.10", ["no", "0010"])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("observable: {name: projector, states: [0b11]}", "observable.states: found .*0b11.*a bit string"),
        ("train: {epochs: 1:30}", "train.epochs: .*1:30.*; allowed: integers"),
        ("dataset: {sha256: 1_0}", "dataset.sha256: found '1_0'; allowed: 64"),
    ],
)
def test_what_text_cannot_be_is_refused_as_it_stands(tmp_path, line, message):
    with pytest.raises(InputError, match=message):
        compose_config(["experiment=mine"], experiment(tmp_path, HEAD + line + "\n"))


def test_files_that_a_file_names_likewise(tmp_path):
    (tmp_path / "observable").mkdir()
    (tmp_path / "observable" / "mine.yaml").write_text("name: projector\nstates: [01]\n")
    experiment(tmp_path, HEAD + "dataset: {classes: [on, off]}\n", "base")
    folder = experiment(tmp_path, HEAD + "defaults:\n  - base\n  - override /observable: mine\n  - _self_\n")
    config = compose_config(["experiment=mine"], folder)
    assert (config.observable.states, config.dataset.classes) == (["01"], ["on", "off"])


def test_none_is_written_null(tmp_path):
    folder = experiment(tmp_path, HEAD + "run: {dir: None}\n")
    with pytest.raises(InputError, match=r"mine.yaml: run.dir: found None; nothing is written null"):
        compose_config(["experiment=mine"], folder)


WORDS = st.one_of(
    st.sampled_from(
        [
            "0010",
            "010",
            "00",
            "1:30",
            "12:30:45",
            "yes",
            "NO",
            "on",
            "y",
            "true",
            "1.10",
            "1e3",
            "1_0",
            "0x1f",
            "0b11",
            "0o7",
            ".5",
            "1.",
            ".inf",
            ".nan",
            "2024-01-02",
            "+1",
            "-0",
        ]
    ),  # fmt: skip
    st.from_regex(r"[0-9]([0-9_:.]{0,4}[0-9_.])?", fullmatch=True),
    st.from_regex(r"[a-z][a-z0-9_.]{0,5}", fullmatch=True).filter(lambda word: word != "null"),
)


@settings(max_examples=examples(60), deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(WORDS, min_size=1, max_size=6), WORDS)
def test_words_of_a_file_are_texts_where_texts_are_taken(tmp_path, features, target):
    folder = experiment(tmp_path, f"{HEAD}dataset:\n  target: {target}\n  features: [{', '.join(features)}]\n")
    package, config = read_user_config(Path(folder, "experiment/mine.yaml"), "experiment")
    assert package == "_global_" and config.dataset == {"target": target, "features": features}
