"""`qmltrain plan`: what a config would run - passes, operations, bytes, memory. Nothing is executed."""

from __future__ import annotations

import time

from qmltrain.config.schema import CommandContext, Config
from qmltrain.engines.protocol import BLOCK
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.cost import backward_cost, composition, forward_cost, table_cost
from qmltrain.models.build import build_model, compile_model
from qmltrain.models.source import build_source_shape, derive_seeds, open_source, split_rows
from qmltrain.registry import call_builder
from qmltrain.training.gradients import string_bytes
from qmltrain.training.model import Model
from qmltrain.training.optimizers import OPTIMIZERS
from qmltrain.units import gib

_TILE_BITS, _LOW_BITS = 12, 4  # of the plan that is shown; engines choose tiles of their own


def run(config: Config, context: CommandContext) -> int:
    """Print the plan."""
    model = build_model(config, *build_source_shape(config))
    circuit, measured = model.circuit, model.measured_circuit
    begun = time.perf_counter()
    plan = compile_plan(measured, model.observables.strings, tile_bits=_TILE_BITS, low_bits=_LOW_BITS)
    seconds = time.perf_counter() - begun
    shape = composition(plan)
    amplitude = 8 if config.engine.precision == "complex64" else 16
    forward, backward, tables = forward_cost(plan, amplitude), backward_cost(plan, amplitude), table_cost(plan)
    step, batch = _step(config)
    gates = len(circuit.gates)
    rows = [
        ("circuit", f"{circuit.n_qubits} qubits, {gates} gates, {circuit.n_parameters} parameters"),
        ("head", f"{model.head.name}, {model.head.n_parameters} parameters"),
        ("fused to", f"{shape.rotations} rotations and {shape.diagonals} diagonals in {shape.steps} steps"),
        (
            "phase terms",
            f"{shape.shared_terms} shared, {shape.per_sample_terms} per sample, "
            f"at most {shape.largest_diagonal} in one diagonal",
        ),
        (
            "phase tables",
            f"{tables.additions_once:.3g} additions and {tables.sines_once:.3g} sines a step, "
            f"{tables.additions_a_sample:.3g} and {tables.sines_a_sample:.3g} a sample",
        ),
        ("measured", _measured(model)),
        (
            "passes",
            f"{shape.passes} over memory where a tile holds 2^{plan.tile_bits} amplitudes "
            f"({gates / max(1, shape.passes):.3g} gates a pass)",
        ),
        ("multiply-adds", f"{forward.multiply_adds:.3g} forward, {backward.multiply_adds:.3g} backward, a sample"),
        ("bytes moved", f"{gib(forward.bytes)} forward, {gib(backward.bytes)} backward, a sample"),
        (
            step,
            f"{batch * (forward.multiply_adds + backward.multiply_adds):.3g} multiply-adds, "
            f"{gib(batch * (forward.bytes + backward.bytes))} for {batch} sample{'s' * (batch > 1)}",
        ),
        ("one state", gib(amplitude << circuit.n_qubits)),
        ("planned in", f"{seconds:.2f} s"),
    ]
    for name, text in rows:
        print(f"{name:<15}{text}")
    compiled = compile_model(config, model)
    forecast, chunk = compiled.program.forecast, compiled.evaluator.chunk
    print(f"{'engine':<15}{compiled.selection.engine.describe()} ({compiled.selection.reason})")
    every = forecast.checkpoint_interval
    kept = "no state kept on the way" if every is None else f"a state kept every {every} layers"
    print(f"{'gradient':<15}{forecast.mode}, {kept}; {forecast.reason}")
    in_flight = min(chunk, -(-batch // BLOCK) * BLOCK)
    memory = forecast.fixed_bytes + in_flight // BLOCK * (forecast.block_bytes + string_bytes(len(plan.strings)))
    print(f"{'memory':<15}{gib(memory)} with {in_flight} samples in flight, of {gib(forecast.memory_bytes)}")
    return 0


def _step(config: Config) -> tuple[str, int]:
    """What an optimiser does at a time, and the samples in it: all training samples where it takes the full batch,
    which may be evaluated several times in a step."""
    optimizer = call_builder(OPTIMIZERS, "optimizer", config.optimizer.name, {}, 1)
    if config.dataset.name == "none":
        return "one evaluation" if optimizer.full_batch else "one step", 1
    if not optimizer.full_batch:
        return "one step", config.train.batch_size
    seeds = derive_seeds(config.run)
    return "one evaluation", len(split_rows(config, open_source(config, seeds), seeds).train)


def _measured(model: Model) -> str:
    """Observables and what is measured for them."""
    observables = model.observables
    n_strings, diagonal = len(observables.strings), sum(string.is_diagonal for string in observables.strings)
    after = len(observables.diagonalizing_gates)
    noun = "observable" if observables.n_observables == 1 else "observables"
    text = f"{observables.n_observables} {noun} from {n_strings} Pauli strings, {diagonal} of Z alone"
    return text + f", after {after} more gates" * (after > 0)
