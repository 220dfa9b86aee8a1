"""Wheel and sdist hold configs and kernel sources; without a compiler the package installs and says what is missing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import qmltrain
from qmltrain.engines.cpu.extension import load, unavailable_reason
from qmltrain.errors import QmltrainError
from qmltrain.shipped_files import configs_directory, kernels_directory

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

pytest.importorskip("scikit_build_core")

BUILD = """
import sys
from scikit_build_core.build import build_sdist, build_wheel
print((build_sdist if sys.argv[1] == "sdist" else build_wheel)(sys.argv[2], {}))
"""


def shipped_files() -> set[str]:
    """Configs and kernel sources of the checkout, relative to it."""
    return {
        path.relative_to(ROOT).as_posix()
        for folder in ("configs", "kernels")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".yaml", ".hpp", ".cpp", ".h", ".cu", ".cuh", ".txt")
    }


def build(kind: str, checkout: Path, output: Path) -> Path:
    """A wheel or sdist of `checkout`, with no compiler to be found."""
    output.mkdir()
    tools = output / "tools"  # pip brings these two where they are missing; a compiler it does not
    tools.mkdir()
    for tool in ("cmake", "ninja"):
        if found := shutil.which(tool):
            (tools / tool).symlink_to(found)
    environment = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX", "PYTHONPATH")}
    done = subprocess.run(
        [sys.executable, "-c", BUILD, kind, str(output)],
        cwd=checkout,
        env={**environment, "PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return output / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what is built, without traces of earlier builds."""
    copy = tmp_path_factory.mktemp("checkout") / "qmltrain"
    copy.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    for name in ("qmltrain", "configs", "kernels"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.so", "build"))
    return copy


@pytest.fixture(scope="module")
def wheel(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", checkout, tmp_path_factory.mktemp("wheel") / "out")


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", checkout, tmp_path_factory.mktemp("sdist") / "out")


def test_the_wheel_holds_configs_and_kernel_sources_inside_the_package(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"qmltrain/{name}" for name in shipped_files()} <= names
    sources = {path.relative_to(ROOT).as_posix() for path in (ROOT / "qmltrain").rglob("*.py")}
    assert sources <= names
    tops = {name.partition("/")[0] for name in names}
    assert tops == {"qmltrain", f"qmltrain-{qmltrain.__version__}.dist-info"}
    assert not [name for name in names if "__pycache__" in name or name.endswith((".so", ".o"))]


def test_without_a_compiler_the_wheel_is_for_any_machine(wheel):
    assert wheel.name == f"qmltrain-{qmltrain.__version__}-py3-none-any.whl"


def test_the_sdist_builds_the_same_wheel(sdist, wheel, tmp_path):
    with tarfile.open(sdist) as archive:
        # Python 3.11 knows the filter from 3.11.4 on
        archive.extractall(tmp_path, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    [unpacked] = [path for path in tmp_path.iterdir() if path.is_dir()]
    for name in shipped_files():
        assert (unpacked / name).is_file(), name
    again = build("wheel", unpacked, tmp_path / "out")
    assert set(zipfile.ZipFile(again).namelist()) == set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel unpacked, as an installer would, in a folder that is not the checkout."""
    folder = tmp_path_factory.mktemp("site-packages")
    zipfile.ZipFile(wheel).extractall(folder)
    return folder


COMMAND = "from qmltrain.cli import main; sys.exit(main(sys.argv[1:]))"


def start(
    installed: Path, directory: Path, *words: str, path: str | None = None, code: str = COMMAND
) -> subprocess.CompletedProcess[str]:
    """Python with the unpacked wheel first on its path; this environment's own editable install is out of the way."""
    code = (
        "import sys; sys.meta_path[:] = [f for f in sys.meta_path if 'editable' not in type(f).__module__]; "
        f"sys.path.insert(0, {str(installed)!r}); {code}"
    )
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "CXX")}
    if path is not None:
        environment["PATH"] = path
    return subprocess.run(
        [sys.executable, "-P", "-c", code, *words],
        cwd=directory,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_installed_without_a_compiler_the_command_works(installed, tmp_path):
    done = start(installed, tmp_path, "--cfg", "job", "experiment=digits")
    assert done.returncode == 0, done.stderr
    assert "n_qubits: 8" in done.stdout
    done = start(installed, tmp_path, "circuit", "circuit.n_qubits=2", "preprocess.pca=2")
    assert done.returncode == 0, done.stderr


def test_info_says_how_to_get_the_extension(installed, tmp_path):
    done = start(installed, tmp_path, "info", path=str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert str(installed) in done.stdout
    [line] = [line for line in done.stdout.splitlines() if line.startswith("cpu engine")]
    assert "missing" in line and "install a C++17 compiler" in line


def test_a_compiler_that_came_later_is_named(installed, tmp_path):
    compiler = tmp_path / "c++"
    compiler.write_text("#!/bin/sh\n")
    compiler.chmod(0o755)
    done = start(installed, tmp_path, "info", path=str(tmp_path))
    [line] = [line for line in done.stdout.splitlines() if line.startswith("cpu engine")]
    assert "although c++ is here" in line and "install qmltrain again" in line


@pytest.fixture
def with_extension(installed: Path, tmp_path: Path) -> Path:
    """The unpacked wheel as it is where there was a compiler: with this environment's extension."""
    if (reason := unavailable_reason()) is not None:
        pytest.skip(reason)
    library = Path(load().__file__)
    folder = tmp_path / "site-packages"
    shutil.copytree(installed, folder)
    shutil.copy(library, folder / "qmltrain" / "engines")
    [metadata] = folder.glob("qmltrain-*.dist-info")
    with (metadata / "RECORD").open("a") as record:
        record.write(f"qmltrain/engines/{library.name},,\n")
    return folder


IN_A_CLONE = "sys.path.insert(0, ''); "  # as for `python -c` and `python -m` without -P


def test_started_in_the_clone_the_extension_of_the_installation_is_used(with_extension, checkout):
    done = start(with_extension, checkout, "info", code=IN_A_CLONE + COMMAND)
    assert done.returncode == 0, done.stderr
    lines = {line[:12].strip(): line[13:] for line in done.stdout.splitlines()}
    assert lines["qmltrain"].endswith(f" in {checkout / 'qmltrain'}"), "the test does not test a source folder"
    assert lines["cpu engine"].endswith(f", {with_extension / 'qmltrain' / 'engines' / load().__file__.split('/')[-1]}")
    select = "from qmltrain.engines.selection import select_engine; print(select_engine('cpu').engine.describe())"
    done = start(with_extension, checkout, code=IN_A_CLONE + select)
    assert done.returncode == 0 and done.stdout.startswith("cpu: "), done.stderr


def test_in_a_clone_a_missing_extension_is_one_line_with_its_cure(installed, checkout, tmp_path):
    load_run = "from qmltrain.engines.selection import select_engine; select_engine('cpu')"
    done = start(installed, checkout, code=IN_A_CLONE + load_run, path=str(tmp_path))
    assert done.stderr.count("Traceback") == 1
    assert done.stderr.splitlines()[-1] == (
        "qmltrain.errors.EngineUnavailableError: engine cpu: the C++ extension was not built; install a C++17 compiler "
        f"(g++ or clang++), then run `pip install .` in {checkout} again"
    )


def test_the_checkout_finds_its_own_files():
    assert (configs_directory() / "config.yaml").is_file()
    assert (kernels_directory() / "CMakeLists.txt").is_file()


def test_an_incomplete_installation_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr("qmltrain.shipped_files.PACKAGE", tmp_path / "qmltrain")
    with pytest.raises(QmltrainError, match=r"configs/config.yaml .* install again"):
        configs_directory()


def test_dependencies_are_the_agreed_ones():
    names = {re.split(r"[<>=\[]", text)[0] for text in PROJECT["project"]["dependencies"]}
    assert names == {"numpy", "hydra-core", "omegaconf", "h5py", "tqdm", "scipy", "scikit-learn", "threadpoolctl"}
    extras = {"cuda12", "cuda13", "plot", "analysis", "parquet", "mpi", "qasm", "field", "dev"}
    assert extras == set(PROJECT["project"]["optional-dependencies"])


def shell_blocks() -> list[str]:
    return re.findall(r"^```(?:bash|sh|shell)\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)


def test_the_first_two_shell_blocks_of_the_readme_are_one_command_line_each():
    first, second = shell_blocks()[:2]
    for block in (first, second):
        assert len(block.strip().splitlines()) == 1
        assert "venv" in block and "pip install" in block
    assert "qmltrain experiment=digits" in first
    assert "pytest" in second and "dev" in second


def test_continuous_integration_calls_the_second():
    text = (ROOT / ".ci" / "run").read_text()
    assert "readme_block 2" in text and os.access(ROOT / ".ci" / "run", os.X_OK)
