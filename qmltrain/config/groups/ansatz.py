"""Config group `ansatz`: the trainable part of the circuit."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import BELOW_ONE, COUNT, SEED, TEXT, between, each


@dataclass
class AnsatzConfig(ConfigGroup):
    name: str = option(
        "hea",
        "hea | strongly_entangling | basic_entangler | simplified_two_design | real_amplitudes | efficient_su2 | "
        "two_local | pauli_two_design | random_layers | sim_2 | sim_13 | sim_14 | sim_15 | sim_19 | qaoa | qcnn | "
        "ttn | mps | qasm | python",
        TEXT,
    )
    layers: int = option(1, "layers (real_amplitudes, efficient_su2, two_local: repetitions)", between(1, 1_000_000))
    rotations: list[str] | None = option(
        None,
        "rotations of every qubit: hea (null: [rx, ry, rz]), basic_entangler (null: [rx]), two_local (null: [ry]), "
        "efficient_su2 (null: [ry, rz])",
    )
    entangler: str | None = option(
        None,
        "hea: cz_ring | cz_chain | cx_ring | cx_chain | cz_brick | cx_brick | none (null: cz_ring); two_local: a gate "
        "(null: cx)",
    )
    block: str | None = option(None, "ttn: cx_ry | ry_cx, rotations first and the root at qubit 0 (null: cx_ry)")
    ranges: list[int] | None = option(None, "strongly_entangling: reach of entanglers, one per layer", each(COUNT))
    imprimitive: str | None = option(None, "strongly_entangling: cx | cz (null: cx)")
    entanglement: str | None = option(
        None,
        "real_amplitudes, efficient_su2 (null: reverse_linear), two_local (null: full): full | linear | "
        "reverse_linear | circular | pairwise | sca",
    )
    skip_final_rotation: bool | None = option(
        None, "real_amplitudes, efficient_su2, two_local: leave out the last rotations (null: false)"
    )
    n_rotations: int | None = option(None, "random_layers: rotations of one layer (null: as many as qubits)", COUNT)
    ratio_imprimitive: float | None = option(None, "random_layers: share of CX gates (null: 0.3)", BELOW_ONE)
    graph: str | None = option(None, "qaoa: ring | chain | complete | random_regular | file (null: ring)")
    degree: int | None = option(None, "qaoa, graph=random_regular: edges of a vertex (null: 3)", COUNT)
    seed: int | None = option(None, "pauli_two_design, random_layers, qaoa with graph=random_regular (null: 0)", SEED)
    path: str | None = option(
        None,
        "qasm: OpenQASM 2 or 3 file (extra: qasm); qaoa, graph=file: text file, 'i j' or 'i j weight' a line",
        TEXT,
    )
    function: str | None = option(None, "python: package.module:name; this runs your code")
