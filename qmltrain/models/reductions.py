"""Which operations a program leaves out: the reductions of a config or of a run, applied to a circuit on an engine.

The wing `qmltrain.fusion.reductions` may be missing: then there are none.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.config.schema import Config
from qmltrain.engines.protocol import Engine, EngineOptions, GradientOptions, Precision, Program
from qmltrain.errors import InputError

WING = "qmltrain.fusion.reductions"


@dataclass
class Reductions:
    """`names` may be applied to circuits of steps of so many `samples`; `lines` says what became of each."""

    names: tuple[str, ...]
    samples: int
    lines: list[tuple[str, str]] = field(default_factory=list)

    def compile(
        self,
        engine: Engine,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision,
        gradient: GradientOptions,
        options: EngineOptions,
    ) -> Program:
        """As `Engine.compile`, with what is not needed left out."""
        planner = _wing("planner")
        if planner is None or not self.names or not options.fusion:
            return engine.compile(circuit, strings, precision, gradient, options)
        reduced = planner.ReducedPlanner(self.names, planner.Setting(self.samples, precision))
        program = engine.compile(circuit, strings, precision, gradient, replace(options, planner=reduced))
        self.lines = reduced.lines
        return program


def reductions_of(config: Config, choices: Mapping[str, Any] | None, samples: int) -> Reductions:
    """Those that the config asks for, all where it is null; of a run that goes on (`choices`) those it began with, none
    where it began before there were any. Raises InputError for one that is asked for and not installed."""
    planner, asked = _wing("planner"), config.engine.reductions
    known: tuple[str, ...] = () if planner is None else planner.REDUCTIONS
    if choices is not None:
        asked = choices.get("reductions", [])
    missing = [name for name in asked or () if name not in known]
    if missing:
        raise InputError(f"engine.reductions: {missing[0]} is not part of this installation; choose null or []")
    return Reductions(known if asked is None else tuple(name for name in known if name in asked), samples)


def _wing(module: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"{WING}.{module}")
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith(WING):
            raise
        return None
