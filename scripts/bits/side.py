"""One side of `compare_bits`: runs jobs in this process, with the package that this interpreter has.

    python side.py JOBS.json FOLDER CHECKOUT NAME...

Each job works in FOLDER/NAME, so that no path of a side is in what it writes. What a command prints goes to
FOLDER/NAME/<number>.txt. Ends with a line of JSON: where the package is, for each job None or what went wrong in it,
and under "error" what keeps the whole side from being compared.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

# A module of the tests, and its function that makes a stand-in for `cupy` on which the CUDA engine runs without a GPU.
# Where a reorganisation moves it, add a line.
EMULATORS = (("tests.engines.cuda.fake_cupy", "make"), ("tests.cuda.fake_cupy", "make"))


class FailedError(Exception):
    """One line on why this side cannot be compared."""


def install_emulator(checkout: Path) -> None:
    """From here on `import cupy` finds the stand-in."""
    sys.path.insert(0, str(checkout))
    for module, function in EMULATORS:
        try:
            found = importlib.util.find_spec(module)
        except ModuleNotFoundError:
            continue
        if found is not None:
            sys.modules["cupy"] = getattr(importlib.import_module(module), function)()
            return
    raise FailedError("there is no emulated cuda in tests/; add where it is to EMULATORS in scripts/bits/side.py")


def stop_at(name: str, pattern: str) -> None:
    """Signal `name` to this process as a file whose name matches is about to be renamed into place."""

    def hook(event: str, arguments: tuple) -> None:
        if event == "os.rename" and re.fullmatch(pattern, os.path.basename(os.fsdecode(arguments[1]))):
            os.kill(os.getpid(), getattr(signal, f"SIG{name}"))

    sys.addaudithook(hook)


def run_command(command: dict, output: Path) -> int:
    """Run it, with what it prints in `output`; its exit code."""
    words = shlex.split(command["words"])
    if command["stop"]:  # in a process of its own, which the signal ends
        arguments = [sys.executable, __file__, "--stop", *command["stop"], *words]
        with open(output, "w") as file:
            code = subprocess.run(arguments, stdout=file, stderr=subprocess.STDOUT, check=False).returncode
        left = next(word.partition("=")[2] for word in words if word.startswith("run.dir="))
        if Path(left).is_dir():  # what the signal left is compared as well
            shutil.copytree(left, f"{left}-stopped")
        return code
    from qmltrain.cli import main

    with open(output, "w") as file, contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
        return main(words)


def run_job(job: dict, folder: Path) -> str | None:
    """None, or one line on the first command that did not end as it should; the commands after it are left out."""
    os.chdir(folder)
    for number, command in enumerate(job["commands"]):
        output = folder / f"{number:03}.txt"
        code = run_command(command, output)
        if code != command["code"]:
            last = (output.read_text().strip().splitlines() or ["nothing printed"])[-1]
            return f"qmltrain {command['words']}: exit code {code}, not {command['code']}: {last}"
    return None


def check_extension(checkout: Path) -> None:
    """Raise FailedError where the compiled extension is missing or older than its sources."""
    loaded = [
        Path(file)
        for name, module in sys.modules.items()
        if name.startswith("qmltrain.") and (file := getattr(module, "__file__", None) or "").endswith(".so")
    ]
    if not loaded:
        raise FailedError("the C++ extension is not there; install the package with a compiler")
    built = min(path.stat().st_mtime for path in loaded)
    for folder, folders, files in os.walk(checkout):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in ("build", "runs")]
        for name in files:
            path = Path(folder, name)
            if path.suffix in (".cpp", ".hpp") and path.stat().st_mtime > built:
                raise FailedError(f"{path} is newer than the C++ extension; install the package again")


def package_of(checkout: Path) -> Path:
    """Where the package is; FailedError where it cannot be imported, or is not what stands in the checkout."""
    try:
        import qmltrain

        importlib.import_module("qmltrain.cli")
    except ImportError as error:
        raise FailedError(f"{sys.executable}: the package is not installed there ({error})") from error
    package = Path(qmltrain.__file__).resolve().parent
    if not package.is_relative_to(checkout) or "site-packages" in package.parts:
        raise FailedError(
            f"{package} is not in the checkout; install it with -e, so that what runs is what stands there"
        )
    return package


def main(arguments: list[str]) -> int:
    if arguments[0] == "--stop":
        from qmltrain.cli import main as command

        stop_at(*arguments[1:3])
        return command(arguments[3:])
    jobs_file, folder, checkout, *names = arguments
    jobs = [job for job in json.loads(Path(jobs_file).read_text()) if job["name"] in names]
    found: dict[str, str | None] = {}
    try:
        found["package"] = str(package_of(Path(checkout)))
        if any(job["emulator"] for job in jobs):
            install_emulator(Path(checkout))
        for job in jobs:
            found[job["name"]] = run_job(job, Path(folder) / job["name"])
        if not any(found[job["name"]] or job["emulator"] for job in jobs):
            check_extension(Path(checkout))
    except FailedError as error:
        found["error"] = str(error)
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
