"""`qmltrain plan`: what a config would run: operations, passes over memory, bytes, memory. Nothing is executed."""

from __future__ import annotations

import time
from typing import Any

from qmltrain.config.schema import CommandContext, Config
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.cost import Cost, backward_cost, composition, forward_cost, table_cost
from qmltrain.fusion.passes import schedule
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.source import build_source_shape, derive_seeds, open_source, split_rows
from qmltrain.registry import call_builder
from qmltrain.training.gradients import chunk_bytes
from qmltrain.training.model import Model
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.training.progress import short_duration
from qmltrain.units import gib
from qmltrain.wording import listed, plural


def run(config: Config, context: CommandContext, *, device: str | None = None) -> int:
    """Print the plan, then what the engine makes of it; with `device` for a GPU that need not be here."""
    model = build_model(config, *build_source_shape(config))
    circuit = model.circuit
    step, batch = _step(config)
    begun = time.perf_counter()
    compiled = compile_model(config, model, samples=batch, device=device)
    seconds = time.perf_counter() - begun
    reductions, forecast, traffic = compiled.reductions, compiled.program.forecast, compiled.program.traffic()
    plans = reductions.plans or (compile_plan(model.measured_circuit, model.observables.strings),)
    every = [composition(plan) for plan in plans]
    amplitude = (8 if config.engine.precision == "complex64" else 16) >> traffic.real
    once = [(plan, schedule(plan)) for plan in plans]  # a state as one tile: all operations, and the bytes of one pass
    forward = sum((forward_cost(plan, passes, amplitude) for plan, passes in once), Cost(0, 0))
    backward = sum((backward_cost(plan, passes, amplitude) for plan, passes in once), Cost(0, 0))
    forward, backward = (Cost(one.multiply_adds >> traffic.real, one.bytes) for one in (forward, backward))
    gates, n = len(circuit.gates), max(plan.n_qubits for plan in plans)
    depth = max(one.depth for one in every)
    _print(
        ("circuit", f"{circuit.n_qubits} qubits, {gates} gates, {circuit.n_parameters} parameters"),
        *input_lines(model),
        ("head", f"{model.head.name}, {model.head.n_parameters} parameters"),
        *([("loss", f"{model.loss.name}, {model.loss.n_parameters} parameters")] if model.loss.n_parameters else []),
        ("measured", _measured(model)),
        *((name.replace("_", " "), line) for name, line in reductions.lines()),
        *_idle(model, reductions.idle_parameters()),
        (
            "fused to",
            f"{sum(one.rotations for one in every)} rotations and {sum(one.diagonals for one in every)} diagonals in "
            f"{depth} moment{'s' * (depth != 1)}",
        ),
        (
            "phase terms",
            f"{sum(one.shared_terms for one in every)} shared, "
            f"{sum(one.per_sample_terms for one in every)} per sample, "
            f"at most {max(one.largest_diagonal for one in every)} in one diagonal",
        ),
        ("multiply-adds", f"{forward.multiply_adds:.3g} forward, {backward.multiply_adds:.3g} backward, per sample"),
        (
            step,
            f"{batch * (forward.multiply_adds + backward.multiply_adds):.3g} multiply-adds "
            f"for {batch} sample{'s' * (batch > 1)}",
        ),
        ("one state", gib(amplitude << n) + (f", of {len(plans)}" if len(plans) > 1 else "")),
        ("planned in", f"{seconds:.2f} s"),
    )
    tables = [table_cost(plan, traffic.tile_bits) for plan in plans]
    per_pass = traffic.passes / len(plans)
    moved, moved_back = round(per_pass * forward.bytes), round(per_pass * backward.bytes)
    interval = forecast.checkpoint_interval
    kept = (
        "no state kept on the way"
        if interval is None
        else f"a state kept every {interval} moment{'s' * (interval != 1)}"
    )
    in_flight = min(compiled.evaluator.chunk, batch)
    memory = chunk_bytes(forecast, len(model.observables.strings), in_flight)
    _print(
        ("engine", f"{compiled.selection.engine.describe()} ({compiled.selection.reason})"),
        (
            "passes",
            f"{traffic.passes} over memory each way, in tiles of 2^{traffic.tile_bits} amplitudes "
            f"({gates / max(1, traffic.passes):.3g} gates per pass)",
        ),
        (
            "phase tables",
            f"{sum(one.additions_once for one in tables):.3g} additions and "
            f"{sum(one.sines_once for one in tables):.3g} sines per step, "
            f"{sum(one.additions_per_sample for one in tables):.3g} and "
            f"{sum(one.sines_per_sample for one in tables):.3g} per sample",
        ),
        (
            "bytes moved",
            f"{gib(moved)} forward, {gib(moved_back)} backward, per sample; "
            f"{gib(batch * (moved + moved_back))} for {batch} sample{'s' * (batch > 1)}",
        ),
        ("gradient", f"{forecast.mode}, {kept}; {forecast.reason}"),
        ("training step", f"{compiled.training_step}; {compiled.training_step_reason}"),
        (
            "memory",
            f"{gib(memory)} with {in_flight} sample{'s' * (in_flight > 1)} in flight, of {gib(forecast.memory_bytes)}",
        ),
        *([] if device is None else [("derived", _derived(compiled.program, batch, in_flight))]),
    )
    return 0


