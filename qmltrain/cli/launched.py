"""The ranks that a launcher started, as the command sees them: who prints, which verbs share their work, one end."""

from __future__ import annotations

import importlib
import os
import sys
import warnings
from typing import Any

from qmltrain.cli.verb import Takes, Verb
from qmltrain.cluster.launcher import find_launcher
from qmltrain.errors import InputError

NEVER = "run.mpi=never"


class Launched:
    """This process among those that mpirun or srun started; most often it is alone. `ranks` is the communicator once it
    is open (`qmltrain.ranks.communicator.Communicator`)."""

    def __init__(self, words: list[str]) -> None:
        self.launcher = None if NEVER in words else find_launcher()
        self.ranks: Any = None
        if self.launcher is not None and self.launcher.rank > 0:
            self._be_quiet()

    @property
    def speaks(self) -> bool:
        """Whether this process prints: rank 0, or one that is alone."""
        if self.ranks is not None:
            return bool(self.ranks.is_first)
        return self.launcher is None or self.launcher.rank == 0

    def check(self, verb: Verb, *, sweep: bool = False) -> None:
        """Raise InputError where several processes would do the same work, and write the same files."""
        if self.launcher is None or (verb.ranks and not sweep):
            return
        by_words = f"; where each process has work of its own, add {NEVER}" if verb.takes is Takes.CONFIG else ""
        raise InputError(
            f"{'-m: a sweep' if sweep else verb.name} runs in one process, and {self.launcher.name} started "
            f"{self.launcher.size} ({self.launcher.variable}); start it once (a single training shares its steps over "
            f"ranks){by_words}"
        )

    def open(self, setting: str | None) -> Any:
        """The communicator, where there are several ranks; `setting` is `run.mpi`. Starts MPI.

        Raises InputError where MPI is not there, or does not know these processes.
        """
        if setting == "never" or (setting != "always" and self.launcher is None):
            return None
        try:
            wing = importlib.import_module("qmltrain.ranks.mpi")
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("qmltrain."):
                raise
            raise InputError("run.mpi: ranks are not part of this installation; start one process") from None
        self.ranks = wing.open_ranks(None if self.launcher is None else self.launcher.size)
        if not self.speaks:
            self._be_quiet()
        return self.ranks

    def leave(self) -> None:
        """Wait until all ranks are done. Raises what says that another has failed."""
        if self.ranks is not None:
            self.ranks.leave()

    def fail(self, error: Exception, code: int, message: str) -> tuple[int, str]:
        """End with all ranks: exit code and line of the first that failed."""
        if self.ranks is None:
            return code, message
        try:
            found: tuple[int, str] = self.ranks.fail(error, code, message)
            return found
        except Exception as broken:  # there is no talking to the others any more
            print(f"qmltrain: rank {self.ranks.rank}: {message} ({broken})", file=sys.stderr, flush=True)
            self.ranks.abort(code)
            raise

    def abort(self, code: int) -> None:
        """End all ranks at once."""
        if self.ranks is not None:
            self.ranks.abort(code)

    def _be_quiet(self) -> None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for the process's life
        warnings.simplefilter("ignore")
