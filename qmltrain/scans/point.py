"""From a point's config to its study and draws: what can be wrong with it is found here, before anything is written."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.library.ansatze_random import two_design_axes
from qmltrain.circuit.library.assemble import assemble
from qmltrain.config.identity import flatten
from qmltrain.config.schema import GROUPS, Config
from qmltrain.config.storage import to_dict
from qmltrain.engines.protocol import EngineOptions, FloatArray, GradientOptions
from qmltrain.engines.selection import select_engine, without_threads
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.models.build import build_model, group_options
from qmltrain.models.first_parameters import FROM_RUN, start_options
from qmltrain.models.problem import Problem, build_problem
from qmltrain.models.run_start import RunStart, check_overrides, start_of_run
from qmltrain.models.source import build_source_shape, derive_seeds
from qmltrain.models.stored_files import user_code
from qmltrain.scans.draws import Drawing, Streams
from qmltrain.scans.identity import DATA, USER_CODE, digest, drawn_from, settings
from qmltrain.sessions.together import Together, of_rank
from qmltrain.studies.ensemble import Ensemble
from qmltrain.studies.study import FIDELITY, GRADIENT, GRADIENT_NORMS, LOSS, Plane, Study
from qmltrain.training.freezing import frozen_parameters, named_parameters
from qmltrain.training.initialization import IDENTITY, InitialParameters
from qmltrain.training.model import Model
from qmltrain.units import bytes_of_gib
from qmltrain.wording import listed

DRAWS = 100
RESOLUTION = 51
QUANTITIES = (LOSS, GRADIENT, GRADIENT_NORMS)
RANDOM_ANSAETZE = ("pauli_two_design", "random_layers")  # those whose `ansatz.seed` draws the circuit
_OF_A_DRAW = ("random", "gradient")  # directions that are not vectors of their own
START = "start"
OF_COMMAND = ("engine", "gradient", "run", "scan")  # with scan.run; all other groups are the run's


@dataclass(frozen=True)
class Built:
    """A point with all that evaluates it: `ensemble` takes what `drawing` draws. `config` as it is stored."""

    config: Config
    problem: Problem
    ensemble: Ensemble
    drawing: Drawing
    settings: dict[str, Any]
    identity: str
    reason: str  # why this engine

    @property
    def n_draws(self) -> int:
        """Those that are asked for."""
        return draws_asked_for(self.config)

    @property
    def device(self) -> str:
        """Engine and instruction set, whatever the number of threads: what the last bits of draws depend on."""
        return without_threads(self.ensemble.study.engine.describe())

    @property
    def kept_bytes(self) -> int:
        """Rough memory of this object: its circuit and plans, and its data."""
        info = self.problem.source.info
        numbers = info.n_samples * (math.prod(info.sample_shape) + self.problem.data.n_features)
        return 2_000 * len(self.problem.model.circuit.gates) + 8 * numbers


def draws_asked_for(config: Config) -> int:
    return config.scan.draws or (1 if config.scan.directions else DRAWS)


def span_of(config: Config) -> float:
    return math.pi if config.scan.span is None else config.scan.span


def build_point(config: Config, overrides: Sequence[str] = (), ranks: Together | None = None) -> Built:
    """For one process, or for one of `ranks`, which takes its share of threads and memory.

    Raises InputError, MemoryLimitError, EngineUnavailableError; `overrides` are the command's.
    """
    _check(config)
    start = None
    if config.scan.run is not None:
        check_overrides(overrides, "scan.run", OF_COMMAND)
        start = start_of_run(config, config.scan.run, "scan.run", OF_COMMAND)
    config = config if start is None else start.config
    problem = build_problem(config) if start is None else start.problem
    model, scan, engine = problem.model, config.scan, of_rank(config, ranks).engine
    counted = settings(config, None if start is None else start.name)
    if start is None and (code := user_code(config)):
        counted[USER_CODE] = digest(code)
    if problem.has_data:
        counted[DATA] = problem.source.checksum
    selection = select_engine(config.engine.name)
    circuit_of = _circuit_of(config, problem) if start is None else None
    plane = _plane(config, model, start)
    features_RF, targets_R = _rows(config, problem)
    study = Study(
        model=model,
        engine=selection.engine,
        quantities=() if plane else tuple(scan.quantities or QUANTITIES),
        chosen=() if plane else _chosen(model, scan.gradients),
        features_RF=features_RF,
        targets_R=targets_R,
        circuit_of=circuit_of,
        axes_of=_axes_of(config, model) if circuit_of is not None else None,
        plane=plane,
        precision=config.engine.precision,  # type: ignore[arg-type]
        gradient=GradientOptions(config.gradient.mode, config.gradient.checkpoint_interval),  # type: ignore[arg-type]
        options=EngineOptions(engine.threads, bytes_of_gib(engine.memory_gib), engine.fusion),
    )
    train = config.train
    options = (train.initial, *start_options(train))
    drawing = Drawing(
        Streams(derive_seeds(config.run).initial, drawn_from(config) if start is None else {"run": start.name}),
        model,
        start=options,
        fixed_P=None if start is None else start.best_P,
        circuit_of=circuit_of,
        partners=FIDELITY in study.quantities,
        directions=0 if plane is None else len(plane.directions),
    )
    if start is None:
        InitialParameters(model.circuit, *options)  # what is wrong with a start is known without drawing one
    return Built(config, problem, Ensemble(study), drawing, counted, digest(counted), selection.reason)


def model_of(config: Config) -> Model:
    """The circuit, observables, head and loss of a stored point's config; of a random ansatz with `ansatz.seed` 0."""
    n_features, n_classes = build_source_shape(config)
    return build_model(config, n_features, n_classes)


