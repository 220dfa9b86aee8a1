"""Imports point one way, between packages by the table of docs/architecture.md and between files without a circle.

Heavy packages stay where they belong, and the command starts without them.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "qmltrain"

# package -> the only places that import it, as path prefixes; these alone may be imported inside functions
HOMES = {
    "hydra": ("cli", "config"),
    "omegaconf": ("cli", "config"),
    "yaml": ("cli", "config", "runs"),
    "h5py": ("runs", "scans", "quantum_kernels", "data", "verbs/info"),  # info: its version
    "cupy": ("engines/cuda",),
    "cupyx": ("engines/cuda",),
    "mpi4py": ("ranks/mpi",),
    "qmltrain.engines._cpu": ("engines/cpu",),
    "matplotlib": ("plots",),
    "pandas": ("runs", "scans"),
    "xarray": ("runs", "scans"),
    "pyarrow": ("data",),
    "openqasm3": ("circuit/interchange",),
    "sklearn": ("data", "training", "quantum_kernels"),
    "scipy": ("data", "studies", "training", "verbs"),
    "threadpoolctl": ("blas_threads", "data", "studies", "training", "quantum_kernels"),
    "tqdm": ("training",),
}
# Own modules that are imported inside a function: they bring NumPy or Hydra in, and `--help` or `info` must do without.
LATE = {
    "cli/composing.py": {"qmltrain.cli.config_loader"},
    "cli/sweeping.py": {"qmltrain.sessions.results", "qmltrain.sessions.training_run"},
    "verbs/info.py": {"qmltrain.engines.selection"},
}
# Own modules that are imported by a name in a string, so that what they lead to may be missing.
BY_NAME = {
    "__main__.py": ("qmltrain.cli",),  # signals are listened to before
    "__init__.py": (
        "qmltrain.models.trained",
        "qmltrain.quantum_kernels.notebook",
        "qmltrain.runs.views",
        "qmltrain.scans.views",
    ),
    "circuit/library/ansatze_qasm.py": ("qmltrain.circuit.interchange",),
    "cli/launched.py": ("qmltrain.ranks.mpi",),
    "cli/dispatch.py": ("qmltrain.verbs.",),
    "cli/known_verbs.py": ("qmltrain.cli.verbs.",),
    "engines/cuda/__init__.py": ("qmltrain.engines.cuda.engine",),  # twenty files, for those who have a GPU
    "engines/selection.py": tuple(f"qmltrain.engines.{name}" for name in ("cpu", "cuda", "interpreter", "reference")),
    "data/shuffling.py": ("qmltrain.engines.cpu.extension",),
    "ranks/node_memory.py": ("qmltrain.engines.cpu.extension",),
    "models/reductions.py": ("qmltrain.fusion.reductions", "qmltrain.engines.cones.program"),
    "verbs/collect.py": ("qmltrain.scans.collecting",),
    "verbs/plot.py": ("qmltrain.plots.scan_pictures",),
    "verbs/info.py": ("qmltrain.engines.cpu", "qmltrain.engines.cuda"),
}


class Import(NamedTuple):
    """`name`: dotted, as written. `late`: inside a function. `by_name`: only a text that names a module of ours."""

    name: str
    late: bool = False
    by_name: bool = False


def imports(source: str) -> Iterator[Import]:
    """Everything that is imported anywhere in `source`: at the top, under TYPE_CHECKING, in functions, by name."""
    yield from _imports(ast.parse(source), late=False)


def _imports(node: ast.AST, late: bool) -> Iterator[Import]:
    match node:
        case ast.Import():
            yield from (Import(alias.name, late) for alias in node.names)
        case ast.ImportFrom():
            assert node.level == 0, "relative import"
            yield from (Import(f"{node.module}.{alias.name}", late) for alias in node.names)
        case ast.Constant(value=str(text)) if re.fullmatch(r"qmltrain(\.\w+)+\.?", text):
            yield Import(text, late, by_name=True)
    late = late or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
    for child in ast.iter_child_nodes(node):
        yield from _imports(child, late)


def files() -> dict[str, str]:
    """Source of every file, by its path in the package."""
    return {path.relative_to(PACKAGE).as_posix(): path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py"))}


def file_of(name: str, known: dict[str, str]) -> str | None:
    """The file of ours that a dotted name leads to; None for other packages, and for what the package itself holds."""
    parts = name.split(".")
    if parts[0] != "qmltrain":
        return None
    for end in range(len(parts), 1, -1):
        path = "/".join(parts[1:end])
        for candidate in (f"{path}.py", f"{path}/__init__.py"):
            if candidate in known:
                return candidate
    return None  # qmltrain.__version__


FILES = files()


def table() -> dict[str, set[str]]:
    """Row by row from the ground up, what the table of docs/architecture.md allows each package to import."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    [rows] = re.findall(r"^\| room \|.*\| may import \|\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    found: dict[str, set[str]] = {}
    ground: set[str] = set()
    for row in rows.splitlines():
        packages, _, below = (re.findall(r"`([\w/]+)`", cell) for cell in row.strip("|").split("|"))
        ground = ground or set(packages)
        for package in packages:
            assert package not in found, f"{package}: two rows"
            found[package] = set(below) if package in ground else set(below) | ground
    return found


