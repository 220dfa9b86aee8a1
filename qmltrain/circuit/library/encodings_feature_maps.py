"""Encodings with a structure of their own: IQP, Qiskit's Pauli feature maps, QAOA embedding, Fourier and Chebyshev.

Signatures and conventions as in `qmltrain.circuit.library.encodings`; each calls ``ansatz()`` once, after the encoding.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations

from qmltrain.circuit.angle import Angle, Feature, FeatureKind, feature, parameter
from qmltrain.circuit.builder import CircuitBuilder, place_names
from qmltrain.circuit.checks import ROTATIONS, check_choice, check_features_fit, check_positive
from qmltrain.circuit.library.entanglement import ENTANGLEMENT, entangling_pairs, ring
from qmltrain.errors import InputError

Ansatz = Callable[[], None]
SCALINGS = ("constant", "tower", "exponential")


def basis(builder: CircuitBuilder, ansatz: Ansatz) -> None:
    """Bit i of a sample flips qubit i: the computational basis state of the features, up to a global phase.

    Feature i is 0 or 1 (`qmltrain.circuit.feature_domains` refuses others) and becomes RX(pi x_i) on qubit i; qubits
    beyond the features stay 0. From 1 qubit on; no parameters. Refuses no features and more features than
    qubits. Reference: BasisEmbedding of PennyLane.
    """
    check_features_fit(builder, "basis")
    for qubit in range(builder.n_features):
        builder.add("rx", qubit, feature(qubit, scale=math.pi))
    ansatz()


def iqp(builder: CircuitBuilder, ansatz: Ansatz, *, repeats: int = 1, entanglement: str = "full") -> None:
    """Instantaneous quantum polynomial encoding: `repeats` times {H, RZ(x_i) on qubit i; RZZ(x_i x_j) on each pair}.

    The pairs are those of the entanglement map over the F encoded qubits (default: all). From 1 qubit on; no
    parameters. Refuses no features and more features than qubits. Reference: Havlicek et al., Nature 567, 209
    (2019), arXiv:1804.11326; IQPEmbedding of PennyLane.
    """
    check_positive("encoding.repeats", repeats)
    check_features_fit(builder, "iqp")
    check_choice("encoding.entanglement", entanglement, tuple(ENTANGLEMENT))
    for block in range(repeats):
        for qubit in range(builder.n_features):
            builder.add("h", qubit)
            builder.add("rz", qubit, feature(qubit))
        for pair in entangling_pairs(entanglement, builder.n_features, block):
            builder.add("rzz", pair, Angle(feature=Feature("product", pair)))
    ansatz()


def z_feature_map(builder: CircuitBuilder, ansatz: Ansatz, *, repeats: int = 2, alpha: float = 2.0) -> None:
    """`repeats` times {H, P(alpha x_i) on qubit i}: `pauli_feature_map` with ["Z"].

    From 1 qubit on; no parameters. Refuses no features and more features than qubits. Reference: z_feature_map of
    Qiskit's circuit library.
    """
    pauli_feature_map(builder, ansatz, repeats=repeats, paulis=("Z",), alpha=alpha)


def zz_feature_map(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    repeats: int = 2,
    entanglement: str = "full",
    alpha: float = 2.0,
) -> None:
    """`repeats` times {H, P(alpha x_i) on i; CX, P(alpha (pi - x_i)(pi - x_j)) on j, CX for each pair}.

    `pauli_feature_map` with ["Z", "ZZ"]. From 1 qubit on (no pairs); no parameters. Refuses no features and more
    features than qubits. Reference: Havlicek et al., Nature 567, 209 (2019), arXiv:1804.11326; zz_feature_map
    of Qiskit's circuit library.
    """
    pauli_feature_map(builder, ansatz, repeats=repeats, paulis=("Z", "ZZ"), entanglement=entanglement, alpha=alpha)


def pauli_feature_map(
    builder: CircuitBuilder,
    ansatz: Ansatz,
    *,
    repeats: int = 2,
    paulis: Sequence[str] = ("Z", "ZZ"),
    entanglement: str = "full",
    alpha: float = 2.0,
) -> None:
    """`repeats` times {H on all; for each Pauli string P of `paulis`, exp(-i alpha f(x) P / 2) on its sets of qubits}.

    The exponential is up to a phase and written as basis change, CX ladder, P(alpha f) on the last qubit, and back.
    f is x_i for one letter and the product of (pi - x_j) over the set for more. One letter acts on every qubit, two
    on the pairs of the entanglement map, more on all sets (full) or all windows of neighbours (linear,
    reverse_linear). The first letter of a string belongs to the first qubit of the set (Qiskit's labels read the
    other way round). From 1 qubit on (no pairs); no parameters. Refuses strings with letters beside X, Y, Z or of
    more letters than features (beside pairs), other maps for three letters, no features and more features than qubits.
    Reference: pauli_feature_map of Qiskit's circuit library.
    """
    check_positive("encoding.repeats", repeats)
    check_features_fit(builder, "a Pauli feature map")
    check_choice("encoding.entanglement", entanglement, tuple(ENTANGLEMENT))
    if isinstance(paulis, str) or not paulis:
        raise InputError(f"encoding.paulis: a list of Pauli strings is needed, such as [Z, ZZ]; found {paulis!r}")
    for letters in paulis:
        if not isinstance(letters, str) or not letters or set(letters) - set("XYZ"):
            raise InputError(f"encoding.paulis: {letters!r} is not a string of X, Y and Z")
    for block in range(repeats):
        for qubit in range(builder.n_features):
            builder.add("h", qubit)
        for letters in paulis:
            for qubits in _sets(entanglement, builder.n_features, len(letters), block):
                _pauli_evolution(builder, letters, qubits, alpha)
    ansatz()


def qaoa_embedding(builder: CircuitBuilder, ansatz: Ansatz, *, repeats: int = 1, local_field: str = "ry") -> None:
    """`repeats` times {RX(x_i); RZZ(w) on a ring; `local_field`(w) on all}, and the features once more at the end.

    RX(x_i) acts on the qubits that have a feature, H on the others. `local_field` is rx, ry or rz. From 1 qubit on.
    Parameters (repeats, 2n): n for the ring (0, 1), ..., (n-1, 0), then n for the local fields; on two qubits
    (repeats, 3), the ring being one gate, on one (repeats, 1). Names: ``encoding.<block>.rzz.0_1``,
    ``encoding.<block>.ry.0``. Refuses no features and more features than qubits. Reference: Lloyd, Schuld, Ijaz,
    Izaac, Killoran, arXiv:2001.03622; QAOAEmbedding of PennyLane.
    """
    check_positive("encoding.repeats", repeats)
    check_choice("encoding.local_field", local_field, ROTATIONS)
    check_features_fit(builder, "qaoa_embedding")
    n = builder.n_qubits
    for block in range(repeats):
        _feature_layer(builder)
        places: list[tuple[str, int | tuple[int, ...]]] = [("rzz", pair) for pair in ring(n)]
        places += [(local_field, qubit) for qubit in range(n)]
        theta = builder.parameters(place_names(f"encoding.{block}", places))
        for (gate, qubits), index in zip(places, theta, strict=True):
            builder.add(gate, qubits, parameter(index))
    _feature_layer(builder)
    ansatz()


def fourier(builder: CircuitBuilder, ansatz: Ansatz, *, gate: str = "rx", scaling: str = "constant") -> None:
    """Fourier feature map: the angle of `gate` on every qubit is s x, so that outputs are Fourier series in x.

    Qubit q takes feature q mod F and is number m = q div F (from 0) of its feature; the factor s is 1 (constant),
    m + 1 (tower) or 2^m (exponential), each adding frequencies. From 1 qubit on; no parameters. Refuses no
    features and more features than qubits. Reference: Schuld, Sweke, Meyer, Phys. Rev. A 103, 032430 (2021),
    arXiv:2008.08605; feature maps of Qadence.
    """
    _tower(builder, "fourier", "linear", gate, scaling)
    ansatz()


def chebyshev(builder: CircuitBuilder, ansatz: Ansatz, *, gate: str = "rx", scaling: str = "constant") -> None:
    """Chebyshev feature map: as `fourier`, of arccos(x), so that outputs are sums of Chebyshev polynomials in x.

    Features must be in [-1, 1] (`qmltrain.circuit.feature_domains` refuses others), and inside it for gradients with
    respect to inputs. From 1 qubit on; no parameters. Refuses no features and more features than qubits.
    Reference: Kyriienko, Paine, Elfving, Phys. Rev. A 103, 052416 (2021), arXiv:2011.10395; feature maps of Qadence.
    """
    _tower(builder, "chebyshev", "arccos", gate, scaling)
    ansatz()


def _tower(builder: CircuitBuilder, name: str, kind: FeatureKind, gate: str, scaling: str) -> None:
    check_choice("encoding.gate", gate, ROTATIONS)
    check_choice("encoding.scaling", scaling, SCALINGS)
    check_features_fit(builder, name)
    for qubit in range(builder.n_qubits):
        number, index = divmod(qubit, builder.n_features)
        factor = {"constant": 1.0, "tower": number + 1.0, "exponential": 2.0**number}[scaling]
        builder.add(gate, qubit, Angle(scale=factor, feature=Feature(kind, (index,))))


def _feature_layer(builder: CircuitBuilder) -> None:
    for qubit in range(builder.n_qubits):
        if qubit < builder.n_features:
            builder.add("rx", qubit, feature(qubit))
        else:
            builder.add("h", qubit)


def _sets(entanglement: str, n: int, size: int, block: int) -> list[tuple[int, ...]]:
    """The sets of qubits that a Pauli string of `size` letters acts on in block `block`."""
    if size == 1:
        return [(qubit,) for qubit in range(n)]
    if size == 2:
        return list(entangling_pairs(entanglement, n, block))
    if size > n:
        raise InputError(f"encoding.paulis: a string of {size} letters needs as many features, found {n}")
    if entanglement == "full":
        return list(combinations(range(n), size))
    windows = [tuple(range(first, first + size)) for first in range(n - size + 1)]
    if entanglement in ("linear", "reverse_linear"):
        return windows if entanglement == "linear" else windows[::-1]
    raise InputError(
        f"encoding.entanglement: {entanglement} is defined for pairs; with a string of {size} letters choose full, "
        "linear or reverse_linear"
    )


def _pauli_evolution(builder: CircuitBuilder, letters: str, qubits: tuple[int, ...], alpha: float) -> None:
    """exp(-i alpha f P / 2) up to a phase: into the eigenbasis, parity onto the last qubit, P(alpha f), and back."""
    for letter, qubit in zip(letters, qubits, strict=True):
        if letter == "X":
            builder.add("h", qubit)
        elif letter == "Y":
            builder.add("sx", qubit)
    ladder = list(zip(qubits[:-1], qubits[1:], strict=True))
    for pair in ladder:
        builder.add("cx", pair)
    if len(qubits) == 1:
        builder.add("p", qubits[0], feature(qubits[0], scale=alpha))
    else:
        builder.add("p", qubits[-1], Angle(scale=alpha, feature=Feature("product", qubits, centre=math.pi)))
    for pair in reversed(ladder):
        builder.add("cx", pair)
    for letter, qubit in zip(letters, qubits, strict=True):
        if letter == "X":
            builder.add("h", qubit)
        elif letter == "Y":
            builder.add("sxdg", qubit)
