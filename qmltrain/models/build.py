"""From a Config to a model, and from a model to a program on an engine. Nothing here reads data.

What does not go together in a config is found here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.feature_domains import FeatureDomain
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.config.schema import Config
from qmltrain.engines.protocol import BLOCK, EngineOptions, GradientMode, GradientOptions, Program
from qmltrain.engines.selection import Selection, select_engine
from qmltrain.errors import InputError
from qmltrain.models.reductions import Reductions, reductions_of
from qmltrain.registry import call_builder, options_with_defaults
from qmltrain.training.class_weights import ClassWeighted
from qmltrain.training.gradients import Evaluator, chunk_size
from qmltrain.training.head_and_loss import check_head, observable_range
from qmltrain.training.heads import HEADS
from qmltrain.training.input_layers import INPUTS, InputLayers
from qmltrain.training.losses import LOSSES, build_loss
from qmltrain.training.model import AmplitudeOptions, Model
from qmltrain.training.native_recipe import why_not_native
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.units import bytes_of_gib

NOT_PROJECTORS = ("z", "parity", "ising", "heisenberg", "maxcut")  # whatever their options


def group_options(node: Any, *leave_out: str) -> dict[str, Any]:
    """The options of a config group without its name."""
    return {key: value for key, value in dataclasses.asdict(node).items() if key not in ("name", *leave_out)}


def build_model(config: Config, n_features: int, n_classes: int | None, weights_C: np.ndarray | None = None) -> Model:
    """Input layers, circuit, observables, head and loss, with weights of the classes where given.

    Raises InputError for what does not go together.
    """
    encoding, ansatz, observable = config.encoding, config.ansatz, config.observable
    n_qubits = config.circuit.n_qubits
    layers = call_builder(
        INPUTS,
        "input",
        config.input.name,
        group_options(config.input),
        n_features,
        1 << n_qubits // (encoding.copies or 1) if encoding.name == "amplitude" else n_qubits,
    )
    n_encoded = n_features if layers is None else layers.n_outputs
    if layers is not None and not n_features:
        raise InputError(f"input.name: {config.input.name} takes features, and dataset=none has none; set input=none")
    try:
        circuit = assemble(
            n_qubits, n_encoded, encoding.name, group_options(encoding), ansatz.name, group_options(ansatz)
        )
    except InputError as error:
        if layers is None:
            raise
        raise InputError(f"{error} (the features are the outputs of the input layer: input.outputs)") from None
    observables = assemble_observables(config.circuit.n_qubits, observable.name, group_options(observable))
    head, loss = config.head.name, config.loss.name
    if loss in LOSSES and config.dataset.name == "none" and getattr(LOSSES[loss], "supervised", True):
        raise InputError(
            f"loss.name: {loss} compares with targets, and dataset=none has none; choose loss=expectation or a dataset"
        )
    if loss == "fidelity" and observable.name in NOT_PROJECTORS:
        raise InputError(
            f"loss.name: fidelity is 1 - the expectation of a projector, observable.name={observable.name} is not one; "
            "choose observable=target_state or projector, or loss=expectation"
        )
    lowest, highest = observable_range(observables)
    if not np.isfinite(highest - lowest):
        raise InputError("observable: its coefficients add up to more than 1.8e308; write smaller ones")
    n_outputs = check_head(head, loss, observables.n_observables, n_classes, (lowest, highest))
    amplitude = AmplitudeOptions()
    if circuit.amplitude_encoded and encoding.name == "amplitude":
        given = group_options(encoding)
        chosen = options_with_defaults(ENCODINGS, "encoding", "amplitude", given)
        amplitude = AmplitudeOptions(chosen["pad_with"], chosen["normalize"], chosen["copies"])
    if layers is not None:
        check_input(layers, circuit, encoding.name, amplitude)
    built = call_builder(HEADS, "head", head, group_options(config.head), observables.n_observables, n_outputs)
    judge = build_loss(loss, group_options(config.loss, "class_weights"), n_classes, observables.n_observables)
    if weights_C is not None:
        judge = ClassWeighted(judge, weights_C)
    return Model(circuit, observables, built, judge, amplitude, encoding.name, layers)


def check_input(layers: InputLayers, circuit: Circuit, encoding: str, amplitude: AmplitudeOptions) -> None:
    """Raise InputError where features that `layers` give need not be such as the encoding takes."""
    domain = FeatureDomain(circuit, encoding)
    if domain.bits:
        raise InputError(f"encoding.name: {encoding} takes 0 and 1, an input layer gives other numbers; set input=none")
    if domain.under_arccos and layers.largest_output > 1.0:
        raise InputError(
            f"input.activation: {layers.activation} times input.scale={layers.scale:g} leaves [-1, 1], which "
            f"encoding.name={encoding} takes; choose tanh or sigmoid, and a scale of at most 1"
        )
    if circuit.amplitude_encoded and not amplitude.normalize:
        raise InputError("encoding.normalize: false needs rows of norm 1, an input layer gives others; set it to null")


@dataclass(frozen=True)
class Compiled:
    """A model on an engine, with every automatic choice made. `training_step`: "native", spans of steps that the engine
    runs by itself, or "arrays", one at a time, and why."""

    selection: Selection
    program: Program
    evaluator: Evaluator
    training_step: str
    training_step_reason: str
    reductions: Reductions

    def choices(self) -> dict[str, Any]:
        """What `auto` became; saved with the run and used again on resume."""
        forecast = self.program.forecast
        return {
            "engine": self.selection.engine.name,
            "engine_description": self.selection.engine.describe(),
            "gradient_mode": forecast.mode,
            "checkpoint_interval": forecast.checkpoint_interval,
            "chunk": self.evaluator.chunk,
            "training_step": self.training_step,
            **self.reductions.choices(),
        }


def compile_model(
    config: Config,
    model: Model,
    choices: Mapping[str, Any] | None = None,
    samples: int = BLOCK,
    device: str | None = None,
) -> Compiled:
    """Choose engine, gradient mode and chunk (or take them from a run's `choices`) and compile, for steps of so many
    `samples` (1: no step is taken, or one without data). `device`: plan for this GPU, which need not be here.

    Raises MemoryLimitError, before anything is allocated, EngineUnavailableError, InputError.
    """
    engine_config, gradient = config.engine, config.gradient
    name = choices["engine"] if choices else engine_config.name
    selection = select_engine(name, device)
    if not engine_config.fusion and not selection.engine.has_baseline:
        raise InputError(
            f"engine.fusion: false is not offered by engine.name={selection.engine.name}; "
            "set engine.fusion=true, or engine.name=cuda"
        )
    mode: GradientMode = choices["gradient_mode"] if choices else gradient.mode  # type: ignore[assignment]
    interval = choices["checkpoint_interval"] if choices else gradient.checkpoint_interval
    memory = bytes_of_gib(engine_config.memory_gib)
    options = group_options(config.optimizer, "learning_rate", "clip_norm")
    optimizer = call_builder(OPTIMIZERS, "optimizer", config.optimizer.name, options, model.n_parameters)
    why_arrays = why_not_native(model, optimizer)
    reductions = reductions_of(config, choices, samples)
    if choices is None and why_arrays is not None:  # a run that goes on keeps what it began with
        reductions = reductions.without_blocks(why_arrays)
    program = reductions.compile(
        selection.engine,
        model.measured_circuit,
        model.observables.strings,
        engine_config.precision,  # type: ignore[arg-type]
        GradientOptions(mode, interval),
        EngineOptions(engine_config.threads, memory, engine_config.fusion),
    )
    chunk = chunk_size(program.forecast, len(model.observables.strings), samples)
    step, why = _training_step(program, why_arrays, choices, selection.engine.name)
    return Compiled(selection, program, Evaluator(model, program, chunk), step, why, reductions)


def _training_step(
    program: Program, why_arrays: str | None, choices: Mapping[str, Any] | None, engine: str
) -> tuple[str, str]:
    """Of `Compiled`. A run that began before there were native steps goes on without."""
    if program.training_steps is None:
        return "arrays", f"engine.name={engine} runs no spans of steps by itself"
    if why_arrays is not None:
        return "arrays", why_arrays
    if choices and choices.get("training_step", "arrays") == "arrays":
        return "arrays", "as the run began"
    return "native", "spans of steps in the engine"
