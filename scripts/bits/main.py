"""`scripts/compare_bits`: run the jobs from two checkouts, compare all that they write, one line a job.

Exit codes: 0 equal, 1 different or failed, 2 nothing was compared.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from jobs import Job, make_jobs

HERE = Path(__file__).resolve().parent
KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "CXX", "LD_LIBRARY_PATH")  # of the environment

TEXTS_SHOWN = 3  # of a job


class UnusableError(Exception):
    """One line on why there is nothing to compare."""


@dataclasses.dataclass
class Side:
    """A checkout, its interpreter, and the folder that its jobs work in."""

    name: str
    checkout: Path
    python: Path
    folder: Path

    def __post_init__(self) -> None:
        if not self.checkout.is_dir():
            raise UnusableError(f"{self.name}: there is no folder {self.checkout}")
        if not self.python.is_file():
            raise UnusableError(f"{self.name}: there is no {self.python}; install the checkout there, or name a python")

    def run(self, jobs: list[Job], work: Path) -> dict[str, str | None]:
        """All jobs, those of one environment in one process: None for each, or what went wrong in it."""
        found: dict[str, str | None] = {}
        for job in jobs:
            shutil.copytree(work / "inputs", self.folder / job.name)
        for _, group in itertools.groupby(jobs, key=lambda job: (job.emulator, job.environment)):
            some = list(group)
            names = [job.name for job in some]
            environment = {name: os.environ[name] for name in KEPT if name in os.environ}
            environment |= {"HOME": str(self.folder), "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "120"}
            environment |= some[0].environment
            command = [self.python, HERE / "side.py", work / "jobs.json", self.folder, self.checkout, *names]
            done = subprocess.run(
                command, capture_output=True, text=True, env=environment, cwd=self.folder, check=False
            )
            lines = done.stdout.splitlines()
            if done.returncode or not lines:
                last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
                raise UnusableError(f"{self.name}: {', '.join(names)}: {last}")
            found |= json.loads(lines[-1])
            if "error" in found:
                raise UnusableError(f"{self.name}: {found['error']}")
        return found


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="compare_bits", description=__doc__.splitlines()[0])
    parser.add_argument("old", type=Path, metavar="OLD", help="a checkout with its environment in .venv")
    parser.add_argument("new", type=Path, metavar="NEW", help="another one")
    parser.add_argument("--old-python", type=Path, help="interpreter of OLD (default: OLD/.venv/bin/python)")
    parser.add_argument("--new-python", type=Path, help="interpreter of NEW (default: NEW/.venv/bin/python)")
    parser.add_argument(
        "--allow-text", action="store_true", help="printed text may differ; it is reported all the same"
    )
    parser.add_argument("--jobs", help="names of jobs, with commas (default: all)")
    parser.add_argument("--list", action="store_true", help="print the jobs and their numbers of commands, and stop")
    parser.add_argument("--keep", type=Path, help="new folder for all results (default: a temporary one, removed)")
    return parser.parse_args(words)


def chosen_jobs(checkout: Path, names: str | None) -> list[Job]:
    jobs = make_jobs(checkout)
    known = [job.name for job in jobs]
    wanted = names.split(",") if names else known
    for name in wanted:
        if name not in known:
            raise UnusableError(f"--jobs: found {name!r}; allowed: {', '.join(known)}")
    return [job for job in jobs if job.name in wanted]


def compare(arguments: argparse.Namespace, work: Path) -> int:
    import inputs
    from differences import compare_folders

    jobs = chosen_jobs(arguments.old, arguments.jobs)
    if arguments.list:
        for job in jobs:
            print(f"{job.name:<12} {len(job.commands)}")
        return 0
    sides = [
        Side(name, checkout.resolve(), (python or checkout / ".venv/bin/python").absolute(), work / name.lower())
        for name, checkout, python in (
            ("OLD", arguments.old, arguments.old_python),
            ("NEW", arguments.new, arguments.new_python),
        )
    ]
    inputs.write(work / "inputs")
    (work / "jobs.json").write_text(json.dumps([dataclasses.asdict(job) for job in jobs]))
    begun = time.monotonic()
    with ThreadPoolExecutor() as pool:
        outcomes = list(pool.map(lambda side: side.run(jobs, work), sides))
    if outcomes[0]["package"] == outcomes[1]["package"]:
        raise UnusableError(f"both sides run the package in {outcomes[0]['package']}: install each checkout by itself")
    for side, outcome in zip(sides, outcomes, strict=True):
        print(f"{side.name} {outcome['package']}")
    wrong, texts_differ = 0, 0
    for job in jobs:
        failed = [
            f"{side.name}: {found[job.name]}" for side, found in zip(sides, outcomes, strict=True) if found[job.name]
        ]
        results, texts = compare_folders(*(side.folder / job.name for side in sides))
        counts = f"{len(job.commands)} commands"
        if failed:
            line = f"FAILED     {failed[0]}"
        elif results:
            line = f"DIFFERENT  {results[0]}" + (f" (and {len(results) - 1} more files)" if results[1:] else "")
        else:
            line = f"equal      {counts}"
        wrong += bool(failed or results)
        print(f"{job.name:<12} {line}")
        for text in [*texts[:TEXTS_SHOWN], *([f"and {len(texts) - TEXTS_SHOWN} more"] if texts[TEXTS_SHOWN:] else [])]:
            print(f"{'':<12} text       {text}")
        texts_differ += bool(texts)
    print(f"{len(jobs) - wrong} of {len(jobs)} jobs equal, printed text differs in {texts_differ}; ", end="")
    print(f"{time.monotonic() - begun:.0f} s")
    return int(bool(wrong or (texts_differ and not arguments.allow_text)))


def main() -> int:
    arguments = parse()
    try:
        import h5py  # noqa: F401 - what the comparison needs
    except ImportError:  # the environment of OLD has it
        python = arguments.old_python or arguments.old / ".venv/bin/python"
        if not python.is_file():
            print(f"compare_bits: OLD: there is no {python}; install OLD there, or name a python", file=sys.stderr)
            return 2
        os.execv(python, [str(python), *sys.argv])
    try:
        if arguments.keep is not None:
            arguments.keep.mkdir(parents=True)
            return compare(arguments, arguments.keep.resolve())
        with tempfile.TemporaryDirectory(prefix="compare-bits-") as work:
            return compare(arguments, Path(work).resolve())
    except (UnusableError, FileExistsError) as error:
        print(f"compare_bits: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
