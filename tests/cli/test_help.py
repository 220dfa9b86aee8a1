"""The text of `--help`, of the command and of each verb: complete, short lines, examples that work."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from qmltrain.cli.arguments import parse_arguments
from qmltrain.cli.composing import compose_config
from qmltrain.cli.known_verbs import flags_of, known_verbs
from qmltrain.cli.verb import Takes

VERBS = known_verbs()
EXAMPLES = [(verb.name, example) for verb in VERBS.values() for example in verb.examples]


def test_help_names_every_verb_flag_and_group(qmltrain):
    text = qmltrain("--help").out
    assert text == qmltrain("-h").out
    for word in ("-m", "--cfg", "--config-dir", "-v", "--version", "reuploading", "digits_amplitude", "75"):
        assert word in text
    for verb in VERBS.values():
        assert f"\n  {verb.name} " in text and all(f"  {example}\n" in text for example in verb.examples)
        assert all(f"  --{name} " in text for name in flags_of(verb))
    assert max(map(len, text.splitlines())) <= 120


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_help_of_its_own(qmltrain, name):
    verb, text = VERBS[name], qmltrain(name, "--help").out
    assert text.startswith(f"qmltrain {name}: {verb.meaning}\n")
    assert f"\n  qmltrain {f'[{name}]' if verb.default else name}" in text
    assert all(f"  {example}\n" in text for example in verb.examples)
    for flag in {name for other in VERBS.values() for name in flags_of(other)}:
        assert (f"  --{flag} " in text) == (flag in flags_of(verb)), flag
    for override in verb.overrides:
        assert f"  {override.key}=... " in text
    assert ("--cfg" in text) == (verb.takes is Takes.CONFIG)
    assert max(map(len, text.splitlines())) <= 120


def test_a_flag_that_verbs_share_has_one_line(qmltrain):
    assert "  --output FILE          collect|export: the new file" in qmltrain("--help").out


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[example for _, example in EXAMPLES])
def test_every_example_is_of_its_verb_and_composes(name, example):
    command, *words = shlex.split(example)
    arguments = parse_arguments(words)
    assert command == "qmltrain" and arguments.verb.name == name
    overrides = [word for word in arguments.words if "=" in word]
    if overrides:
        several = arguments.multirun or arguments.verb.grid
        words = [word.split(",")[0] for word in overrides] if several else overrides
        assert compose_config(words, arguments.config_directory) is not None


def test_the_declarations_import_no_verb():
    code = (
        "import sys; from qmltrain.cli.known_verbs import known_verbs; known_verbs(); "
        "print(*(name for name in sys.modules if name.startswith('qmltrain.verbs')))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "\n"
