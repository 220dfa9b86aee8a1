"""Circuits as short lines of text, for gate lists written by hand: ``ry 0 t3`` is RY(theta_3) on qubit 0."""

from __future__ import annotations

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate


def listing(circuit: Circuit) -> list[str]:
    """One line per gate: name, Pauli letters, qubits, angles (``t3``, ``2*x1``, ``x0*t2+t3``, or a number)."""
    return [_line(gate) for gate in circuit.gates]


def _line(gate: Gate) -> str:
    words = [gate.name, gate.pauli, *map(str, gate.qubits), *map(_angle, gate.angles)]
    return " ".join(word for word in words if word)


def _angle(angle: Angle) -> str:
    if angle.is_constant:
        return f"{angle.offset:.4g}"
    factors = [] if angle.scale == 1.0 else [f"{angle.scale:.4g}"]
    if angle.feature is not None:
        kind, centre = angle.feature.kind, angle.feature.centre
        inside = "".join(f"x{index}" for index in angle.feature.indices)
        factors.append({"linear": inside, "arccos": f"acos({inside})", "product": f"prod({centre:.4g}-{inside})"}[kind])
    if angle.weight is not None:
        factors.append(f"t{angle.weight}")
    text = "*".join(factors)
    if angle.bias is not None:
        text += f"+t{angle.bias}"
    return text if not angle.offset else f"{text}+{angle.offset:.4g}"
