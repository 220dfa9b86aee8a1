"""Files that the jobs of `compare_bits` read: small data sets, a circuit, a Hamiltonian, a state, code of a user."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

PARTS = '''\
"""Parts of a circuit as a user writes them."""

import numpy as np

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.observables import from_sums, pauli_string


def encoding(builder, ansatz):
    for q in range(builder.n_qubits):
        builder.add("h", q)
        builder.add("rx", q, feature(q, 0.7))
    ansatz()


def ansatz(builder, layers):
    for _ in range(layers):
        layer = builder.start_layer()
        angles = builder.parameters([f"ansatz.{layer}.ry.{q}" for q in range(builder.n_qubits)])
        for q, index in enumerate(angles):
            builder.add("ry", q, parameter(index))
        for q in range(builder.n_qubits - 1):
            builder.add("cx", (q, q + 1))


def observable(n_qubits):
    first = [(1.0, pauli_string({0: "Z"})), (0.25, pauli_string({1: "X"}))]
    return from_sums([("first", first), ("second", [(1.0, pauli_string({0: "Y", 1: "Z"}))])])


def data():
    generator = np.random.default_rng(11)
    return generator.normal(size=(40, 4)), np.arange(40) % 2
'''
QASM = """\
OPENQASM 3.0;
include "stdgates.inc";
input float a;
input float b;
qubit[4] q;
h q[0];
rx(a) q[1];
ry(2*b) q[2];
cx q[0], q[3];
rz(a + b) q[3];
cp(0.3) q[1], q[2];
"""


def write(folder: Path) -> None:
    """All of them, with the same bytes each time."""
    folder.mkdir(parents=True)
    generator = np.random.default_rng(1)
    (folder / "parts.py").write_text(PARTS)
    (folder / "circuit.qasm").write_text(QASM)
    (folder / "hamiltonian.txt").write_text("0.5 X0 Z1\n-1.25 Y2\n0.3 Z0 Z1 Z3\n0.1\n")
    amplitudes = generator.normal(size=16) + 1j * generator.normal(size=16)
    np.save(folder / "state.npy", amplitudes / np.linalg.norm(amplitudes))
    x, y = generator.normal(size=(45, 4)), np.arange(45) % 3
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez(folder / "bits.npz", x=generator.integers(0, 2, size=(60, 4)).astype(float), y=np.arange(60) % 3)
    with h5py.File(folder / "data.h5", "w") as file:
        file["x"], file["y"] = x, y
    rows = [",".join([*(f"{v:.6f}" for v in row), "abc"[label]]) for row, label in zip(x, y, strict=True)]
    (folder / "table.csv").write_text("\n".join(["p,q,r,s,kind", *rows]) + "\n")
    images = generator.integers(0, 256, size=(40, 4, 4), dtype=np.uint8)
    (folder / "images-idx3-ubyte").write_bytes(
        b"\0\0\x08\x03" + np.array(images.shape, ">i4").tobytes() + images.tobytes()
    )
    labels = (np.arange(40) % 2).astype(np.uint8)
    (folder / "labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01" + np.array([40], ">i4").tobytes() + labels.tobytes())
