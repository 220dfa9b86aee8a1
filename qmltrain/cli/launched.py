"""The ranks that a launcher started, as the command sees them: who prints, which verbs share their work, one end."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stdout
from typing import Any

from qmltrain.cli.known_verbs import known_verbs
from qmltrain.cli.verb import Verb
from qmltrain.cluster.launcher import PASSING_ON, can_end_job, end_job, find_launcher
from qmltrain.errors import InputError
from qmltrain.wording import listed, shortened

NEVER = "run.mpi=never"
FIRST_SPEAKS = 3.0  # seconds, after which rank 0 has said what all ranks fail from, and has ended them


@contextmanager
def interrupt_waits() -> Iterator[None]:
    """An INT that comes meanwhile is raised at the end: who left in the middle of MPI's start, or of an exchange, would
    let the others wait for ever."""
    heard: list[int] = []
    earlier = signal.getsignal(signal.SIGINT)
    # else it is ignored, or somebody else's
    waits = earlier is signal.default_int_handler and threading.current_thread() is threading.main_thread()
    if waits:
        signal.signal(signal.SIGINT, lambda number, frame: heard.append(number))
    try:
        yield
    finally:
        if waits:
            signal.signal(signal.SIGINT, earlier)
    if heard:
        raise KeyboardInterrupt


class Launched:
    """This process among those that mpirun or srun started; most often it is alone. `ranks` is the communicator once it
    is open (`qmltrain.ranks.communicator.Communicator`)."""

    def __init__(self, words: list[str]) -> None:
        self.launcher = None if NEVER in words else find_launcher()
        self.ranks: Any = None
        self._words = words
        self._loud = ExitStack()  # gives back what `_be_quiet` took
        self._meets = self.launcher is not None  # the others open MPI, or will: where this one fails they wait for it
        self._opens = False  # whether it came to that
        self._no_mpi = ""  # why `_join` could not
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
        self._meets = False
        sharing = listed([other.name for other in known_verbs().values() if other.ranks])
        raise InputError(
            f"{'-m: a sweep' if sweep else verb.name} runs in one process, and {self.launcher.name} started "
            f"{self.launcher.size} ({self.launcher.variable}); start it once, or add {NEVER} where each process has "
            f"work of its own (what shares its work: {sharing})"
        )

    def alone(self) -> None:
        """This command shares nothing, and says nothing of other processes: `--help` and the like."""
        self._meets = False

    def open(self, setting: str | None) -> Any:
        """The communicator, where there are several ranks; `setting` is `run.mpi`. Starts MPI.

        Raises InputError where MPI is not there or does not know these processes, or they have not the same words.
        """
        if setting == "never" and self.launcher is not None:  # said by a file of configs: each is on its own
            self.launcher, self._meets = None, False
            self._loud.close()
        if setting == "never" or (setting != "always" and self.launcher is None):
            return None
        self._meets, self._opens = False, True  # from here on they fail together by `ranks`, or MPI is not there
        with interrupt_waits():
            self._open()
        return self.ranks

    def _open(self) -> None:
        try:
            wing = importlib.import_module("qmltrain.ranks.mpi")
        except ModuleNotFoundError as error:
            if not (error.name or "").startswith("qmltrain."):
                raise
            raise InputError("run.mpi: ranks are not part of this installation; start one process") from None
        self.ranks = wing.open_ranks(None if self.launcher is None else self.launcher.size)
        if not self.speaks:
            self._be_quiet()
        if self.ranks is not None:
            self._check_words()

    def _check_words(self) -> None:
        """Processes with other words would mix their numbers in one result."""
        of_ranks = [json.loads(text) for text in self.ranks.texts(json.dumps(self._words))]
        for rank, words in enumerate(of_ranks):
            if words != of_ranks[0]:
                pairs = itertools.zip_longest(of_ranks[0], words, fillvalue="nothing")
                first, own = next(pair for pair in pairs if pair[0] != pair[1])
                raise InputError(
                    f"ranks: rank 0 was started with {shortened(first)}, rank {rank} with {shortened(own)}; ranks "
                    f"share one command; where each process has work of its own, add {NEVER}"
                )

    def leave(self) -> None:
        """Wait until all ranks are done. Raises what says that another has failed."""
        if self.ranks is not None:
            self.ranks.leave()

    def fail(self, error: Exception, code: int, message: str) -> tuple[int, str]:
        """End with all ranks: exit code and line of the first that failed."""
        self._join()
        if self.ranks is None:
            return code, message
        try:
            found: tuple[int, str] = self.ranks.fail(error, code, message)
            return found
        except Exception as broken:  # there is no talking to the others any more
            print(f"qmltrain: rank {self.ranks.rank}: {message} ({broken})", file=sys.stderr, flush=True)
            self.ranks.abort(code)
            raise

    def say_last(self, code: int, message: str) -> None:
        """Print `message`, the end of this command, where this process speaks. One that has not come to the others ends
        them, where it can: they would wait for it in MPI's start for ever, and hear no signal there."""
        apart = self.launcher if self.ranks is None else None
        ends_all = apart is not None and can_end_job()
        if apart is not None and not self.speaks and (ends_all or self._opens or self._no_mpi):
            # one after another, since the first that speaks ends the others, or the launcher does
            time.sleep(FIRST_SPEAKS + 2 * PASSING_ON * min(apart.rank - 1, 10))
            message = f"rank {apart.rank}: {self._no_mpi or message}"
        elif not self.speaks:
            return
        print(f"qmltrain: {message}", file=sys.stderr, flush=True)
        if ends_all:
            end_job(code)

    def abort(self, code: int) -> None:
        """End all ranks at once."""
        if self._meets and can_end_job():
            end_job(code)
            return
        self._join()
        if self.ranks is not None:
            self.ranks.abort(code)

    def _join(self) -> None:
        """Where this process fails before it has opened MPI, the others would wait for it there."""
        if self._meets and self.launcher is not None:
            self._meets = False
            try:
                wing = importlib.import_module("qmltrain.ranks.mpi")
                self.ranks = wing.open_ranks(self.launcher.size)
            except Exception as broken:  # no MPI here: what else there is to say is said by whoever speaks
                self._no_mpi = f"error: {broken}"

    def _be_quiet(self) -> None:
        nowhere = self._loud.enter_context(open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - the stack closes it
        self._loud.enter_context(redirect_stdout(nowhere))
        self._loud.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