def _derived(program: Any, batch: int, in_flight: int) -> str:
    """What a GPU that is not here would take for `batch` samples, forward and back."""
    found = program.derived(batch, in_flight)
    if found is None:
        return "no time, since instructions are counted for engine.precision=complex64 alone"
    limits = {"instructions": found.issue, "shared memory": found.shared, "device memory": found.memory}
    parts = ", ".join(f"{short_duration(limit)} {name}" for name, limit in limits.items() if limit)
    return (
        f"{short_duration(found.expected)} for {plural(batch, 'sample')}, forward and back: not measured, but the"
        f" longest of {parts}; what the host does comes beside"
    )


def input_lines(model: Model) -> list[tuple[str, str]]:
    """Of the layers before the circuit; none where there are none."""
    layers = model.input
    if layers is None:
        return []
    sizes = " to ".join(map(str, layers.sizes))
    said = f"{sizes}, {layers.activation if layers.activation != 'none' else 'no activation'}"
    said += "" if layers.scale == 1 else f", times {layers.scale:.6g}"
    return [("input", f"{said}, {layers.n_parameters} parameters")]


def _idle(model: Model, idle: tuple[int, ...]) -> list[tuple[str, str]]:
    """Parameters of the circuit that no expectation depends on, once for all."""
    if not idle:
        return []
    names = [model.circuit.parameter_names[k] for k in idle]
    return [("cannot matter", f"{plural(len(idle), 'parameter')}, whose gradients are 0: {listed(names)}")]


def _print(*rows: tuple[str, str]) -> None:
    for name, text in rows:
        print(f"{name:<15}{text}")


def _step(config: Config) -> tuple[str, int]:
    """What an optimiser does at a time, and the samples in it: all training samples where it takes the full batch,
    which may be evaluated several times in a step."""
    optimizer = call_builder(OPTIMIZERS, "optimizer", config.optimizer.name, {}, 1)
    if config.dataset.name == "none":
        return "one evaluation" if optimizer.full_batch else "one step", 1
    seeds = derive_seeds(config.run)
    training_rows = len(split_rows(config, open_source(config, seeds), seeds).train)
    if not optimizer.full_batch:
        return "one step", min(config.train.batch_size, training_rows)
    return "one evaluation", training_rows


def _measured(model: Model) -> str:
    """Observables and what is measured for them."""
    observables = model.observables
    n_strings, diagonal = len(observables.strings), sum(string.is_diagonal for string in observables.strings)
    after = len(observables.diagonalizing_gates)
    noun = "observable" if observables.n_observables == 1 else "observables"
    text = f"{observables.n_observables} {noun} from {n_strings} Pauli strings, {diagonal} of Z alone"
    text += ", and a constant" * any(observables.constants)
    return text + f", after {after} more gates" * (after > 0)