TABLE = table()


def package_of(file: str) -> str:
    """The row of the table that a file belongs to: the longest that its path begins with."""
    path = file.removesuffix(".py")
    rows = [package for package in TABLE if f"{path}/".startswith(f"{package}/")]
    assert rows, f"qmltrain/{file} has no row in the table of docs/architecture.md"
    return max(rows, key=len)


def misplaced(file: str, source: str, known: dict[str, str] = FILES) -> list[str]:
    """What `file` imports although it must not, and why."""
    found = []
    own = package_of(file)
    for name, late, by_name in imports(source):
        target = file_of(name, known)
        if by_name:
            if target != file and not name.startswith(BY_NAME.get(file, ())) and name not in HOMES:
                found.append(f"{name}: by name")
            continue
        if target is not None and package_of(target) not in TABLE[own] | {own}:
            found.append(f"{name}: {own} may import {', '.join(sorted(TABLE[own]))}")
        homes = {package: places for package, places in HOMES.items() if f"{name}.".startswith(f"{package}.")}
        found += [f"{name}: only in {places}" for places in homes.values() if not file.startswith(places)]
        if late and not homes and not any(f"{name}.".startswith(f"{module}.") for module in LATE.get(file, ())):
            found.append(f"{name}: inside a function")
    return found


def circles(known: dict[str, str]) -> set[frozenset[str]]:
    """The sets of files that import one another, directly or through others."""
    below = {
        file: {file_of(found.name, known) for found in imports(source) if not found.by_name} - {None, file}
        for file, source in known.items()
    }
    reached: dict[str, set[str]] = {}
    for file in known:
        seen: set[str] = set()
        ahead = list(below[file])
        while ahead:
            other = ahead.pop()
            if other not in seen:
                seen.add(other)
                ahead += below[other]
        reached[file] = seen
    return {
        frozenset(other for other in reached[file] if file in reached[other]) for file in known if file in reached[file]
    }


@pytest.mark.parametrize("file", FILES)
def test_imports_point_one_way(file):
    assert not misplaced(file, FILES[file])


def test_files_import_one_another_in_no_circle():
    assert not circles(FILES)


def test_the_table_goes_from_the_ground_up_and_names_what_is_there():
    above: set[str] = set()
    for package, below in TABLE.items():
        assert below <= above | ({"errors"} if package in below else set()), f"{package} imports what is above it"
        above.add(package)
        assert (PACKAGE / package).is_dir() or f"{package}.py" in FILES, package
    used = {package_of(file) for file in FILES}
    assert used == set(TABLE)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("circuit/gates.py", "from qmltrain.fusion.plan import Plan"),
        ("circuit/gates.py", "from qmltrain.circuit.library import assemble"),
        ("units.py", "from qmltrain.registry import Options"),
        ("fusion/passes.py", "import qmltrain.engines"),
        ("engines/protocol.py", "def f():\n    from qmltrain.training import losses"),
        ("engines/protocol.py", "if TYPE_CHECKING:\n    from qmltrain.training.losses import LOSSES"),
        ("engines/cuda/tiling/items.py", "from qmltrain.engines.cuda.device import Device"),
        ("training/losses.py", "from qmltrain import verbs"),
        ("runs/store.py", "from qmltrain.engines.protocol import BLOCK"),
        ("sessions/session.py", "from qmltrain.cli import main"),
        ("training/trainer.py", "import h5py"),
        ("engines/reference.py", "import cupy as cp"),
        ("engines/interpreter.py", "from qmltrain.engines import _cpu"),
        ("verbs/plan.py", "from omegaconf import OmegaConf"),
        ("verbs/plan.py", "def run():\n    from qmltrain.models.build import build_model"),
        ("verbs/plan.py", "def run():\n    import json"),
        ("training/losses.py", "importlib.import_module('qmltrain.engines.cpu')"),
    ],
)
def test_a_misplaced_import_is_found(file, line):
    assert misplaced(file, line)


