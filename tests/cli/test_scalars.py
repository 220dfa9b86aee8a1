"""Words that YAML and Hydra read as something else: refused with both, or taken for the text that stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from omegaconf import OmegaConf

from qmltrain.cli.composing import compose_config
from qmltrain.cli.scalars import check_files, check_words, misread
from qmltrain.config.schema import Config, options
from qmltrain.errors import InputError
from qmltrain.shipped_files import configs_directory

WORDS = st.one_of(
    st.text("01", min_size=1, max_size=6),
    st.text("0123456789_:.eE+-xb", min_size=1, max_size=6).filter(lambda word: not word.endswith(":")),
    st.sampled_from(["yes", "no", "on", "off", "true", "Yes", "NO", "True", "y", "null", "~", "nan", ".inf", "1.10"]),
)


def of_yaml(word: str):
    try:
        return OmegaConf.create(f"[{word}]")[0]
    except Exception:  # no word of its own: a dash, an indicator
        return word


@given(WORDS)
@example("0010")
@example("1_000")
@example("1:30")
@example("yes")
def test_what_is_not_refused_says_what_stands_there(word: str) -> None:
    value = of_yaml(word)
    for kind in ("str | None", "list[str] | None"):
        if not misread(word, value, kind):
            assert value is None or str(value) == word
    if not misread(word, value, "list[Any] | None"):
        assert value is None or isinstance(value, float) or (str(value) == word and not isinstance(value, bool))
    if not misread(word, value, "int") and isinstance(value, int) and not isinstance(value, bool):
        assert value == int(word, 0)  # as Python reads it, which has no octal without a letter


@given(st.text("01", min_size=1, max_size=6))
def test_bit_strings_are_themselves_or_refused(word: str) -> None:
    value = of_yaml(word)
    assert misread(word, value, "list[Any] | None") == (len(word) > 1 and word[0] == "0")


def write(folder: Path, name: str, text: str) -> str:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("observable: {name: projector}\nobservable.states: [1]", None),  # not a group: Hydra's business
        (
            "observable:\n  states: [0010]",
            r"bits\.yaml, line 3: observable\.states: YAML reads 0010 as the number 8; .*'0010'$",
        ),
        ("observable: {states: ['0011', 0b11]}", r"line 2: observable\.states: YAML reads 0b11 as the number 3"),
        ("dataset:\n  classes:\n  - yes\n  - no", r"line 4: dataset\.classes: YAML reads yes as the truth value True"),
        ("dataset: {classes: [007]}", r"YAML reads 007 as the number 7"),
        ("dataset: {target: 1.10}", r"dataset\.target: YAML reads 1\.10 as the number 1\.1"),
        ("dataset: {features: [a, 1:30]}", r"dataset\.features: YAML reads 1:30 as the number 90"),
        ("dataset: {sha256: 1_0}", r"dataset\.sha256: YAML reads 1_0 as the number 10"),
        ("circuit: {n_qubits: 010}", r"circuit\.n_qubits: YAML reads 010 as the number 8"),
        ("train: {epochs: 1:30}", r"train\.epochs: YAML reads 1:30 as the number 90"),
    ],
)
def test_words_of_a_chosen_file(tmp_path: Path, lines: str, message: str | None) -> None:
    folder = write(tmp_path, "experiment/bits.yaml", f"# @package _global_\n{lines}\n")
    if message is None:
        check_files({"experiment": "bits"}, folder)
        return
    with pytest.raises(InputError, match=message) as caught:
        check_files({"experiment": "bits", "dataset": "iris"}, folder)
    assert "\n" not in str(caught.value)
    check_files({"dataset": "iris"}, folder)  # not chosen: no concern of this run
    check_files({"experiment": "bits"}, None)


def test_files_are_followed(tmp_path: Path) -> None:
    """Through a group's own file, several experiments, and the defaults of a file."""
    folder = write(tmp_path, "observable/mine.yaml", "name: projector\nstates: [01]\n")
    with pytest.raises(InputError, match=r"mine\.yaml, line 2: observable\.states: YAML reads 01 as the number 1"):
        check_files({"observable": "mine"}, folder)
    write(tmp_path, "experiment/base.yaml", "# @package _global_\ndataset: {classes: [on]}\n")
    write(tmp_path, "experiment/top.yaml", "# @package _global_\ndefaults: [base, _self_]\n")
    write(tmp_path, "experiment/far.yaml", "# @package _global_\ndefaults:\n- /observable/mine\n- _self_\n")
    for chosen, found in (("top", "base"), ("[far,top]", "mine"), ("far", "mine"), ("['top', 'far']", "base")):
        with pytest.raises(InputError, match=rf"{found}\.yaml"):
            check_files({"experiment": chosen}, folder)


def test_numbers_may_be_written_in_any_other_way(tmp_path: Path) -> None:
    text = (
        "# @package _global_\ntrain: {epochs: 1_0}\ncircuit: {n_qubits: 0x4}\noptimizer: {learning_rate: 1e-2}\n"
        "loss: {class_weights: [1., .5]}\nengine: {fusion: on}\nencoding: {name: none}\n"
        "observable: {name: projector, states: ['0010', 3]}\ndataset: {name: none}\n"
    )
    folder = write(tmp_path, "experiment/fine.yaml", text)
    config = compose_config(["experiment=fine"], folder)
    assert config is not None
    assert (config.train.epochs, config.circuit.n_qubits, config.optimizer.learning_rate) == (10, 4, 0.01)
    assert config.loss.class_weights == [1.0, 0.5] and config.engine.fusion is True
    assert config.observable.states == ["0010", 3]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "dataset.target=1.10",
            r"^dataset\.target: 1\.10 is read as the number 1\.1; .*: \"dataset\.target='1\.10'\"$",
        ),
        ("run.name=1e3", r"^run\.name: 1e3 is read as the number 1000\.0"),
        ("dataset.features=[a,1_0]", r"^dataset\.features: 1_0 is read as the number 10; .*\['1_0', \.\.\.\]"),
        ("dataset.classes=[true,b]", r"^dataset\.classes: true is read as the truth value True"),
        ("+dataset.target=1.10", r"^dataset\.target: 1\.10"),
    ],
)
def test_words_of_the_command_line(override: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compose_config([override])


def test_words_of_the_command_line_that_are_themselves() -> None:
    """Hydra has no octal numbers, no base 60, no yes and no: bit strings on the command line were always right."""
    words = [
        "observable.states=[0010,0b11]", "dataset.classes=[007,yes,'1_0']", "dataset.target='1.10'", "run.name=1:30",
        "dataset.features=[a,'1.10',\"2.50\"]", "train.epochs=1_0", "optimizer.learning_rate=1e-2",
        "dataset.target=null", "loss.class_weights=[1.50,2]", "hydra.job.chdir=1_0", "experiment=digits", "nonsense",
        "=", "dataset.classes=[3]",
    ]  # fmt: skip
    check_words(words)
    config = compose_config(["observable=projector", "observable.states=[0010]"])
    assert config is not None and config.observable.states == ["0010"]


def test_the_files_that_ship_say_what_they_mean() -> None:
    folder = configs_directory()
    for path in folder.rglob("*.yaml"):
        check_files({str(path.parent.relative_to(folder)): path.stem}, str(folder))


def test_the_kinds_of_options_are_those_that_are_told_apart() -> None:
    kinds = {re.sub(r" \| None$", "", str(item.type)) for _, _, item in options(Config())}
    assert kinds <= {"int", "float", "bool", "str", "Any", "list[int]", "list[float]", "list[str]", "list[Any]"}
