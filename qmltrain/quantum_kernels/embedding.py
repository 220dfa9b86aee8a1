"""From rows of features to the vectors of a kernel: the circuit that embeds them, on an engine.

The circuit is that of the config, without gates that no overlap depends on. What stands behind the last gate with a
feature is one unitary for all rows, and <psi|U^dagger U|psi'> = <psi|psi'>: fidelities do not know it. A projected
kernel does: it measures behind the whole encoding, fixed gates at its end included, and behind no ansatz that is not
trained, whose basis would be random; of a trained circuit all is what was learned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import Observables, PauliString
from qmltrain.config.schema import Config
from qmltrain.engines.protocol import EngineOptions, FloatArray, Program
from qmltrain.engines.selection import Selection, select_engine
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.models.reductions import reductions_of
from qmltrain.quantum_kernels.kinds import Kind, Vectors
from qmltrain.training.gradients import Evaluator, StepAbandoned, chunk_size
from qmltrain.training.model import Model
from qmltrain.training.states import NO_GRADIENT, StateMap
from qmltrain.units import bytes_of_gib


def embedding_circuit(circuit: Circuit, measured: bool) -> Circuit:
    """Without the gates behind the last one with a feature; `measured`: fixed ones that follow it stay, up to the next
    layer of the ansatz or the next trainable gate."""
    last = max((k for k, gate in enumerate(circuit.gates) if any(a.is_per_sample for a in gate.angles)), default=-1)
    end = last + 1
    starts = [start for start in circuit.layer_starts if start > last]
    while (
        measured and end < min([*starts, len(circuit.gates)]) and all(a.is_constant for a in circuit.gates[end].angles)
    ):
        end += 1
    return replace(circuit, gates=circuit.gates[:end], layer_starts=(), parameter_layers=())


@dataclass
class Embedding:
    """`kind`'s vectors of rows of features. `vector_bytes`: of a row; `digest`: of circuit and parameters."""

    kind: Kind
    model: Model
    theta_P: FloatArray
    selection: Selection
    program: Program
    reductions: tuple[str, ...] | None
    samples: int
    precision: str

    @property
    def on_states(self) -> bool:
        return not self.kind.strings(self.model.circuit)

    @property
    def value_dtype(self) -> np.dtype[Any]:
        """Of the matrix: single precision has what states in single precision know."""
        return np.dtype(np.float32 if self.precision == "complex64" else np.float64)

    @property
    def vector_bytes(self) -> int:
        if self.on_states:
            return np.dtype(self.precision).itemsize >> self.kind.real << self.model.circuit.n_qubits
        return 8 * len(self.kind.strings(self.model.circuit))

    def choices(self) -> dict[str, Any]:
        """What `auto` became; stored with the matrix and used again when it goes on."""
        engine = self.selection.engine
        chosen: dict[str, Any] = {"engine": engine.name, "engine_description": engine.describe()}
        if self.reductions is not None:
            chosen |= {"reductions": list(self.reductions), "reductions_samples": self.samples}
        return chosen

    def parameters(self) -> dict[str, float]:
        """Those of the circuit and of layers before it, by name; the circuit need not read all of them."""
        parts, model = self.model.split(self.theta_P), self.model
        names = (*model.circuit.parameter_names, *(() if model.input is None else model.input.parameter_names))
        return dict(zip(names, [*parts.circuit.tolist(), *parts.input.tolist()], strict=True))

    def digest(self) -> str:
        """SHA-256 of the circuit and of the parameters that it, and layers before it, read."""
        model, parts = self.model, self.model.split(self.theta_P)
        indices = {i for gate in model.circuit.gates for a in gate.angles for i in (a.weight, a.bias) if i is not None}
        text = repr((model.circuit.gates, model.amplitude, sorted(indices)))
        read = np.concatenate([parts.circuit[sorted(indices)], parts.input])
        return hashlib.sha256(text.encode() + np.ascontiguousarray(read, "<f8").tobytes()).hexdigest()

    def vectors(self, x_BF: FloatArray, stop: Callable[[], bool] = lambda: False) -> Vectors:
        """(B, V). A row's bits depend on its place among blocks of 16 of `x_BF` alone. Raises StepAbandoned where
        `stop` says so between chunks."""
        if not self.on_states:
            evaluator = Evaluator(self.model, self.program, self._chunk)
            return self.kind.prepare(evaluator.expectations(self.theta_P, x_BF, stop))
        found: Vectors | None = None
        for rows, states_bN in StateMap(self.model, self.selection.engine, program=self.program).chunks(
            self.theta_P, x_BF
        ):
            if stop():
                raise StepAbandoned
            prepared = self.kind.prepare(states_bN)
            if found is None:
                found = np.empty((len(x_BF), prepared.shape[1]), dtype=prepared.dtype)
            found[rows] = prepared
        assert found is not None
        return found

    @property
    def _chunk(self) -> int:
        return chunk_size(self.program.forecast, len(self.model.observables.strings), 1)


def build_embedding(
    config: Config,
    model: Model,
    kind: Kind,
    theta_P: FloatArray,
    *,
    trained: bool,
    samples: int,
    choices: Mapping[str, Any] | None = None,
) -> Embedding:
    """Of the circuit of `model` at these parameters (of the circuit, then of its head), on the config's engine, or on
    that of `choices`. `trained`: all of the circuit is meant; `samples`: rows at once, as of a step.

    Raises InputError for a circuit without features, MemoryLimitError, EngineUnavailableError.
    """
    circuit = model.circuit
    if not circuit.amplitude_encoded and not circuit.slots.per_sample:
        raise InputError(
            f"encoding.name: the circuit of encoding={config.encoding.name} reads no features, so that all rows have "
            "one state; choose an encoding"
        )
    measured = bool(kind.strings(circuit))
    if not (trained and measured):
        circuit = embedding_circuit(circuit, measured)
    strings = kind.strings(circuit)
    embedded = replace(model, circuit=circuit, observables=_measured(strings))
    settings = config.engine
    selection = select_engine(choices["engine"] if choices else settings.name)
    if not settings.fusion and not selection.engine.has_baseline:
        raise InputError(
            f"engine.fusion: false is not offered by engine.name={selection.engine.name}; set engine.fusion=true, or "
            "engine.name=cuda"
        )
    reductions = reductions_of(config, choices, samples)
    options = EngineOptions(settings.threads, bytes_of_gib(settings.memory_gib), settings.fusion)
    try:
        program = reductions.compile(selection.engine, circuit, strings, settings.precision, NO_GRADIENT, options)  # type: ignore[arg-type]
    except MemoryLimitError as error:  # no gradient is taken here
        raise MemoryLimitError(str(error).removeprefix(f"gradient.mode={NO_GRADIENT.mode}: ")) from None
    plan = getattr(program, "plan", None)
    kind.real = not strings and bool(plan is not None and plan.real)
    precision = settings.precision if selection.engine.name != "reference" else "complex128"
    return Embedding(kind, embedded, theta_P, selection, program, reductions.names, samples, precision)


def _measured(strings: tuple[PauliString, ...]) -> Observables:
    """Each string an observable of its own."""
    return Observables(
        strings,
        tuple({k: 1.0} for k in range(len(strings))),
        names=tuple(string.text for string in strings),
    )


def stacked(chunks: Iterator[FloatArray]) -> FloatArray:
    """Features of rows that come in chunks, as one array."""
    return np.concatenate(list(chunks))
