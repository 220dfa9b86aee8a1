"""LICENSE, CITATION, CHANGELOG, CONTRIBUTING and kernels/README agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import yaml

import qmltrain

ROOT = Path(__file__).parents[2]


def test_citation():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == qmltrain.__version__
    assert citation["license"] == "MIT" and (ROOT / "LICENSE").read_text().startswith("MIT License")
    assert "2603.02804" in citation["references"][0]["url"]


def test_changelog_has_what_is_being_worked_on():
    assert "## Unreleased" in (ROOT / "CHANGELOG.md").read_text()


def test_contributing_names_files_and_objects_that_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = set(re.findall(r"`((?:qmltrain|tests|docs|scripts|configs|\.ci)/[\w./*]+)`", text))
    assert len(paths) > 10
    for path in paths - {
        "configs/ansatz/brickwork.yaml",
        "configs/engine/metal.yaml",
        "configs/noise/",
        "qmltrain/cli/verbs/scan.py",
        "qmltrain/verbs/scan.py",
        "tests/verbs/test_scan.py",
        "qmltrain/config/groups/noise.py",
        "qmltrain/engines/metal/",
    }:
        assert list(ROOT.glob(path.rstrip("/"))), path
    where = {
        "_DEFINITIONS": "qmltrain/circuit/gates.py",
        "DECOMPOSITIONS": "qmltrain/fusion/decompose.py",
        "ANSATZE": "qmltrain/circuit/library/ansatze.py",
        "class AnsatzConfig": "qmltrain/config/groups/ansatz.py",
        "AUTO_ORDER": "qmltrain/engines/selection.py",
        "ENGINES": "qmltrain/engines/selection.py",
        "HOMES": "tests/test_imports.py",
    }
    for name, path in where.items():
        assert name.split()[-1] in text and re.search(rf"^{name}\b", (ROOT / path).read_text(), flags=re.M), name


def test_source_files_that_the_page_of_kernels_names_exist():
    text = (ROOT / "kernels" / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([\w/]+\.(?:hpp|cpp|cuh|cu|py))`", text)) - {"simd/rotate_twice.hpp"}  # is to be added
    assert len(named) > 30
    present = [path.as_posix() for folder in ("kernels", "qmltrain", "tests") for path in (ROOT / folder).rglob("*.*")]
    assert not [name for name in sorted(named) if not any(path.endswith(f"/{name}") for path in present)]
