"""Words and flags of a command line, and to which verb they belong."""

from __future__ import annotations

import pytest

from qmltrain.cli.arguments import parse_arguments
from qmltrain.errors import InputError


def test_the_verb_stands_first_or_is_the_default_one():
    arguments = parse_arguments(["plan", "circuit.n_qubits=3"])
    assert (arguments.verb.name, arguments.words) == ("plan", ["circuit.n_qubits=3"])
    arguments = parse_arguments(["circuit.n_qubits=3", "~experiment"])
    assert (arguments.verb.name, arguments.words) == ("train", ["circuit.n_qubits=3", "~experiment"])


def test_flags_may_stand_anywhere():
    one = parse_arguments(["evaluate", "--predictions", "a.csv", "runs/a", "-v", "shots=3"])
    other = parse_arguments(["-v", "evaluate", "runs/a", "shots=3", "--predictions=a.csv"])
    assert one == other
    assert (one.flags, one.words, one.verbose) == ({"predictions": "a.csv"}, ["runs/a", "shots=3"], True)
    assert parse_arguments(["info", "--warm-up"]).flags == {"warm-up": True}
    assert parse_arguments(["info"]).flags == {}
    assert parse_arguments(["collect", "runs", "--output", ""]).flags == {"output": ""}


@pytest.mark.parametrize("words", [["train", "--from", "runs/a"], ["--from", "runs/a"], ["repeat", "runs/a"]], ids=str)
def test_a_verb_may_have_another_spelling(words):
    arguments = parse_arguments([*words, "run.dir=b"])
    assert (arguments.verb.name, arguments.words, arguments.flags) == ("repeat", ["runs/a", "run.dir=b"], {})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["resume", "--over", "run.seed", "runs/a"], "--over: not used by resume, but by collect"),
        (["plan", "--output", "a"], "--output: not used by plan, but by collect, export"),
        (["gradient", "--from", "runs/a"], "--from: not used by gradient, but by train"),
        (["info", "--cfg", "job"], "--cfg: not used by info; it takes nothing"),
        (["compare", "-m", "a", "b"], "-m: not used by compare; it takes two runs"),
        (["collect", "--config-dir", "a", "b"], "--config-dir: not used by collect; it takes a folder"),
        (["compare", "a"], "compare: found 1 words; allowed: two runs"),
        (["collect"], "collect: found 0 words; allowed: one, a folder"),
        (["evaluate", "a", "b"], "evaluate: found 2 words; allowed: one, the run's directory or its run.h5"),
        (["evaluate", "a", "loss=hinge"], "evaluate: found 'loss=hinge'; beside the run it takes dataset, engine, "),
        (["repeat", "a", "run.name=b"], "repeat: found 'run.name=b'; beside the run it takes run.dir"),
        (["info", "all"], "info: found 'all'; info takes nothing"),
        (["evalute", "runs/a"], "found 'evalute'; did you mean the verb evaluate? allowed: first a verb (train, "),
        (["-m", "--cfg", "job"], "-m and --cfg exclude each other"),
        (["--verbos"], "unrecognized arguments: --verbos; qmltrain --help shows the usage"),
        (["export", "a", "--to"], "argument --to: expected one argument; qmltrain --help shows the usage"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_does_not_fit_is_told(words, message):
    with pytest.raises(InputError) as refused:
        parse_arguments(words)
    assert str(refused.value).startswith(message)


def test_help_and_version_are_given_whatever_else_is_written():
    assert parse_arguments(["evaluate", "--help"]).verb.name == "evaluate"
    assert parse_arguments(["--help", "nonsense"]).verb is None
    assert parse_arguments(["info", "a", "--version"]).version
