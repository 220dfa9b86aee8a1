"""From names and options, as a config gives them, to a Circuit and its Observables."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from qmltrain.circuit.ansatze import ANSATZE
from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.encodings import ENCODINGS
from qmltrain.circuit.observable_builders import OBSERVABLES
from qmltrain.circuit.observables import Observables
from qmltrain.errors import InputError

T = TypeVar("T")
Options = Mapping[str, Any]


def assemble(
    n_qubits: int,
    n_features: int,
    encoding_name: str,
    encoding_options: Options,
    ansatz_name: str,
    ansatz_options: Options,
) -> Circuit:
    """The circuit of an encoding around an ansatz; options that are None take the entry's default.

    Raises InputError for unknown names and options, options a builder refuses, and gates that cannot be.
    """
    builder = CircuitBuilder(n_qubits, n_features)
    check_options(ANSATZE, "ansatz", ansatz_name, ansatz_options)
    calls = 0

    def ansatz() -> None:
        nonlocal calls
        calls += 1
        call_builder(ANSATZE, "ansatz", ansatz_name, ansatz_options, builder)
        builder.end_layers()

    call_builder(ENCODINGS, "encoding", encoding_name, encoding_options, builder, ansatz)
    if not calls:
        raise InputError(f"encoding.name: {encoding_name} never called ansatz(), so that nothing would be trained")
    return builder.build()


def assemble_observables(n_qubits: int, name: str, options: Options) -> Observables:
    """The observables of registry entry `name`; raises InputError as `call_builder` does."""
    return call_builder(OBSERVABLES, "observable", name, options, n_qubits)


def call_builder(
    registry: Mapping[str, Callable[..., T]], group: str, name: str, options: Options, *arguments: Any
) -> T:
    """``registry[name](*arguments, **options)`` with the options that are None dropped.

    `group` is the config group, for messages. Raises InputError for an unknown name, an option the entry does not
    take, and a missing one it needs.
    """
    check_options(registry, group, name, options)
    given = {key: value for key, value in options.items() if value is not None}
    return registry[name](*arguments, **given)


def options_with_defaults(
    registry: Mapping[str, Callable[..., Any]], group: str, name: str, options: Options
) -> dict[str, Any]:
    """Every option of entry `name` with the value it will have: the given one, or the entry's default."""
    check_options(registry, group, name, options)
    return {
        key: options[key] if options.get(key) is not None else option.default
        for key, option in _options_of(registry[name]).items()
    }


def check_options(registry: Mapping[str, Callable[..., Any]], group: str, name: str, options: Options) -> None:
    """Raise InputError unless `name` is registered and takes exactly such options."""
    if name not in registry:
        raise InputError(f"{group}.name: {name!r} is not known; choose one of {', '.join(registry)}")
    known = _options_of(registry[name])
    takes = f"it takes {', '.join(known)}" if known else "it takes no options"
    for key, value in options.items():
        if value is not None and key not in known:
            raise InputError(f"{group}.{key}: not used by {name}; {takes}")
    for key, option in known.items():
        if option.default is inspect.Parameter.empty and options.get(key) is None:
            raise InputError(f"{group}.{key}: needed by {name}; {takes}")


def _options_of(builder: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    signature = inspect.signature(builder)
    return {key: p for key, p in signature.parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}
