"""Hides one wing of the package after another from the import system and uses the rest; run as a program.

Prints, as JSON, what went wrong for each wing. `WINGS` names the doors that fall with it: the modules that exist to
lead into the wing.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import json
import os
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[1] / "qmltrain"
VERBS = sorted(path.stem for path in (PACKAGE / "verbs").glob("*.py") if path.stem != "__init__")
WINGS: dict[str, tuple[str, ...]] = {
    "engines.cuda": (),
    "engines.cpu": (),
    "circuit.interchange": ("verbs.export",),
    "circuit.interchange.qasm_import": (),
    "circuit.interchange.qasm_export": ("verbs.export",),
    "circuit.interchange.python_export": ("verbs.export",),
    "ranks": (),
    "fusion.reductions": ("engines.cones",),
    "numpy_source": ("verbs.export",),
    "plots": ("verbs.plot",),
    "studies": ("scans", "plots.scan_curves", "plots.scan_pictures", "verbs.scan"),
    "scans": ("plots.scan_curves", "plots.scan_pictures", "verbs.scan"),
    "quantum_kernels": ("verbs.kernel",),
    **{f"verbs.{verb}": () for verb in VERBS},
}
SMALL = ["dataset=none", "encoding=none", "circuit.n_qubits=2", "observable=ising", "loss=expectation", "head=raw"]
WORDS = {  # of a verb that is not there
    **{verb: ["runs/any"] for verb in VERBS},
    **dict.fromkeys(("train", "gradient", "plan", "circuit", "scan", "kernel"), SMALL),
    "compare": ["runs/any", "runs/other"],
    "info": [],
}


class Hidden:
    """A finder before all others: the wing is not there."""

    def __init__(self, wing: str) -> None:
        self.wing = f"qmltrain.{wing}"

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if f"{name}.".startswith(f"{self.wing}."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def modules() -> list[str]:
    """Every module of the package, without the package's own name."""
    paths = sorted(PACKAGE.rglob("*.py"))
    names = [".".join(path.relative_to(PACKAGE).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names if name not in ("__init__", "__main__")]


def problems(wing: str, doors: tuple[str, ...]) -> list[str]:
    """What does not work without `wing`, beside its doors.

    Verbs are imported by verbs and the command alone (tests/test_imports.py): the rest is not imported again for one.
    """
    again = ("cli", "verbs") if wing.startswith("verbs.") else ("",)
    for name in [name for name in sys.modules if name == "qmltrain" or name.startswith("qmltrain.")]:
        if name != "qmltrain.engines._cpu" and name.removeprefix("qmltrain").lstrip(".").startswith(again):
            del sys.modules[name]  # (the extension is compiled: once in a process)
    finder = Hidden(wing)
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    try:
        found = []
        for name in [name for name in modules() if name.startswith(again)]:
            if not any(f"{name}.".startswith(f"{gone}.") for gone in (wing, *doors)):
                try:
                    importlib.import_module(f"qmltrain.{name}")
                except Exception as error:
                    found.append(f"{name}: {type(error).__name__}: {error}")
        return found + _use(wing, doors)
    finally:
        sys.meta_path.remove(finder)  # type: ignore[arg-type]


def _use(wing: str, doors: tuple[str, ...]) -> list[str]:
    main = importlib.import_module("qmltrain.cli").main
    gone = {name.removeprefix("verbs.") for name in (wing, *doors) if name.startswith("verbs.")}
    found = []
    works = [["train", *SMALL, "train.epochs=2", f"run.dir={wing}"], ["compare", wing, wing], ["info"]]
    for command in [*([] if wing.startswith("verbs.") else works), *([verb, *WORDS[verb]] for verb in gone)]:
        told = io.StringIO()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
            code = main(command)
        text = told.getvalue()
        if command[0] in gone:
            missing = code == 2 and text.count("\n") == 1 and f"{command[0]}: not part of this installation" in text
            found += [] if missing else [f"{command[0]} ended with {code}: {text}"]
        elif code:
            found.append(f"{' '.join(command)} ended with {code}: {text}")
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        if sys.dont_write_bytecode:  # or the package is compiled again for each wing
            sys.pycache_prefix, sys.dont_write_bytecode = f"{folder}/bytecode", False
        os.chdir(folder)
        print(json.dumps({wing: problems(wing, doors) for wing, doors in WINGS.items()}))
