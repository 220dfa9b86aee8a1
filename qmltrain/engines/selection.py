"""Which engine runs: `engine.name`, and for `auto` the first of cuda, cpu, interpreter that can; it says why."""

from __future__ import annotations

import importlib
import re
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType

from qmltrain.engines.protocol import Engine
from qmltrain.errors import EngineUnavailableError, InputError

AUTO_ORDER = ("cuda", "cpu", "interpreter")
ENGINES = {
    "cuda": ("qmltrain.engines.cuda", "CudaEngine"),
    "cpu": ("qmltrain.engines.cpu", "CpuEngine"),
    "interpreter": ("qmltrain.engines.interpreter", "InterpreterEngine"),
    "reference": ("qmltrain.engines.reference", "ReferenceEngine"),
}


@dataclass(frozen=True)
class Selection:
    """The engine and one line on why it was taken."""

    engine: Engine
    reason: str


def select_engine(name: str, device: str | None = None) -> Selection:
    """The engine called `name`. `auto` tries `AUTO_ORDER` and says what was missing; any other name never falls back.
    `device`: a GPU that need not be here, for plans alone.

    Raises EngineUnavailableError with what is missing and how to get it.
    """
    if device is not None:
        if name != "cuda":
            raise InputError(f"--device: {device} is a GPU, and engine.name={name}; set engine.name=cuda")
        planned: Engine = getattr(_module(name), ENGINES[name][1]).planning_for(device)
        return Selection(planned, "for a GPU that is not asked")
    if name != "auto":
        return Selection(_load(name), f"engine.name={name}")
    missing = []
    for candidate in AUTO_ORDER:
        try:
            engine = _load(candidate)
        except EngineUnavailableError as error:
            missing.append(f"no {candidate} ({error})")
            continue
        return Selection(engine, "; ".join([f"engine.name=auto took {candidate}", *missing]))
    raise AssertionError("the interpreter is always available")


def take_gpu(name: str, number: int) -> bool:
    """Whether the engine called `name` will be that of a GPU: this thread uses one from here on, number `number` of
    those that it sees, counted round."""
    if name not in ("auto", "cuda"):
        return False
    with suppress(EngineUnavailableError):
        return bool(_module("cuda").take_gpu(number))
    return False


def gpu_in_use() -> str:
    """The GPU of this thread, told apart from all others of its node."""
    return str(_module("cuda").gpu_in_use())


def without_threads(description: str) -> str:
    """Of an engine's description what the bits of its results follow from: engine and instruction set."""
    return re.sub(r", \d+ threads?\b", "", description)


def _load(name: str) -> Engine:
    if name not in ENGINES:
        raise InputError(f"engine.name: {name!r} is not an engine; choose auto, {', '.join(ENGINES)}")
    module = _module(name)
    unavailable = getattr(module, "unavailable_reason", None)
    reason = unavailable() if unavailable is not None else None
    if reason is not None:
        raise EngineUnavailableError(f"engine {name}: {reason}")
    engine: Engine = getattr(module, ENGINES[name][1])()
    return engine


def _module(name: str) -> ModuleType:
    module_name, _ = ENGINES[name]
    try:
        return importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        raise EngineUnavailableError(f"engine {name}: not part of this installation") from None
