"""Single damages to the files of a run, and what a user then does: each is noticed, mended, or harmless.

What may come of a damage: everything as if there had been none; or one line that names a file, with exit code 1 or 2
and nothing overwritten. Each case runs in a forked child, so that one that hangs is seen as such.
"""

from __future__ import annotations

import contextlib
import functools
import io
import os
import re
import shutil
import signal
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qmltrain.cli import main
from qmltrain.runs.differences import first_difference
from qmltrain.runs.views import RunView, open_run

KINDS = ("bit", "byte", "zeroed block", "truncation")
TABLES = ("metrics", "epochs", "layer_norms", "gradients", "parameters")
LONGEST = 60.0  # seconds of a case before it counts as hanging
SILENT = ("metrics.jsonl", "run.lock")  # nothing is computed from them; the log is written anew


@dataclass(frozen=True)
class Damage:
    """One damage to one file."""

    file: str
    kind: str
    place: int
    value: int

    def apply(self, directory: Path) -> None:
        path = directory / self.file
        data = bytearray(path.read_bytes())
        if self.kind == "bit":
            data[self.place] ^= 1 << self.value % 8
        elif self.kind == "byte":
            data[self.place] = (data[self.place] + 1 + self.value % 255) % 256
        elif self.kind == "zeroed block":
            begin = self.place // 512 * 512
            data[begin : begin + 512] = bytes(len(data[begin : begin + 512]))
        else:
            del data[self.place :]
        path.write_bytes(data)


def draw(directory: Path, number: int, rng: np.random.Generator) -> list[Damage]:
    """Damages to every file of the run in turn, each kind in turn, at random places."""
    files = sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if p.is_file() and p.stat().st_size)
    return [
        Damage(
            name := files[case % len(files)],
            KINDS[case // len(files) % len(KINDS)],
            int(rng.integers((directory / name).stat().st_size)),
            int(rng.integers(1 << 30)),
        )
        for case in range(number)
    ]


def everything(view: RunView) -> None:
    """Read all there is to read of a run."""
    view.attributes, view.config, view.status, view.layer_names, view.parameter_names  # noqa: B018
    for table in TABLES:
        view.table(table)
    for split in view.evaluated_splits:
        view.evaluation(split)


def resumed(directory: Path, whole: Path) -> str:
    """A stopped run is gone on with: it ends as the uninterrupted run, or one line says why not."""
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        code, printed = command("resume", str(directory))
    if code == 0:
        found = first_difference(open_run(whole), open_run(directory))
        assert found is None, f"silently another run: {found}"
        assert attributes_of(directory) == attributes_of(whole), "silently other attributes"
        return "recovered" if any("damaged" in str(warning.message) for warning in said) else "harmless"
    assert_one_line(code, printed, directory)
    changed = [p.name for p, data in before.items() if p.name != "run.lock" and p.read_bytes() != data]
    assert not changed, f"refused, and yet changed {changed}"
    return "refused"


def read(directory: Path, whole: Path) -> str:
    """A run is looked at, loaded and evaluated: all is as in the undamaged one, or one line says why not."""
    outcomes = []
    try:
        view, expected = open_run(directory), open_run(whole)
        everything(view)
        found = first_difference(expected, view)
        assert found is None, f"silently another run: {found}"
        assert view.attributes == expected.attributes, "silently other attributes"
        outcomes.append("harmless")
    except Exception as error:
        assert type(error).__name__ in ("InputError", "StorageError"), f"open_run: {type(error).__name__}: {error}"
        assert "\n" not in str(error) and str(directory) in str(error), f"open_run: {error}"
        outcomes.append("refused")
    code, printed = command("evaluate", str(directory))
    if code == 0:
        same = printed.replace(str(directory), "RUN") == evaluation_of(whole).replace(str(whole), "RUN")
        assert same, f"evaluate: silently other numbers: {printed}"
        outcomes.append("harmless")
    else:
        assert_one_line(code, printed, directory)
        outcomes.append("refused")
    return "refused" if "refused" in outcomes else "harmless"


@functools.cache
def evaluation_of(directory: Path) -> str:
    """What `evaluate` prints of an undamaged run."""
    code, printed = command("evaluate", str(directory))
    assert code == 0, printed
    return printed


def command(*words: str) -> tuple[int, str]:
    """Exit code, and what was printed on both streams."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        code = main(list(words))
    return code, text.getvalue()


def assert_one_line(code: int, printed: str, directory: Path) -> None:
    errors = [line for line in printed.splitlines() if "error:" in line]
    assert code in (1, 2), f"exit code {code}: {printed}"
    assert len(errors) == 1 and "Traceback" not in printed and "internal" not in printed, printed
    names = re.search(r"run\.h5|status\.json|\.snapshot|snapshots|run\.lock", errors[0])
    assert names and str(directory) in errors[0], f"names no file: {errors[0]}"


def attributes_of(directory: Path) -> dict[str, object]:
    """Those that two runs of one config share."""
    other = ("sessions", "run_id", "started_utc", "ended_utc", "session_seconds", "session_steps", "command_line")
    found = open_run(directory).attributes
    return {name: value for name, value in found.items() if name not in (*other, "config_yaml", "overrides")}


def outcome(case: Callable[[Path, Path], str], run: Path, whole: Path, damage: Damage, place: Path) -> str:
    """What became of the case: "harmless", "recovered", "refused", or a sentence that says what went wrong."""
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(run, place)
    damage.apply(place)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        try:
            text = case(place, whole)
        except AssertionError as error:
            text = f"{error}"
        except BaseException:
            text = traceback.format_exc()
        os.write(writer, text.encode()[:60_000])
        os.close(writer)
        sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115 - for what ends later in this process
        os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + LONGEST
    while os.waitpid(child, os.WNOHANG)[0] == 0:
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            os.close(reader)
            return "hangs"
        time.sleep(0.002)
    with os.fdopen(reader, "rb") as pipe:
        return pipe.read().decode()
