"""`qmltrain plan`: what a config would run: operations, passes over memory, bytes, memory. Nothing is executed."""

from __future__ import annotations

import time

from qmltrain.config.schema import CommandContext, Config
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.cost import backward_cost, composition, forward_cost, table_cost
from qmltrain.fusion.passes import schedule
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.source import build_source_shape, derive_seeds, open_source, split_rows
from qmltrain.registry import call_builder
from qmltrain.training.gradients import chunk_bytes
from qmltrain.training.model import Model
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.units import gib


def run(config: Config, context: CommandContext) -> int:
    """Print the plan, then what the engine makes of it."""
    model = build_model(config, *build_source_shape(config))
    circuit = model.circuit
    begun = time.perf_counter()
    plan = compile_plan(model.measured_circuit, model.observables.strings)
    seconds = time.perf_counter() - begun
    shape = composition(plan)
    amplitude = 8 if config.engine.precision == "complex64" else 16
    once = schedule(plan)  # the state as one tile: all operations, and the bytes of one pass
    forward, backward = forward_cost(plan, once, amplitude), backward_cost(plan, once, amplitude)
    gates = len(circuit.gates)
    step, batch = _step(config)
    _print(
        ("circuit", f"{circuit.n_qubits} qubits, {gates} gates, {circuit.n_parameters} parameters"),
        ("head", f"{model.head.name}, {model.head.n_parameters} parameters"),
        (
            "fused to",
            f"{shape.rotations} rotations and {shape.diagonals} diagonals in "
            f"{shape.depth} moment{'s' * (shape.depth != 1)}",
        ),
        (
            "phase terms",
            f"{shape.shared_terms} shared, {shape.per_sample_terms} per sample, "
            f"at most {shape.largest_diagonal} in one diagonal",
        ),
        ("measured", _measured(model)),
        ("multiply-adds", f"{forward.multiply_adds:.3g} forward, {backward.multiply_adds:.3g} backward, per sample"),
        (
            step,
            f"{batch * (forward.multiply_adds + backward.multiply_adds):.3g} multiply-adds "
            f"for {batch} sample{'s' * (batch > 1)}",
        ),
        ("one state", gib(amplitude << circuit.n_qubits)),
        ("planned in", f"{seconds:.2f} s"),
    )
    compiled = compile_model(config, model, samples=batch)
    forecast, traffic = compiled.program.forecast, compiled.program.traffic()
    tables = table_cost(plan, traffic.tile_bits)
    moved, moved_back = traffic.passes * forward.bytes, traffic.passes * backward.bytes
    every = forecast.checkpoint_interval
    kept = "no state kept on the way" if every is None else f"a state kept every {every} moment{'s' * (every != 1)}"
    in_flight = min(compiled.evaluator.chunk, batch)
    memory = chunk_bytes(forecast, len(plan.strings), in_flight)
    _print(
        ("engine", f"{compiled.selection.engine.describe()} ({compiled.selection.reason})"),
        (
            "passes",
            f"{traffic.passes} over memory each way, in tiles of 2^{traffic.tile_bits} amplitudes "
            f"({gates / max(1, traffic.passes):.3g} gates per pass)",
        ),
        (
            "phase tables",
            f"{tables.additions_once:.3g} additions and {tables.sines_once:.3g} sines per step, "
            f"{tables.additions_per_sample:.3g} and {tables.sines_per_sample:.3g} per sample",
        ),
        (
            "bytes moved",
            f"{gib(moved)} forward, {gib(moved_back)} backward, per sample; "
            f"{gib(batch * (moved + moved_back))} for {batch} sample{'s' * (batch > 1)}",
        ),
        ("gradient", f"{forecast.mode}, {kept}; {forecast.reason}"),
        *((name.replace("_", " "), line) for name, line in compiled.reductions.lines),
        ("training step", f"{compiled.training_step}; {compiled.training_step_reason}"),
        (
            "memory",
            f"{gib(memory)} with {in_flight} sample{'s' * (in_flight > 1)} in flight, of {gib(forecast.memory_bytes)}",
        ),
    )
    return 0


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
