"""Signals that ask a run to stop: they set a flag, and the training looks at it every 50 ms of native steps, else
between two chunks of samples.

SLURM sends USR1 or USR2 some time before the limit (``sbatch --signal``), TERM at the limit and when a job is cancelled
or preempted, a terminal that is closed sends HUP, and a person at the keyboard INT. All mean: finish what is at hand,
save a snapshot of the last whole step, leave with exit code 75. A second INT means: now.
"""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False  # as typing's, which takes milliseconds to import, in which signals would not be heard
if TYPE_CHECKING:
    from types import FrameType, TracebackType
    from typing import Any, Self

STOP_SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP, signal.SIGINT)
SCHEDULER_SIGNALS = STOP_SIGNALS[:4]  # what does not come from a keyboard
EXIT_SECOND_INTERRUPT = 130  # 128 + SIGINT, as shells report it

_FIRST_INTERRUPT = b"\nStopping after this step, with a snapshot. Ctrl-C again: leave at once.\n"


class StopRequest:
    """While entered, listens for TERM, USR1, USR2, HUP and INT; ``requested`` names the first that came, or is None.

    - A handler that another library installed before (submitit requeues by its own) is called after the flag is set.
    - INT that the parent had ignored (a background job of a script) stays ignored, and HUP (nohup) likewise.
    - The second INT ends the process by ``os._exit(130)``: no clean-up runs, which the run directory is made for. Its
      last snapshot is whole, its rows are in the file, and the kernel gives its lock back.
    - A forked child does nothing of this: the first signal it gets restores the earlier handler and is delivered again.
    - The earlier handlers are back when the block is left.
    - What the first INT does is said on standard error, by one that `speaks`.
    - Where another StopRequest is entered already, what it has heard counts: the command listens with one of its own
      (to `SCHEDULER_SIGNALS`) while it imports and between the points of a sweep, when there is no training yet.

    Python delivers signals to the main thread only; entering in another raises ValueError.
    """

    def __init__(self, signals: tuple[signal.Signals, ...] = STOP_SIGNALS, *, speaks: bool = True) -> None:
        self.signals, self.speaks = signals, speaks
        self.requested: str | None = None
        self._interrupts = 0
        self._process = os.getpid()
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self.requested, self._interrupts, self._process = None, 0, os.getpid()
        for number in self.signals:
            if number in (signal.SIGINT, signal.SIGHUP) and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._earlier[number] = earlier = signal.signal(number, self._handle)
            outer = getattr(earlier, "__self__", None)
            if isinstance(outer, StopRequest):
                self.requested = self.requested or outer.requested
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number in list(self._earlier):
            self._restore(number)

    def give_up(self) -> None:
        """Leave the block early: what was heard meanwhile is sent again, to whom it would have reached without it."""
        listened, heard = bool(self._earlier), self.requested
        self.__exit__(None, None, None)
        if listened and heard is not None:
            os.kill(os.getpid(), signal.Signals[heard])

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if os.getpid() != self._process:
            self._restore(number)
            os.kill(os.getpid(), number)
            return
        self.requested = self.requested or signal.Signals(number).name
        if number == signal.SIGINT:
            self._interrupts += 1
            if self._interrupts > 1:
                os._exit(EXIT_SECOND_INTERRUPT)
            if self.speaks:
                os.write(2, _FIRST_INTERRUPT)  # not print: a handler may interrupt a print
        earlier = self._earlier.get(number)
        if callable(earlier) and earlier is not signal.default_int_handler:
            earlier(number, frame)

    def _restore(self, number: int) -> None:
        earlier = self._earlier.pop(number, None)
        # None: installed by something that is not Python, which Python cannot put back; the default is the nearest.
        signal.signal(number, signal.SIG_DFL if earlier is None else earlier)


# entered by the command `qmltrain` before it imports anything else; verbs that do not train give it up
FROM_THE_START = StopRequest(SCHEDULER_SIGNALS)
# the same for Ctrl-C, which the command hears by itself once it is imported
WHILE_IMPORTING = StopRequest((signal.SIGINT,), speaks=False)
