"""Loading the C++ extension: one of another version would compute nonsense, and what is missing comes with its cure."""

from __future__ import annotations

import importlib.machinery
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import qmltrain
from qmltrain.engines.cpu import extension
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError

ROOT = Path(__file__).parents[3]


@pytest.fixture
def built() -> None:
    if extension.unavailable_reason() is not None:
        pytest.skip(str(extension.unavailable_reason()))


def test_an_extension_of_another_version_is_refused(built, monkeypatch):
    monkeypatch.setattr(extension, "INTERFACE", 999)
    again = rf"of another version .*\(interface \d+, not 999\); run `pip install (-e )?\.` in {ROOT} again"
    with pytest.raises(EngineUnavailableError, match=again):
        select_engine("cpu")
    selection = select_engine("auto")
    assert selection.engine.name != "cpu"
    assert "another version" in selection.reason


@pytest.fixture
def source_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No extension beside the package that is imported."""

    class Hidden:
        def find_spec(self, name, path=None, target=None):
            if name == extension.NAME:
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.delitem(sys.modules, extension.NAME, raising=False)
    monkeypatch.setattr(sys, "meta_path", [Hidden(), *sys.meta_path])


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Path]:
    """Puts an installed qmltrain on the path, with a file as its extension; gives that file's path."""

    def install(version: str = qmltrain.__version__, with_extension: bool = True, editable: bool = False) -> Path:
        name = f"qmltrain/engines/_cpu{importlib.machinery.EXTENSION_SUFFIXES[0]}"
        metadata = tmp_path / f"qmltrain-{version}.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: qmltrain\nVersion: {version}\n")
        (metadata / "RECORD").write_text("qmltrain/errors.py,,\n" + f"{name},,\n" * with_extension)
        (metadata / "direct_url.json").write_text(json.dumps({"url": "file:///", "dir_info": {"editable": editable}}))
        monkeypatch.syspath_prepend(str(tmp_path))
        return tmp_path / name

    return install


def compilers(monkeypatch: pytest.MonkeyPatch, *there: str) -> None:
    monkeypatch.setattr(extension.shutil, "which", lambda name: f"/bin/{name}" if name in there else None)
    monkeypatch.delenv("CXX", raising=False)


def reason() -> str:
    text = extension.unavailable_reason()
    assert text is not None and "\n" not in text
    return text


def test_qmltrain_is_not_installed_here(source_alone, monkeypatch):
    monkeypatch.setattr(sys, "path", [])  # installed distributions are looked for there
    assert f"is not installed in this environment ({sys.prefix})" in reason()
    assert reason().endswith(f"; run `pip install .` in {ROOT}")


def test_it_was_installed_without_a_compiler(source_alone, install, monkeypatch):
    install(with_extension=False, editable=True)
    compilers(monkeypatch)
    assert reason() == (
        "the C++ extension was not built; install a C++17 compiler (g++ or clang++), then run `pip install -e .` in "
        f"{ROOT} again"
    )


def test_a_compiler_came_later(source_alone, install, monkeypatch):
    install(with_extension=False)
    compilers(monkeypatch, "g++")
    assert "was not built although g++ is here; run `pip install .` in" in reason()
    compilers(monkeypatch, "g++", "icpx")
    monkeypatch.setenv("CXX", "icpx")
    assert "although icpx is here" in reason()


def test_the_installation_is_of_another_version(source_alone, install):
    path = install(version="0.0.7")
    assert f"{path} is of qmltrain 0.0.7, {ROOT / 'qmltrain'} is {qmltrain.__version__}; run `pip install" in reason()


def test_the_file_is_gone_or_damaged(source_alone, install):
    path = install()
    assert reason().startswith("the C++ extension does not load (") and str(path) in reason()
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no library")
    assert reason().startswith("the C++ extension does not load (") and reason().endswith(f"in {ROOT} again")


def test_outside_a_clone_no_folder_is_named(source_alone, install, monkeypatch, tmp_path):
    install(with_extension=False)
    compilers(monkeypatch)
    monkeypatch.setattr(extension, "PACKAGE", tmp_path / "qmltrain")
    assert reason().endswith("then install qmltrain again")
