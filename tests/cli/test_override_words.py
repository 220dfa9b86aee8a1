"""Overrides mean what was typed, and the words that a message says to type do what it says."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from qmltrain.cli.composing import compose_config
from qmltrain.cli.override_words import as_typed, for_hydra, in_shell, typed
from qmltrain.errors import InputError
from tests.examples import examples

# what YAML or Hydra read as numbers, truth values, nothing, and what their grammars give a meaning
ODD = ["1.10", "007", "0010", "1e3", "1_000", "0x10", "inf", "yes", "no", "On", "true", "False", "null", "None", "~",
       "1:30", "2024-01-02", "a=b", "lr=0.1", ";", "\t", "|", "a b", " a", "größe", "é.csv", "a,b", "[a]", "a'b", "$x",
       "", "${run.seed}", "\\", "a\\", "!", "#1", "a&b", "{a}", "(x)", "*", "?", "@", "%", "-", "+1", "'"]  # fmt: skip
texts = st.one_of(st.sampled_from(ODD), st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=6))
quick = settings(
    max_examples=examples(100),
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


def delivered(word: str) -> object:
    """What Hydra takes `word` to be."""
    from hydra.core.override_parser.overrides_parser import OverridesParser

    return OverridesParser.create().parse_override(word).value()


@quick
@given(texts)
@example("1.10")
@example("a=b")
def test_text_arrives_as_it_was_typed_or_is_refused_in_one_line(text):
    try:
        [word] = as_typed([f"run.name={text}"])
    except InputError as refused:
        assert set(text) & set("'\"[]{}(),$\\") and "\n" not in str(refused)
        return
    arrived = delivered(word)
    if arrived is None:
        assert text.strip().lower() == "null"
    elif "\\" not in text and not re.fullmatch(r"\s*(['\"].*['\"]|[\[{].*[]}]|\w+\(.*\))\s*", text, re.DOTALL):
        assert arrived == text


@quick
@given(texts)
@example("a\\'b\\")
def test_a_text_in_quotes_is_read_back(text):
    assume("${" not in text)
    assert delivered(f"run.name={for_hydra(text)}") == text


@settings(quick, max_examples=25)
@given(st.lists(st.sampled_from([text for text in ODD if text]), min_size=8, max_size=8))
def test_what_a_shell_is_told_to_type_gives_the_text(found):
    words = [typed("run.name", text) for text in found]
    shown = subprocess.run(
        ["bash", "-c", "printf '%s\\0' " + " ".join(words)], capture_output=True, text=True, check=True
    )
    for text, word in zip(found, shown.stdout.split("\0"), strict=False):
        if "${" not in text:
            assert delivered(word) == text


@pytest.mark.parametrize(
    ("word", "key", "value"),
    [
        ("run.name=1.10", "run.name", "1.10"),
        ("run.name=2024_01_05", "run.name", "2024_01_05"),
        ("run.name=true", "run.name", "true"),
        ("run.name=a=b", "run.name", "a=b"),
        ("dataset.delimiter=;", "dataset.delimiter", ";"),
        ("dataset.delimiter=\t", "dataset.delimiter", "\t"),
        ("dataset.path=données été.csv", "dataset.path", "données été.csv"),
        ("dataset.target= label", "dataset.target", " label"),
        ("dataset.target=null", "dataset.target", None),
        ("dataset.target='null'", "dataset.target", "null"),
        ("run.dir='None'", "run.dir", "None"),
        ("dataset.features=[a,1.10,007,x=1]", "dataset.features", ["a", "1.10", "007", "x=1"]),
        ("dataset.features=[1.10,true]", "dataset.features", ["1.10", "true"]),
        ("dataset.classes=[true,false]", "dataset.classes", ["true", "false"]),
        ("dataset.classes=[yes,no]", "dataset.classes", ["yes", "no"]),
        ("dataset.classes=[007,1_000,x=1,2]", "dataset.classes", ["007", "1_000", "x=1", 2]),
        ("dataset.classes=[1_000,2]", "dataset.classes", ["1_000", 2]),
        ("dataset.classes=[3,1]", "dataset.classes", [3, 1]),
        ("observable.states=[0010,3]", "observable.states", ["0010", 3]),
        ("run.dir=${run.root}/x", "run.dir", "runs/x"),
        ("circuit.n_qubits=4", "circuit.n_qubits", 4),
    ],
)
def test_options_get_what_was_typed(word, key, value):
    group, _, name = key.partition(".")
    assert getattr(getattr(compose_config([word]), group), name) == value


def test_swept_texts_stay_texts():
    assert as_typed(["run.name=1.10,1.20"], sweep=True) == ["run.name='1.10','1.20'"]
    assert as_typed(["run.seed=1,2", "run.name=choice(a,b)"], sweep=True) == ["run.seed=1,2", "run.name=choice(a,b)"]


def test_words_of_a_shell():
    assert in_shell("run.name=a") == "run.name=a"
    assert in_shell("dataset.delimiter=';'") == "\"dataset.delimiter=';'\""
    assert in_shell("run.name='\t'") == "$'run.name=\\'\\t\\''"
    assert shlex.split(in_shell("run.name='$x'")) == ["run.name='$x'"]
