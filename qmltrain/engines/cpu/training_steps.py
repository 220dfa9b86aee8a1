"""CpuTrainingSteps: spans of training steps in the C++ extension (kernels/cpu/step)."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np

from qmltrain.engines.cpu import metric_lines
from qmltrain.engines.cpu.setting import most_in_unit
from qmltrain.engines.protocol import BLOCK, Forecast
from qmltrain.engines.ranks import Ranks
from qmltrain.engines.step_recipe import STEP_ROWS, DenseInput, JointPart, SlotAngles, SpanInputs, SpanRows, StepRecipe

CACHED_BYTES = 4 << 20  # of the states of all parts of a circuit: so many blocks of samples go through them together


class CpuTrainingSteps:
    """`qmltrain.engines.step_recipe.TrainingSteps` of a CpuProgram, or of several joined; `kernel` is the extension's.

    Raises ValueError for a recipe with a head, loss or optimiser that the extension does not know, or of wrong shapes.
    """

    def __init__(
        self, extension: ModuleType | Any, kernel: Any, programs: list[Any], recipe: StepRecipe, one_bundle: bool
    ) -> None:
        self.programs, self.recipe = programs, recipe
        self.format_lines = None if metric_lines.unavailable_reason() else metric_lines.format_lines
        self._steps = extension.Steps(
            kernel,
            n_circuit=recipe.n_circuit,
            n_amplitudes=recipe.n_amplitudes,
            n_features=recipe.n_columns,
            **_input(recipe.input),
            shared_numbers=_numbers(recipe.shared),
            shared_indices=_indices(recipe.shared),
            sample_numbers=_numbers(recipe.per_sample),
            sample_indices=_indices(recipe.per_sample),
            pad_with=recipe.pad_with,
            normalize=recipe.normalize,
            copies=recipe.copies,
            observable_start=recipe.start_K,
            observable_string=recipe.string,
            observable_value=recipe.value,
            observable_constant=recipe.constants_K,
            head=recipe.head,
            head_hidden=list(recipe.head_hidden),
            head_activation=recipe.head_activation,
            head_bias=recipe.head_bias,
            n_outputs=recipe.n_outputs,
            loss=recipe.loss,
            n_classes=recipe.n_classes,
            delta=recipe.delta,
            class_weights=recipe.class_weights,
            optimizer=recipe.optimizer,
            optimizer_numbers=recipe.optimizer_numbers,
            layers=recipe.layer_P,
            n_layers=recipe.n_layers,
            frozen=recipe.frozen_P.astype(np.uint8),
            clip_norm=recipe.clip_norm,
            one_bundle=one_bundle,
        )

    def as_matrix(self, batch: int) -> bool:
        """Whether steps of so many samples take the shared part of the circuit as one matrix
        (kernels/cpu/host/shared_matrix.hpp)."""
        self._prepare(batch)
        return bool(self._steps.as_matrix(batch))

    def _prepare(self, batch: int) -> None:
        for program in self.programs:
            program.prepare(batch)

    def run(self, inputs: SpanInputs, stop: Callable[[], bool], ranks: Ranks | None = None) -> SpanRows:
        n_steps, recipe = len(inputs.learning_rates_T), self.recipe
        for batch in set((inputs.offsets_T1[1:] - inputs.offsets_T1[:-1]).tolist()):
            self._prepare(batch)
        n_parameters = len(inputs.parameters_P)
        metrics_5T = np.empty((len(STEP_ROWS), n_steps))
        layer_norms_TL = np.empty((n_steps, recipe.n_layers))
        gradients_TP = np.empty((len(inputs.gradient_steps), n_parameters))
        parameters_TP = np.empty((len(inputs.parameter_steps), n_parameters))
        done, end = self._steps.run(
            features=inputs.columns_NF,
            targets=inputs.targets_N,
            rows=inputs.rows,
            offsets=inputs.offsets_T1,
            learning_rates=inputs.learning_rates_T,
            seconds=inputs.seconds,
            steps_before=inputs.steps_before,
            parameters=inputs.parameters_P,
            optimizer=inputs.optimizer_arrays,
            metrics=metrics_5T,
            layer_norms=layer_norms_TL,
            gradient_steps=inputs.gradient_steps,
            gradients=gradients_TP,
            parameter_steps=inputs.parameter_steps,
            after=parameters_TP,
            stop=stop,
            **({} if ranks is None else _of_ranks(ranks)),
        )
        return SpanRows(done, end, metrics_5T, layer_norms_TL, gradients_TP, parameters_TP)


def joint_steps(
    extension: ModuleType | Any,
    parts: list[JointPart],
    sizes: tuple[int, int, int],
    forecast: Forecast,
    recipe: StepRecipe,
    threads: int,
) -> CpuTrainingSteps:
    """Of the parts of a circuit (kernels/cpu/host/joint_engine.hpp): small ones a thread each, large ones one after the
    other with all threads."""
    programs = [part.program for part in parts]
    n_shared, n_per_sample, n_strings = sizes
    fitting = (forecast.memory_bytes - forecast.fixed_bytes) // max(1, forecast.block_bytes)
    wanted = CACHED_BYTES // max(1, forecast.block_bytes)
    kernel = extension.JointProgram(
        [program.kernel for program in programs],
        shared=[part.shared for part in parts],
        per_sample=[part.per_sample for part in parts],
        strings=[part.strings for part in parts],
        n_shared=n_shared,
        n_per_sample=n_per_sample,
        n_strings=n_strings,
        threads=threads if max(program.kernels.threads for program in programs) == 1 else 1,
        blocks_at_once=int(max(1, min(fitting, wanted))),
    )
    one_bundle = min(map(states_at_once, programs)) < threads
    return CpuTrainingSteps(extension, kernel, programs, recipe, one_bundle)


def states_at_once(program: Any) -> int:
    """Units of samples whose states fit into memory together; every thread may work on one of its own where as many
    do."""
    plan, forecast = program.plan, program.forecast
    unit = most_in_unit(plan.n_qubits, program.kernels.lanes, plan.sample_angles)
    of_unit = forecast.block_bytes * unit // BLOCK
    return (forecast.memory_bytes - forecast.fixed_bytes) // max(1, of_unit)


def _of_ranks(ranks: Ranks) -> dict[str, Any]:
    found, node = {"rank": ranks.rank, "n_ranks": ranks.size, "gather": ranks.gather}, ranks.node_gather
    return found if node is None else {**found, "memory": node.memory, "exchange": node.exchange, "refuse": node.refuse}


def _input(layers: DenseInput | None) -> dict[str, Any]:
    """What the extension takes of layers before the circuit; no sizes: there are none."""
    none = np.empty(0, dtype=np.int64)
    layers = layers or DenseInput(none, "none", False, 1.0, none, none, none, np.empty(0))
    return {
        "input_sizes": layers.sizes,
        "input_activation": layers.activation,
        "input_bias": layers.bias,
        "input_scale": layers.scale,
        "column_kinds": layers.kinds,
        "column_starts": layers.starts,
        "column_indices": layers.indices,
        "column_centres": layers.centres,
    }


def _numbers(angles: SlotAngles) -> np.ndarray:
    return np.stack([angles.scale_S, angles.offset_S], axis=1).astype(np.float64).reshape(-1, 2)


def _indices(angles: SlotAngles) -> np.ndarray:
    return np.stack([angles.weight_S, angles.bias_S, angles.feature_S], axis=1).astype(np.int64).reshape(-1, 3)