@pytest.mark.parametrize(
    ("file", "line"),
    [
        ("fusion/passes.py", "from qmltrain.circuit.angle import Angle\nfrom qmltrain.errors import InputError"),
        ("training/lbfgs.py", "def f():\n    from scipy.optimize import line_search"),
        ("engines/cpu/extension.py", "from qmltrain import __version__"),
        ("verbs/plan.py", "text = 'see qmltrain.engines'"),
    ],
)
def test_an_import_in_its_place_is_let_through(file, line):
    assert not misplaced(file, line)


@pytest.mark.parametrize(
    "line", ["import qmltrain.b", "def f():\n    import qmltrain.b", "if T:\n    import qmltrain.b"]
)
def test_a_circle_is_found(line):
    known = {"a.py": "from qmltrain.c.d import x", "c/d.py": line, "b.py": "from qmltrain.a import y", "e.py": ""}
    assert circles(known) == {frozenset({"a.py", "c/d.py", "b.py"})}
    assert not circles({**known, "b.py": "from qmltrain import e"})


def test_the_exceptions_are_needed():
    for file, modules in LATE.items():
        late = {file_of(found.name, FILES) for found in imports(FILES[file]) if found.late and not found.by_name}
        assert {file_of(module, FILES) for module in modules} <= late, file
        for module in modules:
            assert imported_with(f"import {module}") & {"numpy", "hydra"}, f"{module} is light: import it at the top"
    for file, names in BY_NAME.items():
        found = {one.name for one in imports(FILES[file]) if one.by_name}
        assert all(any(name.startswith(prefix) for name in found) for prefix in names), file


def modules_after(code: str, *arguments: str) -> set[str]:
    """The modules that are loaded after `code`, which has `arguments` on its command line."""
    code = f"import sys; {code}; print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert not arguments or "qmltrain" in done.stdout + done.stderr
    return set(done.stdout.splitlines()[-1].split())


def imported_with(code: str, *arguments: str) -> set[str]:
    """The heavy packages that are loaded after `code`."""
    heavy = {"numpy", "scipy", "sklearn", "h5py", "hydra", "omegaconf", "matplotlib", "pandas", "cupy", "mpi4py"}
    return heavy & modules_after(code, *arguments)


COMMAND = "from qmltrain.cli import main; assert main(sys.argv[1:]) == 0"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["train", "--help"]])
def test_help_imports_nothing_heavy(arguments):
    assert not imported_with(COMMAND, *arguments)


def test_a_training_imports_what_it_uses(tmp_path):
    """What takes time to import and has no part in this run is left alone."""
    words = ["train", "experiment=digits", "train.max_steps=1", "train.baseline=false", f"run.root={tmp_path}"]
    loaded = modules_after(COMMAND, *words)
    unused = {"sklearn", "pandas", "xarray", "matplotlib", "pyarrow", "openqasm3", "scipy.optimize", "scipy.stats"}
    unused |= {f"qmltrain.{name}" for name in ("circuit.interchange", "plots", "engines.interpreter")}
    if importlib.util.find_spec("cupy") is None:
        unused.add("qmltrain.engines.cuda.engine")
    assert not unused & loaded
    assert "scipy.linalg" in loaded  # of the principal components: what is looked at are the modules of the training
