"""Verbs are two files each: what they declare holds, one more is found by itself, and none is missed when it goes."""

from __future__ import annotations

import importlib
import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import qmltrain.cli.verbs
import qmltrain.verbs
from qmltrain.cli.dispatch import verb_function
from qmltrain.cli.known_verbs import flags_of, known_verbs
from qmltrain.cli.verb import PATHS, Takes

VERBS = known_verbs()
FOLDERS = (qmltrain.cli.verbs, qmltrain.verbs)


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_is_named_as_its_two_modules_and_its_work_takes_what_it_declares(name):
    verb = VERBS[name]
    assert importlib.import_module(f"qmltrain.cli.verbs.{name}").VERB is verb
    assert importlib.import_module(f"qmltrain.cli.verbs.{name}").__doc__.startswith(f"`qmltrain {name}")
    assert importlib.import_module(f"qmltrain.verbs.{name}").__doc__.startswith(f"`qmltrain {name}")
    positional, keywords = [], set()
    for parameter in inspect.signature(verb_function(name)).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            keywords.add(parameter.name)
        else:
            positional.append(parameter.name)
    given = 1 if verb.takes is Takes.CONFIG else len(PATHS[verb.takes])
    assert len(positional) == given + 1 and positional[-1] == "context"
    declared = {flag.name.replace("-", "_") for flag in verb.flags}
    assert keywords == declared | {override.keyword or override.key for override in verb.overrides}


def test_the_help_begins_with_the_default_verb_and_each_has_a_place_of_its_own():
    assert [verb.name for verb in VERBS.values() if verb.default] == [next(iter(VERBS))] == ["train"]
    assert len({verb.order for verb in VERBS.values()}) == len(VERBS)


def test_a_flag_takes_a_value_in_all_verbs_or_in_none():
    kinds: dict[str, set[bool]] = {}
    for verb in VERBS.values():
        for flag in flags_of(verb).values():
            kinds.setdefault(flag.name, set()).add(flag.value is None)
    assert all(len(kind) == 1 for kind in kinds.values()), kinds


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Iterator[tuple[Path, Path]]:
    """Copies of the two folders of verbs, which are used in their place: a test may add files and take some away."""
    copies = []
    for package in FOLDERS:
        copy = tmp_path / package.__name__
        shutil.copytree(package.__path__[0], copy, ignore=shutil.ignore_patterns("__pycache__"))
        for name in VERBS:  # imported again, from the copy; the package's own are back afterwards
            module = importlib.import_module(f"{package.__name__}.{name}")
            monkeypatch.delitem(sys.modules, module.__name__)
            monkeypatch.delattr(package, name)
        monkeypatch.setattr(package, "__path__", [str(copy)])
        copies.append(copy)
    known_verbs.cache_clear()
    yield copies[0], copies[1]
    known_verbs.cache_clear()


@pytest.mark.parametrize("name", VERBS)
def test_a_verb_can_go(qmltrain, folders, name):
    for folder in folders:
        (folder / f"{name}.py").unlink()
    importlib.invalidate_caches()
    assert list(known_verbs()) == [other for other in VERBS if other != name]
    text = qmltrain("--help").out.partition("\nflags:")[0]
    assert f"\n  {name} " not in text
    for other in known_verbs():
        assert callable(verb_function(other)) and f"\n  {other} " in text
        assert qmltrain(other, "--help").out.startswith(f"qmltrain {other}: ")
    refused = qmltrain(name)
    assert refused.code == 2 and f"allowed: first a verb ({', '.join(known_verbs())})" in refused.err
    if name != "train":
        assert qmltrain("--cfg", "job").code == 0
    if name == "repeat":
        assert "unrecognized arguments: --from" in qmltrain("--from", "runs/a").err


DECLARED = """
from qmltrain.cli.verb import Flag, Takes, Verb, whole_number

VERB = Verb(
    name="probe",
    takes=Takes.CONFIG,
    meaning="the loss along a line",
    order=45,
    flags=(Flag("points", "points on the line", "N", whole_number), Flag("dry-run", "only say what would be done")),
    examples=("qmltrain probe experiment=iris --points 5",),
)
"""
WORK = """
def run(config, context, *, points=11, dry_run=False):
    print(config.circuit.n_qubits, context.overrides, points, dry_run)
"""


@pytest.fixture
def with_probe(folders) -> None:
    for folder, text in zip(folders, (DECLARED, WORK), strict=True):
        (folder / "probe.py").write_text(text)
    importlib.invalidate_caches()


def test_a_verb_is_added_by_two_files(qmltrain: Callable, with_probe):
    names = list(known_verbs())
    assert names.index("probe") < names.index("evaluate")  # by its `order`
    text = qmltrain("--help").out
    assert "\n  probe                  the loss along a line\n" in text
    assert "\n  --points N             probe: points on the line\n" in text
    assert "\n  --dry-run              only say" in qmltrain("probe", "--help").out
    ended = qmltrain("probe", "circuit.n_qubits=3", "--points", "5")
    assert (ended.code, ended.out) == (0, "3 ['circuit.n_qubits=3'] 5 False\n")
    assert qmltrain("probe", "--dry-run").out == "8 [] 11 True\n"
    refused = qmltrain("probe", "--points", "many")
    assert refused.code == 2 and refused.err == "qmltrain: error: --points: found 'many'; allowed: whole numbers\n"
    assert "--points: not used by plan, but by probe" in qmltrain("plan", "--points", "5").err


def test_its_flags_hold_for_every_point_of_a_sweep(qmltrain: Callable, with_probe):
    ended = qmltrain("probe", "-m", "circuit.n_qubits=2,3", "--points", "5")
    assert ended.code == 0, ended.err
    assert ended.out == "2 ['circuit.n_qubits=2'] 5 False\n3 ['circuit.n_qubits=3'] 5 False\n"
