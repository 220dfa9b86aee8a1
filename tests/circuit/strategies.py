"""Random circuits for property tests: every registered gate, every kind of angle.

    from tests.circuit.strategies import circuits, random_inputs

    @given(circuits(min_qubits=1, max_qubits=5, max_gates=20))
    def test_something(circuit):
        theta_P, x_BF = random_inputs(circuit, batch=3, seed=0)

Hypothesis shrinks a failure to few gates with plain angles. Feature values from `random_inputs` lie inside (-1, 1),
so that arccos and its derivative are finite.
"""

from __future__ import annotations

import math

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from qmltrain.circuit.angle import Angle, Feature, constant
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.gates import GATES

N_PARAMETERS = 4
N_FEATURES = 3

# Round numbers shrink well; the special angles are where merged rotations become singular.
_FACTORS = st.sampled_from([1.0, 2.0, 0.5, -1.0, -0.75])
_VALUES = st.sampled_from([0.0, math.pi / 2, math.pi, -math.pi / 2, 2 * math.pi]) | st.floats(-7.0, 7.0, width=32)
_PARAMETERS = st.integers(0, N_PARAMETERS - 1)
_FEATURE_INDICES = st.integers(0, N_FEATURES - 1)
_OFFSETS = st.just(0.0) | _VALUES


@st.composite
def features(draw: st.DrawFn) -> Feature:
    """x_i, arccos(x_i), or a product of one to three (centre - x_i)."""
    kind = draw(st.sampled_from(["linear", "arccos", "product"]))
    if kind == "product":
        indices = draw(st.lists(_FEATURE_INDICES, min_size=1, max_size=3))
        return Feature("product", tuple(indices), centre=draw(st.sampled_from([0.0, math.pi])))
    return Feature(kind, (draw(_FEATURE_INDICES),))


@st.composite
def angles(draw: st.DrawFn) -> Angle:
    """A constant, a trainable angle, a plain feature, or a feature with a trainable weight and bias."""
    kind = draw(st.sampled_from(["constant", "parameter", "feature", "weighted"]))
    if kind == "constant":
        return constant(draw(_VALUES))
    if kind == "parameter":
        bias = draw(st.none() | _PARAMETERS)
        return Angle(scale=draw(_FACTORS), weight=draw(_PARAMETERS), bias=bias, offset=draw(_OFFSETS))
    if kind == "feature":
        return Angle(scale=draw(_FACTORS), feature=draw(features()), offset=draw(_OFFSETS))
    return Angle(
        scale=draw(_FACTORS),
        feature=draw(features()),
        weight=draw(st.none() | _PARAMETERS),
        bias=draw(st.none() | _PARAMETERS),
        offset=draw(_OFFSETS),
    )


def gate_names(n_qubits: int) -> list[str]:
    """The registered gates that fit on `n_qubits`, in order of registration."""
    return [name for name, gate in GATES.items() if gate.n_qubits is None or gate.n_qubits <= n_qubits]


@st.composite
def gates(draw: st.DrawFn, n_qubits: int, pool: list[Angle] | None = None) -> Gate:
    """One gate on distinct qubits in any order; angles are new or taken from `pool` (shared slots)."""
    name = draw(st.sampled_from(gate_names(n_qubits)))
    definition = GATES[name]
    width = definition.n_qubits if definition.n_qubits is not None else draw(st.integers(1, min(4, n_qubits)))
    qubits = draw(st.permutations(range(n_qubits)))[:width]
    pauli = (
        "".join(draw(st.lists(st.sampled_from("ZXY"), min_size=width, max_size=width))) if name == "pauli_rot" else ""
    )
    source = st.sampled_from(pool) | angles() if pool else angles()
    return Gate(name, tuple(qubits), tuple(draw(source) for _ in range(definition.n_angles)), pauli)


@st.composite
def circuits(
    draw: st.DrawFn,
    min_qubits: int = 1,
    max_qubits: int = 4,
    max_gates: int = 16,
    amplitude_encoded: bool = False,
) -> Circuit:
    """A valid circuit of 0..`max_gates` gates with 4 parameters and 3 features, some of them perhaps unused."""
    n_qubits = draw(st.integers(min_qubits, max_qubits))
    pool: list[Angle] = []
    sequence: list[Gate] = []
    for _ in range(draw(st.integers(0, max_gates))):
        gate = draw(gates(n_qubits, pool))
        sequence.append(gate)
        pool.extend(angle for angle in gate.angles if angle not in pool)
    starts = draw(st.lists(st.integers(0, len(sequence)), max_size=3, unique=True).map(sorted))
    return Circuit(
        n_qubits,
        tuple(sequence),
        parameter_names=tuple(f"theta.{index}" for index in range(N_PARAMETERS)),
        n_features=N_FEATURES,
        amplitude_encoded=amplitude_encoded,
        layer_starts=tuple(starts),
        parameter_layers=(-1,) * N_PARAMETERS,
    )


def random_inputs(circuit: Circuit, batch: int, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """theta_P in (-pi, pi) and x_BF in (-0.9, 0.9), the same for the same seed."""
    generator = np.random.default_rng(seed)
    theta_P = generator.uniform(-math.pi, math.pi, circuit.n_parameters)
    x_BF = generator.uniform(-0.9, 0.9, (batch, circuit.n_features))
    return theta_P, x_BF


def random_states(n_qubits: int, batch: int, seed: int = 0) -> NDArray[np.float64]:
    """Real normalised input states (B, 2^n) for amplitude-encoded circuits."""
    state_BN = np.random.default_rng(seed).normal(size=(batch, 2**n_qubits))
    return state_BN / np.linalg.norm(state_BN, axis=1, keepdims=True)
