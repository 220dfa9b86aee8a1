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
    gates: list[str] | None = option(None, "reuploading: rotations of one encoding block (null: [ry])")
    repeats: int | None = option(
        None,
        "reuploading: encoding blocks, each followed by the ansatz (null: as few as take every feature); iqp, "
        "qaoa_embedding (null: 1) and "
        "*_feature_map (null: 2): repetitions",
        between(1, 1_000_000),
    )
    trainable: str | None = option(None, "reuploading: none | weights | weights_and_biases (null: weights)")
    pad_with: float | None = option(None, "amplitude: value of the missing amplitudes (null: 0)", FINITE)
    normalize: bool | None = option(None, "amplitude: divide by the L2 norm (null: true)")
    entanglement: str | None = option(
        None, "iqp, zz_feature_map, pauli_feature_map: full | linear | circular | ... (null: full)"
    )
    alpha: float | None = option(None, "*_feature_map: factor of the angles (null: 2)", FINITE)
    paulis: list[str] | None = option(None, "pauli_feature_map: Pauli strings (null: [Z, ZZ])", each(TEXT))
    local_field: str | None = option(None, "qaoa_embedding: rx | ry | rz (null: ry)")
    scaling: str | None = option(None, "fourier, chebyshev: constant | tower | exponential (null: constant)")
    function: str | None = option(None, "python: package.module:name; this runs your code")
