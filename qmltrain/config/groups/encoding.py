"""Config group `encoding`: how features become angles of the circuit."""

from __future__ import annotations

from dataclasses import dataclass

from qmltrain.config.option import ConfigGroup, option
from qmltrain.config.rules import FINITE, TEXT, between, each


@dataclass
class EncodingConfig(ConfigGroup):
    name: str = option(
        "reuploading",
        "angle | amplitude | reuploading | basis | iqp | z_feature_map | zz_feature_map | pauli_feature_map | "
        "qaoa_embedding | fourier | chebyshev | none | python",
        TEXT,
    )
    gate: str | None = option(None, "angle (null: ry), fourier, chebyshev (null: rx): rx | ry | rz")
    hadamards: bool | None = option(None, "angle: H on every qubit first (null: false)")
    imprimitive: str | None = option(
        None, "angle: none | cx | cz on (i, i + 1 mod n) after the rotations of a layer (null: none)"
    )
    layers: int | None = option(None, "angle: layers of rotations and of these gates (null: 1)", between(1, 1_000_000))
    gates: list[str] | None = option(None, "reuploading: rotations of one encoding block (null: [ry])")
    repeats: int | None = option(
        None,
        "reuploading: encoding blocks, each followed by the ansatz (null: as few as take every feature); iqp, "
        "qaoa_embedding (null: 1) and "
        "*_feature_map (null: 2): repetitions",
        between(1, 1_000_000),
    )
    trainable: str | None = option(None, "reuploading: none | weights | biases | weights_and_biases (null: weights)")
    dealing: str | None = option(
        None,
        "reuploading: cyclic | by_qubit, in every block features q G, q G + 1, ... to the G gates of qubit q "
        "(null: cyclic)",
    )
    ansatz_first: bool | None = option(None, "reuploading: the ansatz also before the first block (null: false)")
    last_block: bool | None = option(
        None, "reuploading: one more block at the end, with biases and no ansatz behind it (null: false)"
    )
    pad_with: float | None = option(None, "amplitude: value of the missing amplitudes (null: 0)", FINITE)
    normalize: bool | None = option(None, "amplitude: divide by the L2 norm (null: true)")
    copies: int | None = option(
        None, "amplitude: as many states side by side, on n_qubits / copies each (null: 1)", between(1, 40)
    )
    big_endian: bool | None = option(
        None, "amplitude: qubit 0 is the highest bit of a feature's number, not the lowest (null: false)"
    )
    entanglement: str | None = option(
        None, "iqp, zz_feature_map, pauli_feature_map: full | linear | circular | ... (null: full)"
    )
    alpha: float | None = option(None, "*_feature_map: factor of the angles (null: 2)", FINITE)
    paulis: list[str] | None = option(None, "pauli_feature_map: Pauli strings (null: [Z, ZZ])", each(TEXT))
    local_field: str | None = option(None, "qaoa_embedding: rx | ry | rz (null: ry)")
    scaling: str | None = option(None, "fourier, chebyshev: constant | tower | exponential (null: constant)")
    function: str | None = option(None, "python: package.module:name; this runs your code")