def config_of(options: dict[str, Any]) -> Config:
    """A config of the values of all options by dotted key."""
    config = Config()
    for group in GROUPS:
        node = getattr(config, group)
        own = {item.name: options[f"{group}.{item.name}"] for item in dataclasses.fields(node)}
        setattr(config, group, dataclasses.replace(node, **own))
    return config


def changes(config: Config, base: Config) -> dict[str, Any]:
    """The options in which `config` differs from `base`, by dotted key."""
    before = flatten(to_dict(base))
    return {key: value for key, value in flatten(to_dict(config)).items() if value != before[key]}


def _check(config: Config) -> None:
    if config.train.initial == FROM_RUN and config.scan.run is None:
        raise InputError(
            "train.initial: from_run is one start, of which there are no draws; choose another, or scan.run with "
            "scan.line or scan.plane"
        )
    for option in ("initial_run", "initial_rest"):
        if getattr(config.train, option) is not None and config.scan.run is None:
            raise UnusedOptionError(f"train.{option}", f"not used by {config.train.initial}; leave it null")
    if config.train.initial == IDENTITY and config.ansatz.name in RANDOM_ANSAETZE and config.ansatz.seed is None:
        raise InputError(
            f"train.initial: identity is made for one circuit, and each draw of {config.ansatz.name} has its own; "
            "choose another, or set ansatz.seed"
        )
    if config.engine.reductions:
        raise InputError("engine.reductions: not used by scan; leave it null")
    if config.train.freeze and config.scan.run is None:
        raise UnusedOptionError(
            "train.freeze",
            "not used by scan, which draws all parameters; leave it null (scan.gradients chooses whose gradient is "
            "kept)",
        )


def _rows(config: Config, problem: Problem) -> tuple[FloatArray, np.ndarray]:
    rows, wanted = problem.split.train, config.scan.rows
    if not problem.has_data and wanted is not None:
        raise UnusedOptionError("scan.rows", "there are no data (dataset=none); leave it null")
    if wanted is not None and wanted > len(rows):
        raise InputError(f"scan.rows: {wanted} of {len(rows)} training samples; choose at most that")
    rows = rows[:wanted]
    return problem.data.features(rows), np.asarray(problem.data.labels(rows))


def _circuit_of(config: Config, problem: Problem) -> Callable[[int], Circuit] | None:
    ansatz, encoding = config.ansatz, config.encoding
    if ansatz.name not in RANDOM_ANSAETZE or ansatz.seed is not None:
        return None
    n_qubits, n_features = config.circuit.n_qubits, problem.data.n_features
    of_encoding, of_ansatz = group_options(encoding), group_options(ansatz)

    def circuit_of(seed: int) -> Circuit:
        return assemble(n_qubits, n_features, encoding.name, of_encoding, ansatz.name, {**of_ansatz, "seed": seed})

    return circuit_of


def _axes_of(config: Config, model: Model) -> Callable[[int], NDArray[np.int64]] | None:
    """Circuits that differ in the axes of rotations alone need not be built."""
    ansatz = config.ansatz
    return two_design_axes(model.circuit, ansatz.layers) if ansatz.name == "pauli_two_design" else None


def _chosen(model: Model, gradients: Any) -> tuple[int, ...]:
    n_circuit, every = model.circuit.n_parameters, tuple(range(model.n_parameters))
    if gradients is None or gradients == "all":
        return every
    if gradients in ("first", "last"):
        return every[:n_circuit][:1] if gradients == "first" else every[:n_circuit][-1:]
    return tuple(int(k) for k in np.flatnonzero(named_parameters(model, gradients, "scan.gradients")))


def _plane(config: Config, model: Model, start: RunStart | None) -> Plane | None:
    scan = config.scan
    if not scan.directions:
        return None
    key = "scan.line" if scan.line is not None else "scan.plane"
    if len(set(scan.directions)) < len(scan.directions) and scan.directions[0] != "random":
        raise InputError(f"{key}: {scan.directions[0]} twice is no plane; choose another second direction")
    directions = tuple(_direction(name, key, model, start) for name in scan.directions)
    frozen_P = frozen_parameters(model, config.train.freeze)  # of the run: what it did not train stays
    return Plane(directions, span_of(config), scan.resolution or RESOLUTION, frozen_P)


def _direction(name: str, key: str, model: Model, start: RunStart | None) -> str | FloatArray:
    if name in _OF_A_DRAW:
        return name
    if name == START:
        if start is None:
            raise InputError(f"{key}: start is the way to where a run started; give the run as scan.run")
        if start.first_P is None or np.array_equal(start.first_P, start.best_P):
            raise InputError(
                f"{key}: start is no direction: the run's best parameters are its first, or these are lost"
            )
        return np.asarray(start.first_P - start.best_P, dtype=np.float64)
    names = model.parameter_names
    if name not in names:
        raise InputError(
            f"{key}: found {name!r}; allowed: {', '.join((*_OF_A_DRAW, START))}, or a parameter: {listed(names)}"
        )
    direction_P = np.zeros(len(names))
    direction_P[names.index(name)] = 1.0
    return direction_P
