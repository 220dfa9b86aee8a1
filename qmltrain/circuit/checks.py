"""Checks of options that the builders of encodings, ansaetze and observables share."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.circuit.builder import CircuitBuilder
from qmltrain.errors import InputError

ROTATIONS = ("rx", "ry", "rz")


def check_choice(where: str, value: object, allowed: Sequence[str]) -> None:
    """`value` is one of `allowed`, else InputError naming the config key `where`."""
    if value not in allowed:
        raise InputError(f"{where}: {value!r} is not known; choose one of {', '.join(allowed)}")


def check_choices(where: str, values: Sequence[str], allowed: Sequence[str]) -> None:
    """`values` is a list of at least one, each one of `allowed`, else InputError."""
    if isinstance(values, str) or not isinstance(values, Sequence) or not values:
        raise InputError(f"{where}: a list is needed, such as [{allowed[0]}, {allowed[-1]}]; found {values!r}")
    for value in values:
        check_choice(where, value, allowed)


def check_positive(where: str, value: object) -> None:
    """`value` is a whole number from 1 on, else InputError."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"{where}: a whole number from 1 on is needed, found {value!r}")


def check_least_qubits(where: str, n_qubits: int, least: int, name: str) -> None:
    """`n_qubits` suffices for `name`, else InputError."""
    if n_qubits < least:
        raise InputError(f"{where}: {name} needs at least {least} qubits, found {n_qubits}; set circuit.n_qubits")


def check_has_features(builder: CircuitBuilder, name: str) -> None:
    """`builder` has features, else InputError."""
    if builder.n_features < 1:
        raise InputError(f"encoding.name: {name} encodes features, but there are none; choose none or another dataset")


def check_features_fit(builder: CircuitBuilder, name: str) -> None:
    """One feature a qubit: refuse none, and more than there are qubits."""
    check_has_features(builder, name)
    if builder.n_features > builder.n_qubits:
        raise InputError(
            f"encoding.name: {name} holds one feature per qubit, found {builder.n_features} features for "
            f"{builder.n_qubits} qubits; set preprocess.pca={builder.n_qubits}, or encoding=reuploading, or "
            f"circuit.n_qubits={builder.n_features}"
        )
