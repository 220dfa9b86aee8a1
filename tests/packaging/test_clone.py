"""A clone as the README has it used: installed, then its commands and its Python, in the clone and elsewhere."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.slow
pytest.importorskip("scikit_build_core")
pytest.importorskip("matplotlib")
pytest.importorskip("xarray")


def block(heading: str, language: str) -> str:
    """The first block of `language` under `heading`."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    [code] = re.findall(rf"^```{language}\n(.*?)^```", section, re.M | re.S)[:1]
    return code


class Clone:
    """A copy of the checkout with an environment of its own, in which it is installed."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        self.root = folder / "clone"
        self.root.mkdir()
        for name in ("pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, self.root)
        for name in ("qmltrain", "configs", "kernels"):
            shutil.copytree(ROOT / name, self.root / name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
        venv.create(self.root / ".venv", with_pip=True)
        self.tools = self.root / ".venv" / "bin"
        [packages] = (self.root / ".venv" / "lib").glob("python*/site-packages")
        # what pip would download is taken from this environment, whose own qmltrain comes after that of the clone
        others = [path for path in sys.path if path.endswith("site-packages")]
        (packages / "dependencies.pth").write_text("\n".join(others))
        self.run("pip", "install", "-q", "--no-build-isolation", "--no-deps", *options, ".")

    def run(self, *command: str, directory: Path | None = None) -> str:
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        tools = [str(self.tools), *(str(Path(path) / "../../../bin") for path in sys.path if "site-packages" in path)]
        environment["PATH"] = os.pathsep.join([*tools, environment["PATH"]])
        environment["MPLBACKEND"] = "agg"
        done = subprocess.run(
            command, cwd=directory or self.root, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module", params=["plain", "editable"])
def clone(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Clone:
    """Installed, and trained for two epochs by the command of the first block."""
    clone = Clone(tmp_path_factory.mktemp(request.param), ["-e"] if request.param == "editable" else [])
    install, _, train = block("Train a model", "bash").strip().rpartition(" && ")
    assert "pip install" in install and train == ".venv/bin/qmltrain experiment=digits"
    clone.run(*train.split(), "train.epochs=2")
    return clone


def digits_run(clone: Clone) -> str:
    [run] = [path for path in (clone.root / "runs").glob("digits-*") if (path / "run.h5").is_file()][:1]
    return f"runs/{run.name}"


@pytest.fixture
def elsewhere(clone: Clone, tmp_path: Path) -> Path:
    """Another folder, that holds the same run and new samples."""
    shutil.copytree(clone.root / digits_run(clone), tmp_path / digits_run(clone))
    return tmp_path


def folders(clone: Clone, elsewhere: Path) -> list[Path]:
    return [clone.root, elsewhere]


def test_the_extension_is_found_wherever_python_is_started(clone, elsewhere):
    for folder in folders(clone, elsewhere):
        for command in (["qmltrain", "info"], ["python", "-m", "qmltrain", "info"]):
            assert "cpu engine   C++ extension, " in clone.run(*command, directory=folder)
        told = clone.run("python", "-m", "qmltrain", "experiment=digits", "train.epochs=1", directory=folder)
        assert "engine.name=auto took cpu" in told


def test_the_python_of_the_readme(clone, elsewhere):
    code = block("Where results are", "python").replace("runs/digits-…", digits_run(clone))
    images = "from sklearn.datasets import load_digits\nimages = load_digits().images[:3]\n"
    for folder in folders(clone, elsewhere):
        clone.run("python", "-c", images + code, directory=folder)


def test_the_commands_of_the_readme(clone):
    run = digits_run(clone)
    digits = load_digits()
    np.savez(clone.root / "new.npz", x=digits.images[:40], y=digits.target[:40])
    commands = [line.partition("#")[0].strip() for line in block("What you can do next", "bash").splitlines()]
    assert len(commands) > 10 and all(command.startswith("qmltrain ") for command in commands)
    for command in commands:
        if not command.split()[1].isalpha():  # no verb: it trains
            command += " train.epochs=1"
        if command.split()[1] == "plan":
            command = command.replace("layers=1000", "layers=50")
        clone.run("bash", "-c", command.replace("runs/digits-…", run))
