"""`qmltrain circuit`: the circuit of a config, drawn, counted, its parameters named in order."""

from __future__ import annotations

import shutil

from qmltrain.circuit.drawing import counts, draw
from qmltrain.config.schema import CommandContext, Config
from qmltrain.models.build import build_model
from qmltrain.models.source import build_source_shape

_SHOWN_NAMES = 12


def run(config: Config, context: CommandContext) -> int:
    """Executes no gate; opens the data only to know how many features and classes there are."""
    n_features, n_classes = build_source_shape(config)
    model = build_model(config, n_features, n_classes)
    width = shutil.get_terminal_size((120, 24)).columns
    print(draw(model.circuit, max_columns=width))
    print()
    found = counts(model.circuit)
    layers = "layer" if found.n_layers == 1 else "layers"
    gates = ", ".join(f"{count} {name}" for name, count in found.gates.items())
    print(f"gates       {found.n_gates} ({gates}), depth {found.depth}, {found.n_layers} {layers}")
    print(
        f"qubits      {found.n_qubits}, features {found.n_features}, observables {', '.join(model.observables.names)}"
    )
    names = model.parameter_names
    shown = names if context.verbose or len(names) <= 2 * _SHOWN_NAMES else (*names[:_SHOWN_NAMES], "...", names[-1])
    print(f"\nparameters in order ({len(names)}; all with -v):")
    for name in shown:
        print(f"  {name}")
    return 0
