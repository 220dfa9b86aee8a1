"""Config group `observable`: what is measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import COUNT, FINITE, SCALE, SEED, TEXT, Rule, between, each, is_integer

OUTCOME = Rule(
    lambda value: (
        (is_integer(value) and value >= 0) or (isinstance(value, str) and bool(value) and not set(value) - set("01"))
    ),
    "an integer of 0 or more, or a bit string as '0110'",
)
QUBIT = between(0, 999)  # as `circuit.n_qubits` allows


@dataclass
class ObservableConfig(ConfigGroup):
    name: str = option(
        "z",
        "z | pauli | projector | parity | hamiltonian | ising | heisenberg | maxcut | target_state | python | "
        "local_projector",
        TEXT,
    )
    qubits: list[int] | None = option(
        None,
        "z, parity, local_projector: measured qubits; projector: qubits that are read (null: all)",
        each(QUBIT, distinct=True),
    )
    max_weight: int | None = option(None, "z: products of up to so many Z, each an observable (null: 1)", COUNT)
    scale: float | None = option(None, "z: factor of the expectations (null: 1)", SCALE)
    terms: list[str] | None = option(None, 'pauli: one string per observable, as "0.5*Z0 Z1 + X2"', each(TEXT))
    states: list[Any] | None = option(
        None,
        "projector: outcomes, integers or bit strings (leftmost bit: highest qubit; null: [0])",
        each(OUTCOME, distinct=True),
    )
    graph: str | None = option(
        None,
        "ising, heisenberg (null: chain), maxcut (null: ring): chain | ring | complete | random_regular | file",
        TEXT,
    )
    degree: int | None = option(None, "graph=random_regular: edges of a vertex (null: 3)", COUNT)
    seed: int | None = option(None, "graph=random_regular: seed (null: 0)", SEED)
    path: str | None = option(
        None,
        "hamiltonian: text file, '0.5 X0 Z1' a line; graph=file: 'i j' or 'i j weight' a line; target_state: .npy of "
        "the amplitudes",
        TEXT,
    )
    coupling: float | None = option(None, "ising: J of -J sum Z Z - h sum X (null: 1)", FINITE)
    couplings: list[float] | None = option(
        None, "heisenberg: [Jx, Jy, Jz] of sum (Jx X X + Jy Y Y + Jz Z Z) - h sum Z (null: [1, 1, 1])", each(FINITE)
    )
    field: float | None = option(None, "h of ising (null: 1), heisenberg (null: 0)", FINITE)
    function: str | None = option(None, "python: package.module:name; this runs your code")
