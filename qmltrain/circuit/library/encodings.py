"""Encodings: how the features of a sample enter the circuit, and the registry of them.

An encoding is a function ``encode(builder, ansatz, *, options)``. It writes its gates and calls ``ansatz()``, which
takes no arguments, wherever the trainable circuit belongs: once after the encoding for most, once after every block
for `reuploading`. Its keyword-only parameters are its options in the config group `encoding`. Parameters of
an encoding are named ``encoding.<block>.<gate>.<qubit>.weight`` (or ``.bias``) and belong to no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qmltrain.circuit.angle import feature
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.checks import (
    ROTATIONS,
    check_choice,
    check_choices,
    check_features_fit,
    check_has_features,
    check_positive,
)
from qmltrain.circuit.library.encodings_feature_maps import (
    basis,
    chebyshev,
    fourier,
    iqp,
    pauli_feature_map,
    qaoa_embedding,
    z_feature_map,
    zz_feature_map,
)
from qmltrain.errors import InputError
from qmltrain.user_code import call_user_function

Ansatz = Callable[[], None]
EncodingBuilder = Callable[..., None]

TRAINABLE = ("none", "weights", "weights_and_biases")


def angle(builder: CircuitBuilder, ansatz: Ansatz, *, gate: str = "ry") -> None:
    """Feature i is the angle of a rotation `gate` on qubit i; qubits beyond the features are left alone.

    From 1 qubit on; no parameters. Refuses no features and more features than qubits. Reference: AngleEmbedding of
    PennyLane (whose default is rx); Schuld, Petruccione, Supervised Learning with Quantum Computers (2018).
    """
    check_choice("encoding.gate", gate, ROTATIONS)
    check_features_fit(builder, "angle")
    for qubit in range(builder.n_features):
        builder.add(gate, qubit, feature(qubit))
    ansatz()


def amplitude(builder: CircuitBuilder, ansatz: Ansatz, *, pad_with: float = 0.0, normalize: bool = True) -> None:
    """Feature i is amplitude i of the initial state; up to 2^n features, no gates, no parameters.

    The numbers are prepared by `qmltrain.circuit.amplitude.amplitude_state`, which takes the two options: missing
    amplitudes are `pad_with`, and then rows are divided by their norm if `normalize`. From 1 qubit on. Refuses no
    features and more than 2^n. Reference: AmplitudeEmbedding of PennyLane.
    """
    check_has_features(builder, "amplitude")
    builder.amplitude_encode()
    ansatz()


def reuploading(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    gates: Sequence[str] = ("ry",),
    repeats: int | None = None,
    trainable: str = "weights",
) -> None:
    """Data re-uploading: `repeats` times (None: as few as take every feature) an encoding block and the whole ansatz,
    with parameters of their own.

    A block applies each rotation of `gates` on every qubit. Features are dealt cyclically: in block r, gate number
    g of G and qubit q take feature (r n G + g n + q) mod F, so that 16 features on 8 qubits alternate halves. The
    angle is w x + b with `trainable` one of "none" (w = 1, b = 0), "weights", "weights_and_biases".

    From 1 qubit on; 0, 1 or 2 parameters for each of the repeats x G x n angles, in the order block, gate, qubit,
    weight before bias. Refuses no features and fewer angles than features. Reference: Perez-Salinas, Cervera-Lierta,
    Gil-Fuster, Latorre, Quantum 4, 226 (2020), arXiv:1907.02085.
    """
    n, n_features = builder.n_qubits, builder.n_features
    check_has_features(builder, "reuploading")
    check_choice("encoding.trainable", trainable, TRAINABLE)
    check_choices("encoding.gates", gates, ROTATIONS)
    least = -(-n_features // (n * len(gates)))
    repeats = least if repeats is None else repeats
    check_positive("encoding.repeats", repeats)
    if repeats < least:
        raise InputError(
            f"encoding.repeats: {repeats} repeats x {n} qubits x {len(gates)} gates leave some of the {n_features} "
            f"features unused; set encoding.repeats to {least} or more, or preprocess.pca to "
            f"{repeats * n * len(gates)} or less"
        )
    kinds = {"none": [], "weights": ["weight"], "weights_and_biases": ["weight", "bias"]}[trainable]
    places = [(gate, qubit) for gate in gates for qubit in range(n)]
    position = 0
    for block in range(repeats):
        for (gate, qubit), name in zip(places, place_names(f"encoding.{block}", places), strict=True):
            own = builder.parameters([f"{name}.{kind}" for kind in kinds])
            trained = dict(zip(kinds, own, strict=True))
            builder.add(gate, qubit, feature(position % n_features, **trained))
            position += 1
        ansatz()


def none(builder: CircuitBuilder, ansatz: Ansatz) -> None:
    """No features enter: the ansatz alone, on |0...0>. For gradient studies and circuits without data."""
    ansatz()


def python(builder: CircuitBuilder, ansatz: Ansatz, *, function: str) -> None:
    """A function of the user's own, ``package.module:name``, called as ``name(builder, ansatz)``.

    It adds gates to the builder and calls ``ansatz()`` at least once; parameters of its own it takes from
    ``builder.parameters(["encoding.0.ry.0.weight", ...])``. Refuses what the function itself refuses.
    """
    call_user_function(function, "encoding.function", builder, ansatz)


ENCODINGS: dict[str, EncodingBuilder] = {
    "angle": angle,
    "amplitude": amplitude,
    "reuploading": reuploading,
    "basis": basis,
    "iqp": iqp,
    "z_feature_map": z_feature_map,
    "zz_feature_map": zz_feature_map,
    "pauli_feature_map": pauli_feature_map,
    "qaoa_embedding": qaoa_embedding,
    "fourier": fourier,
    "chebyshev": chebyshev,
    "none": none,
    "python": python,
}
