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
from qmltrain.errors import InputError, MemoryLimitError

WING = "qmltrain.fusion.reductions"
CONES = "qmltrain.engines.cones.program"


@dataclass
class Reductions:
    """`names` may be applied to circuits of steps of so many `samples`.

    `names` None: of a run that began before there were any. Its engine chose by itself where native steps take the
    shared part of a circuit as one matrix, and it goes on so, with the same bits."""

    names: tuple[str, ...] | None
    samples: int
    _planner: Any = field(default=None, repr=False)
    _cones: Any = field(default=None, repr=False)
    _cut: Any = field(default=None, repr=False)
    _useless: tuple[tuple[str, str], ...] = ()
    _dropped: tuple[tuple[str, str], ...] = ()

    def without_blocks(self, why: str) -> Reductions:
        """Without shared blocks, which serve native steps alone and would be chosen in the place of real states;
        `why` there are none."""
        if "shared_blocks" not in (self.names or ()):
            return self
        names = tuple(name for name in self.names or () if name != "shared_blocks")
        return replace(self, names=names, _dropped=(("shared_blocks", f"none: not in array steps ({why})"),))

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
        planner = _module(f"{WING}.planner")
        if planner is None or self.names is None or not options.fusion:
            return engine.compile(circuit, strings, precision, gradient, options)
        names = tuple(name for name in self.names if name in engine.reductions)
        self._useless = tuple(
            (name, f"none: not with engine.name={engine.name}")
            for name in (*self.names, *dict(self._dropped))
            if name not in engine.reductions
        )
        self._planner = planner.ReducedPlanner(names, planner.Setting(self.samples, precision))
        options = replace(options, planner=self._planner)
        if "light_cones" in names and strings:
            cones, programs = _module(f"{WING}.light_cones"), _module(CONES)
            assert cones is not None and programs is not None
            self._cones = cones.LightCones(circuit, strings, self.samples)
            self._cut = self._cones.cut()
            if self._cut is not None:
                # steps of parts keep their states on tapes, which know of no matrices
                self._planner.names = tuple(name for name in names if name != "shared_blocks")
                program: Program = programs.compile_cones(engine, self._cut, circuit, precision, gradient, options)
                return program
        try:
            return engine.compile(circuit, strings, precision, gradient, options)
        except (InputError, MemoryLimitError) as error:
            if circuit.amplitude_encoded or not strings or "light_cones" not in engine.reductions:
                raise
            if self._cones is None:
                cut = _module(f"{WING}.light_cones").LightCones(circuit, strings, self.samples).cut()  # type: ignore[union-attr]
                hint = (
                    "" if cut is None else f"; with light_cones in engine.reductions {cut.n_qubits} qubits are enough"
                )
                raise type(error)(f"{error}{hint}") from None
            raise type(error)(f"{error}; {self._cones.why_whole}") from None

    def choices(self) -> dict[str, Any]:
        """What is stored with a run, by which it goes on and its model is loaded with the same plans."""
        return {} if self.names is None else {"reductions": list(self.names), "reductions_samples": self.samples}

    @property
    def plans(self) -> tuple[Any, ...] | None:
        """Plans of the circuit, or of its parts; None where no planner was asked (no fusion, the reference) and it is
        whole."""
        if self._planner is not None and self._planner.plans:
            return tuple(self._planner.plans)
        if self._cut is None:
            return None
        return tuple(self._planner(part.circuit, part.strings) for part in self._cut.parts)

    def lines(self) -> list[tuple[str, str]]:
        """What became of each, for `qmltrain plan`."""
        found = []
        if self._cones is not None:
            found.append(("light_cones", self._cut.line if self._cut is not None else f"none: {self._cones.why_whole}"))
        if self._planner is not None:
            found += self._planner.lines
        if self._cut is not None and "shared_blocks" in (self.names or ()):
            found.append(("shared_blocks", "none: not beside light cones"))
        return list({**dict(found), **dict(self._dropped), **dict(self._useless)}.items())

    def idle_parameters(self) -> tuple[int, ...]:
        """Parameters of the circuit that no expectation depends on, as far as the light cones say."""
        return self._without_effect("idle_parameters")

    def unseen_features(self) -> tuple[int, ...]:
        """Features of the circuit that no expectation depends on, as far as the light cones say."""
        return self._without_effect("unseen_features")

    def _without_effect(self, of_which: str) -> tuple[int, ...]:
        if self._cones is None:
            return ()
        found: tuple[int, ...] = getattr(_module(f"{WING}.without_effect"), of_which)(self._cones)
        return found


def reductions_of(config: Config, choices: Mapping[str, Any] | None, samples: int) -> Reductions:
    """Those that the config asks for, all where it is null; of a run that goes on (`choices`) those it began with.
    Raises InputError for one that is asked for and not installed."""
    planner, asked = _module(f"{WING}.planner"), config.engine.reductions
    known: tuple[str, ...] = () if planner is None else planner.REDUCTIONS
    if choices is not None:
        if "reductions" not in choices:
            return Reductions(None, samples)
        asked, samples = choices["reductions"], choices.get("reductions_samples", samples)
    missing = [name for name in asked or () if name not in known]
    if missing:
        raise InputError(f"engine.reductions: {missing[0]} is not part of this installation; choose null or []")
    return Reductions(known if asked is None else tuple(name for name in known if name in asked), samples)


def _module(name: str) -> ModuleType | None:
    """None where it is not part of this installation."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not error.name.startswith("qmltrain."):
            raise
        return None
