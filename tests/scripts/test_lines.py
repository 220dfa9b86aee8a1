"""The package keeps its size: the core and every wing stay under the caps of scripts/lines."""

from __future__ import annotations

import importlib.machinery
import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("lines_script", str(ROOT / "scripts" / "lines"))
    spec = importlib.util.spec_from_loader(loader.name, loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def test_every_part_is_under_its_cap(script):
    found = script.package_lines(ROOT)
    assert not script.too_long(found)
    assert all(lines.files for lines in found.values()), "a part that no file is in"
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "qmltrain").rglob("*.py")}
    assert sum(lines.files for lines in found.values()) == len(files)


def test_it_prints_a_table(script, capsys):
    assert script.main(ROOT) == 0
    printed = capsys.readouterr().out
    for name in ("core ", "  lowering ", "engine cuda ", "kernels/cpu ", "tests "):
        assert f"\n{name}" in printed


def test_a_file_is_counted_by_what_its_lines_are(script, tmp_path):
    path = tmp_path / "a.py"
    path.write_text('"""Doc.\n\nMore."""\n\n# why\nx = """no\ndoc"""\n\n\ndef f():\n    "Doc."\n    return x  # code\n')
    assert script.count(path) == script.Lines(1, 12, code=4, docstrings=3, comments=1, blank=4)
    path = tmp_path / "a.hpp"
    path.write_text("// why\nint x;\n\n")
    assert script.count(path) == script.Lines(1, 3, code=1, docstrings=0, comments=1, blank=1)


def test_a_part_that_outgrew_its_cap_and_a_file_in_no_part_are_found(script, monkeypatch, tmp_path):
    (tmp_path / "qmltrain" / "fusion").mkdir(parents=True)
    (tmp_path / "qmltrain" / "fusion" / "a.py").write_text("x = 1\n" * 5)
    (tmp_path / "qmltrain" / "data").mkdir()
    (tmp_path / "qmltrain" / "data" / "b.py").write_text("x = 1\n" * 4)
    monkeypatch.setattr(script, "CORE_CAP", 4)
    monkeypatch.setitem(script.PARTS, "data", (3, ["data"]))
    found = script.package_lines(tmp_path)
    assert script.too_long(found) == ["core: 5 lines, allowed 4", "data: 4 lines, allowed 3"]
    (tmp_path / "qmltrain" / "new.py").write_text("x = 1\n")
    with pytest.raises(ValueError, match=r"qmltrain/new\.py is in no part"):
        script.package_lines(tmp_path)
