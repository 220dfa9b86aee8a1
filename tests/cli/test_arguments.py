"""Words and flags of a command line, and to which verb they belong."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.cli.arguments import parse_arguments, paths_and_overrides
from qmltrain.cli.known_verbs import known_verbs
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
        (["experiment", "digits"], "found 'experiment'; did you mean experiment=digits? allowed: first a verb"),
        (["plan", "digits"], "found 'digits'; did you mean experiment=digits? allowed: first a verb"),
        (["train.epochs", "3"], "found 'train.epochs'; did you mean train.epochs=3? allowed: first a verb"),
        (["--train.epochs=3"], "found '--train.epochs=3'; keys are written without dashes: train.epochs=..."),
        (["--lr", "0.1"], "found '--lr'; keys are written without dashes: optimizer.learning_rate=..."),
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


def test_the_command_alone_asks_for_help():
    assert parse_arguments([]).help and parse_arguments(["-v"]).help
    for words in (["train"], ["-m"], ["run.seed=0"], ["--config-dir", "a"], ["--cfg", "job"]):
        arguments = parse_arguments(words)
        assert arguments.verb.name == "train" and not arguments.help


@pytest.mark.parametrize(
    ("words", "paths", "overrides"),
    [
        (["runs/lr=0.1"], ["runs/lr=0.1"], []),
        (["./seed=1", "seed=2"], ["./seed=1"], ["seed=2"]),
        (["lr=0.1", "shots=3"], ["lr=0.1"], ["shots=3"]),  # which is there
        (["lr=0.2", "a"], ["a"], ["lr=0.2"]),  # which is not
        (["a", "dataset.path=b=c"], ["a"], ["dataset.path=b=c"]),
        (["/x/dataset=1/run.h5", "dataset=iris"], ["/x/dataset=1/run.h5"], ["dataset=iris"]),
    ],
)
def test_a_path_may_hold_an_equals_sign(in_empty_directory, words, paths, overrides):
    Path("lr=0.1").mkdir()
    assert paths_and_overrides(known_verbs()["evaluate"], words) == (paths, overrides)


def test_the_run_of_from_may_as_well():
    arguments = parse_arguments(["train", "--from", "lr=0.1", "run.dir=b"])
    assert paths_and_overrides(arguments.verb, arguments.words) == (["./lr=0.1"], ["run.dir=b"])
