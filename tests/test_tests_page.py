"""tests/README.md: what was changed finds its test there, and the tests keep their own rules."""

from __future__ import annotations

import ast
import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = ROOT / "tests"
PAGE = (TESTS / "README.md").read_text(encoding="utf-8")
LONGEST = 400  # lines of a test file
OUTSIDE = ("kernels", "configs", "scripts", "docs")  # folders beside the package that the table covers


def patterns_of(page: str) -> list[str]:
    """What the table of modules without a test of their name lists, and each of its rows with a test."""
    table, _, _ = page[page.index("| you changed |") :].partition("\n\n")
    cells = [line.split("|")[1:3] for line in table.splitlines()[2:]]
    assert all(re.search(r"`[^`]*test_\w+\.py`", tests) for _, tests in cells), "a row without a test"
    return [pattern for changed, _ in cells for pattern in re.findall(r"`([^`]+)`", changed)]


def modules() -> set[str]:
    """Paths within the package, without .py; an __init__ counts where it does more than to say what is there."""
    found = set()
    for path in (ROOT / "qmltrain").rglob("*.py"):
        if path.name != "__init__.py" or len(ast.parse(path.read_text(encoding="utf-8")).body) > 1:
            found.add(path.relative_to(ROOT / "qmltrain").with_suffix("").as_posix())
    return found


def files_outside() -> set[str]:
    paths = (path for folder in OUTSIDE for path in (ROOT / folder).rglob("*"))
    return {p.relative_to(ROOT).as_posix() for p in paths if p.is_file() and "__pycache__" not in p.parts}


def files_of_tests() -> set[str]:
    return {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}


def mirror(module: str) -> str:
    folder, _, name = module.rpartition("/")
    return f"{folder}/test_{name}.py".lstrip("/")


def not_found(changed: set[str], patterns: list[str], tests: set[str]) -> set[str]:
    """What has neither a test of its name nor a row."""
    return {c for c in changed if mirror(c) not in tests and not any(fnmatch(c, pattern) for pattern in patterns)}


def needless(patterns: list[str], changed: set[str], tests: set[str]) -> list[str]:
    """Rows of what is not there, or is found by its name; those with a star are of whole folders."""
    wanted = {c for c in changed if mirror(c) not in tests}
    return [
        pattern
        for pattern in patterns
        if not any(fnmatch(c, pattern) for c in (changed if "*" in pattern else wanted))
        and not (pattern not in changed and (ROOT / pattern).is_file())
    ]


def nameless(tests: set[str], changed: set[str], named: set[str]) -> set[str]:
    """Test files that neither a module nor the page leads to."""
    return tests - {mirror(c) for c in changed} - named


def borrowed(text: str) -> list[str]:
    """Test files from which this text imports."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return [name for name in found if re.fullmatch(r"tests\.([a-z_]+\.)*test_[a-z_]+", name)]


PATTERNS = patterns_of(PAGE)
CHANGED = modules() | files_outside()
NAMED = set(re.findall(r"`([\w/]+\.py)`", PAGE[PAGE.index("**Helpers**") :]))


def test_every_module_has_a_test_of_its_name_or_a_row():
    assert not not_found(CHANGED, PATTERNS, files_of_tests())


def test_every_row_is_needed():
    assert not needless(PATTERNS, CHANGED, files_of_tests())


def test_every_file_that_the_page_names_is_there():
    assert len(NAMED) > 50
    assert not [name for name in NAMED if not (TESTS / name).is_file()]


def test_every_test_file_is_led_to():
    assert not nameless(files_of_tests(), modules(), NAMED)


def test_what_is_missing_is_noticed():
    assert not_found({"runs/lock", "runs/new"}, ["cli/*"], {"runs/test_lock.py"}) == {"runs/new"}
    assert needless(["runs/lock", "runs/gone", "cli/*"], {"runs/lock"}, {"runs/test_lock.py"}) == [
        *["runs/lock", "runs/gone", "cli/*"]
    ]
    assert nameless({"runs/test_lock.py", "runs/test_b.py"}, {"runs/lock"}, set()) == {"runs/test_b.py"}


@pytest.mark.parametrize("name", sorted(files_of_tests()))
def test_a_test_file_lends_nothing_and_is_no_longer_than_it_may_be(name):
    text = (TESTS / name).read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST
    assert not borrowed(text), "move what is shared into a helper module"


def test_what_is_borrowed_is_noticed():
    assert borrowed("def f():\n    from tests.runs.test_lock import how") == ["tests.runs.test_lock"]
    assert borrowed("from tests.runs import test_lock, session") == ["tests.runs.test_lock"]
    assert borrowed("import tests.runs.test_lock") == ["tests.runs.test_lock"]
    assert not borrowed("from tests.runs.tiny_training import contents\nfrom x import test_data")
