"""What a person sees of a run: a bar on a terminal, one plain line every N seconds in a log, nothing on request.

Progress goes to stderr; results go to stdout.
"""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Literal, Protocol, TextIO

ProgressMode = Literal["auto", "bar", "lines", "none"]


class Progress(Protocol):
    """`share`: of the work since the start, where steps do not cost alike; `place`: what the step is about.

    Texts that are given `later` are shown before the next one, or by `flush`: many at once where epochs are short.
    """

    def step(self, step: int, values: Mapping[str, float], share: float | None = None, place: str = "") -> None: ...

    def message(self, text: str) -> None: ...

    def later(self, text: str) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class Silent:
    """`run.progress=none`."""

    def step(self, step: int, values: Mapping[str, float], share: float | None = None, place: str = "") -> None:
        pass

    def message(self, text: str) -> None:
        pass

    later = message

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Texts(ABC):
    """Texts that wait for the next one."""

    def __init__(self) -> None:
        self._waiting: list[str] = []

    @abstractmethod
    def _show(self, text: str) -> None: ...

    def message(self, text: str) -> None:
        self.later(text)
        self.flush()

    def later(self, text: str) -> None:
        self._waiting.append(text)

    def flush(self) -> None:
        if self._waiting:
            text = "\n".join(self._waiting)
            self._waiting.clear()
            self._show(text)


class Lines(_Texts):
    """One line every `seconds`, and after the first span of steps and the last; made for logs of batch jobs."""

    def __init__(
        self, total: int, start: int, seconds: float, stream: TextIO | None = None, unit: str = "step"
    ) -> None:
        super().__init__()
        self.total, self.start, self.seconds, self.unit = total, start, seconds, unit
        self.stream = stream or sys.stderr
        self.begun = time.monotonic()
        self.last = float("-inf")

    def step(self, step: int, values: Mapping[str, float], share: float | None = None, place: str = "") -> None:
        now = time.monotonic()
        if now - self.last < self.seconds and step != self.total:
            return
        self.last = now
        rate = (step - self.start) / max(1e-9, now - self.begun)
        width = len(str(self.total))
        parts = [f"{self.unit} {step:>{width}}/{self.total}", *([place] if place else [])]
        parts += [f"{name} {figure(value)}" for name, value in values.items()]
        parts.append(f"{rate:.0f} {self.unit}/s" if rate >= 100 else f"{rate:.3g} {self.unit}/s")
        left = (self.total - step) / max(rate, 1e-9) if share is None else _left(now - self.begun, share)
        parts.append(f"left {duration(left)}")
        self.message("  ".join(parts))

    def _show(self, text: str) -> None:
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        self.flush()


class Bar(_Texts):
    """A tqdm bar."""

    def __init__(self, total: int, start: int, unit: str = "step") -> None:
        super().__init__()
        from tqdm import tqdm

        self.bar = tqdm(total=total, initial=start, unit=unit, dynamic_ncols=True, file=sys.stderr)
        self.begun = time.monotonic()

    def step(self, step: int, values: Mapping[str, float], share: float | None = None, place: str = "") -> None:
        shown = {name: figure(value) for name, value in values.items()}
        if share is not None:  # tqdm would take all steps as alike
            self.bar.bar_format = "{desc}{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"
            self.bar.set_description(place, refresh=False)
            shown["left"] = duration(_left(time.monotonic() - self.begun, share))
        self.bar.set_postfix(shown, refresh=False)
        self.bar.update(step - self.bar.n)

    def _show(self, text: str) -> None:
        self.bar.write(text, file=sys.stderr)

    def close(self) -> None:
        self.flush()
        self.bar.close()


def make_progress(mode: ProgressMode, total: int, start: int, seconds: float, unit: str = "step") -> Progress:
    """`auto` is a bar where stderr is a terminal, else lines."""
    if mode == "auto":
        mode = "bar" if sys.stderr is not None and sys.stderr.isatty() else "lines"
    if mode == "bar":
        return Bar(total, start, unit)
    return Lines(total, start, seconds, unit=unit) if mode == "lines" else Silent()


def _left(elapsed: float, share: float) -> float:
    """Seconds that the rest takes where `share` of the work took `elapsed`."""
    return elapsed * (1 - share) / max(share, 1e-9)


def figure(value: float) -> str:
    """Four decimals, so that lines stand in columns; significant digits where four decimals would show none."""
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e4 else f"{value:.3e}"


def duration(seconds: float) -> str:
    """12.3 s, 4:05 min, 3:12:45 h."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02d} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h"


def short_duration(seconds: float) -> str:
    """Three digits: 2.5 us, 99.9 ms, 18.5 s; from a minute on as `duration`."""
    if seconds >= 60:
        return duration(seconds)
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
