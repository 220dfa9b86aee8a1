"""Encodings: how the features of a sample enter the circuit, and the registry of them.

An encoding is a function ``encode(builder, ansatz, *, options)``. It writes its gates and calls ``ansatz()``, which
takes no arguments, wherever the trainable circuit belongs: once after the encoding for most, once after every block
for `reuploading`. Its keyword-only parameters are its options in the config group `encoding`. Parameters of
an encoding are named ``encoding.<block>.<gate>.<qubit>.weight`` (or ``.bias``) and belong to no layer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from qmltrain.circuit.angle import feature, parameter
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

TRAINED = {"none": [], "weights": ["weight"], "weights_and_biases": ["weight", "bias"], "biases": ["bias"]}
DEALINGS = ("cyclic", "by_qubit")


def angle(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    gate: str = "ry",
    hadamards: bool = False,
    layers: int = 1,
    imprimitive: str = "none",
) -> None:
    """Feature i is the angle of a rotation `gate` on qubit i; qubits beyond the features are left alone.

    With `hadamards` an H on every qubit comes first. With an `imprimitive` (cx or cz) it follows the rotations on
    (i, i + 1 mod n), i = 0..n-1, both ways on two qubits, as in `strongly_entangling`; rotations and these gates are
    a layer, of which there are `layers`. From 1 qubit on; no parameters. Refuses no features and more features than
    qubits. Reference: AngleEmbedding of PennyLane (whose default is rx); Schuld, Petruccione, Supervised Learning with
    Quantum Computers (2018).
    """
    check_choice("encoding.gate", gate, ROTATIONS)
    check_choice("encoding.imprimitive", imprimitive, ("none", "cx", "cz"))
    check_positive("encoding.layers", layers)
    check_features_fit(builder, "angle")
    n = builder.n_qubits
    for qubit in range(n if hadamards else 0):
        builder.add("h", qubit)
    for _ in range(layers):
        for qubit in range(builder.n_features):
            builder.add(gate, qubit, feature(qubit))
        for qubit in range(n if imprimitive != "none" and n > 1 else 0):
            builder.add(imprimitive, (qubit, (qubit + 1) % n))
    ansatz()


def amplitude(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    pad_with: float = 0.0,
    normalize: bool = True,
    copies: int = 1,
    big_endian: bool = False,
) -> None:
    """Feature i is amplitude i of the initial state; up to 2^n features, no parameters.

    The numbers are prepared by `qmltrain.circuit.amplitude.amplitude_state`, which takes the first three options:
    missing amplitudes are `pad_with`, then rows are divided by their norm if `normalize`, and the state is `copies`
    times this one, side by side on n / copies qubits each: polynomials of the features (Schuld, Bocharov, Svore, Wiebe,
    arXiv:1804.00633, section II B). With `big_endian` qubit 0 is the highest bit of a feature's number, as wire 0 is in
    PennyLane, by SWAP gates. From 1 qubit on. Refuses no features, more than 2^(n / copies), and copies of which n is
    no multiple. Reference: AmplitudeEmbedding of PennyLane.
    """
    check_has_features(builder, "amplitude")
    check_positive("encoding.copies", copies)
    builder.amplitude_encode(copies)
    if big_endian:
        for qubit in range(builder.n_qubits // 2):
            builder.add("swap", (qubit, builder.n_qubits - 1 - qubit))
    ansatz()


def reuploading(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    gates: Sequence[str] = ("ry",),
    repeats: int | None = None,
    trainable: str = "weights",
    dealing: str = "cyclic",
    ansatz_first: bool = False,
    last_block: bool = False,
) -> None:
    """Data re-uploading: `repeats` times (None: as few as take every feature) an encoding block and the whole ansatz,
    with parameters of their own.

    A block applies each rotation of `gates` on every qubit. Features are dealt cyclically: in block r, gate number
    g of G and qubit q take feature (r n G + g n + q) mod F, so that 16 features on 8 qubits alternate halves. The
    angle is w x + b with `trainable` one of "none" (w = 1, b = 0), "weights", "biases", "weights_and_biases". With
    `dealing` by_qubit every block is alike, all gates of qubit 0 first: gate g of qubit q takes feature q G + g, and
    where there is none, the bias alone, or without one no gate.

    With `ansatz_first` the ansatz also comes before the first block. With `last_block` another block is the end, whose
    angles have biases, whatever `trainable` says, since no ansatz follows it.

    From 1 qubit on; 0, 1 or 2 parameters for each of the repeats x G x n angles, in the order block, gate, qubit (by
    qubit: block, qubit, gate), weight before bias. Refuses no features and fewer angles than features. Reference:
    Perez-Salinas, Cervera-Lierta, Gil-Fuster, Latorre, Quantum 4, 226 (2020), arXiv:1907.02085.
    """
    n, n_features = builder.n_qubits, builder.n_features
    check_has_features(builder, "reuploading")
    check_choice("encoding.trainable", trainable, tuple(TRAINED))
    check_choice("encoding.dealing", dealing, DEALINGS)
    check_choices("encoding.gates", gates, ROTATIONS)
    least = -(-n_features // (n * len(gates)))
    if dealing == "by_qubit" and least > 1:
        raise InputError(
            f"encoding.dealing: by_qubit deals all {n_features} features in one block, of {n} qubits x {len(gates)} "
            f"gates; set circuit.n_qubits={-(-n_features // len(gates))} or more"
        )
    repeats = least if repeats is None else repeats
    check_positive("encoding.repeats", repeats)
    if repeats < least:
        raise InputError(
            f"encoding.repeats: {repeats} repeats x {n} qubits x {len(gates)} gates leave some of the {n_features} "
            f"features unused; set encoding.repeats to {least} or more, or preprocess.pca to "
            f"{repeats * n * len(gates)} or less"
        )
    places = [(gate, qubit) for gate in gates for qubit in range(n)]
    if dealing == "by_qubit":
        places = [(gate, qubit) for qubit in range(n) for gate in gates]
    if ansatz_first:
        ansatz()
    for block in range(repeats + last_block):
        kinds = TRAINED[trainable]
        if block == repeats and "bias" not in kinds:
            kinds = [*kinds, "bias"]
        names = place_names(f"encoding.{block}", places)
        for place, ((gate, qubit), name) in enumerate(zip(places, names, strict=True)):
            index = place if dealing == "by_qubit" else (block * len(places) + place) % n_features
            if index < n_features:
                own = builder.parameters([f"{name}.{kind}" for kind in kinds])
                builder.add(gate, qubit, feature(index, **dict(zip(kinds, own, strict=True))))
            elif "bias" in kinds:
                builder.add(gate, qubit, parameter(*builder.parameters([f"{name}.bias"])))
        if block < repeats:
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
