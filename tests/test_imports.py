"""Imports point one way, heavy packages stay where they belong, and the command starts without them."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import qmltrain

PACKAGE = Path(qmltrain.__file__).parent

# part of the package -> other parts that it may import; the ground floor may be imported by all
GROUND = {"errors", "gf2", "registry", "shipped_files", "units", "user_code"}
BELOW = {
    "errors": set(),
    "shipped_files": {"errors"},
    "units": set(),
    "registry": {"errors"},
    "user_code": {"errors"},
    "config": set(),
    "gf2": set(),
    "circuit": set(),
    "fusion": {"circuit"},
    "engines": {"fusion", "circuit"},
    "training": {"engines", "fusion", "circuit"},
    "data": set(),
    "runs": set(),
    "cluster": set(),
    "plots": {"runs"},
    "models": {"training", "engines", "fusion", "circuit", "data", "runs", "config"},
    "sessions": {"models", "training", "engines", "circuit", "runs", "cluster", "config"},
    "verbs": {"sessions", "models", "plots", "training", "engines", "fusion", "circuit", "data", "runs", "config"},
    "cli": {"verbs", "sessions", "cluster", "config"},
    "__main__": {"cli"},
    "__init__": {"runs", "models"},
}

# package -> the only places that import it, as path prefixes
HOMES = {
    "hydra": ("cli", "config"),
    "omegaconf": ("cli", "config"),
    "h5py": ("runs", "data", "verbs/info"),  # info: its version
    "cupy": ("engines/cuda",),
    "cupyx": ("engines/cuda",),
    "qmltrain.engines._cpu": ("engines/cpu",),
    "matplotlib": ("plots",),
    "pandas": ("runs",),
    "xarray": ("runs",),
    "sklearn": ("data", "training"),
}

SOURCES = sorted(PACKAGE.rglob("*.py"))


def imports(source: str) -> Iterator[str]:
    """Dotted names that are imported anywhere in `source`, function bodies included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def allowed(part: str) -> set[str]:
    return BELOW[part] if part in GROUND else BELOW[part] | GROUND


def misplaced(relative: Path, source: str) -> list[str]:
    """What the file at `relative` in the package imports although it must not."""
    part = relative.parts[0].removesuffix(".py")
    found = []
    for name in imports(source):
        first, _, rest = name.partition(".")
        if first == "qmltrain":
            other = rest.partition(".")[0]
            is_part = (PACKAGE / other).is_dir() or (PACKAGE / f"{other}.py").is_file()  # else a name of the package
            if is_part and other not in allowed(part) | {part}:
                found.append(name)
        for package, homes in HOMES.items():
            if f"{name}.".startswith(f"{package}.") and not relative.as_posix().startswith(homes):
                found.append(name)
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path):
    assert not misplaced(path.relative_to(PACKAGE), path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("circuit/gates.py", "from qmltrain.fusion.plan import Plan"),
        ("units.py", "from qmltrain.errors import InputError"),
        ("fusion/passes.py", "import qmltrain.engines"),
        ("engines/protocol.py", "def f():\n    from qmltrain.training import losses"),
        ("training/losses.py", "from qmltrain import verbs"),
        ("runs/store.py", "from qmltrain.engines.protocol import BLOCK"),
        ("sessions/session.py", "from qmltrain.cli import main"),
        ("training/trainer.py", "import h5py"),
        ("engines/reference.py", "import cupy as cp"),
        ("engines/interpreter.py", "from qmltrain.engines import _cpu"),
        ("verbs/plan.py", "from omegaconf import OmegaConf"),
    ],
)
def test_an_upward_import_is_found(place, line):
    assert misplaced(Path(place), line)


def test_the_layers_have_no_cycle():
    order: list[str] = []
    while len(order) < len(BELOW):
        free = [part for part in BELOW if part not in order and allowed(part) <= set(order)]
        assert free, set(BELOW) - set(order)
        order += free


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    code = (
        "import sys; from qmltrain.cli import main; code = main(sys.argv[1:]); "
        "heavy = {'numpy', 'scipy', 'sklearn', 'h5py', 'hydra', 'omegaconf', 'matplotlib', 'pandas', 'cupy'}; "
        "sys.exit(code or (f'imported: {heavy & set(sys.modules)}' if heavy & set(sys.modules) else 0))"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "qmltrain" in done.stdout
