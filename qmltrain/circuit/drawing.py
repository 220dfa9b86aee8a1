"""Text drawings of circuits, and how much is in them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from qmltrain.circuit.angle import Angle
from qmltrain.circuit.circuit import Circuit, Gate

# Gates whose qubits before the last ones are controls: how many, and what stands on the others.
_CONTROLLED = {
    "cx": (1, "X"),
    "cy": (1, "Y"),
    "cz": (1, None),
    "ch": (1, "H"),
    "csx": (1, "SX"),
    "cp": (1, None),
    "crx": (1, "RX"),
    "cry": (1, "RY"),
    "crz": (1, "RZ"),
    "cu": (1, "U"),
    "ccx": (2, "X"),
    "ccz": (2, None),
    "cswap": (1, "swap"),
}


@dataclass(frozen=True)
class _Symbols:
    wire: str
    vertical: str
    crossing: str
    control: str
    swap: str
    cut: str
    pi: str


_UNICODE = _Symbols("─", "│", "┼", "●", "╳", "…", "π")
_ASCII = _Symbols("-", "|", "|", "*", "x", "...", "pi")


@dataclass(frozen=True)
class Counts:
    """`gates` by name, most frequent first; `depth` is the longest chain of gates that share qubits."""

    gates: dict[str, int]
    depth: int
    n_qubits: int
    n_parameters: int
    n_features: int
    n_layers: int

    @property
    def n_gates(self) -> int:
        return sum(self.gates.values())


def counts(circuit: Circuit) -> Counts:
    """Gates by name, depth, qubits, parameters, features and layers of a circuit."""
    tally = Counter(gate.name for gate in circuit.gates)
    ordered = dict(sorted(tally.items(), key=lambda item: (-item[1], item[0])))
    return Counts(
        gates=ordered,
        depth=_depth(circuit),
        n_qubits=circuit.n_qubits,
        n_parameters=circuit.n_parameters,
        n_features=circuit.n_features,
        n_layers=len(circuit.layer_starts),
    )


def draw(circuit: Circuit, max_columns: int = 120, ascii_only: bool = False) -> str:
    """The circuit as text: a line per qubit, qubit 0 on top, time to the right.

    Gates stand as early as they can without crossing another gate's vertical line. ``θ3`` is parameter 3, ``x2``
    feature 2. A drawing wider than `max_columns` characters is cut, and the last line says how many of how many
    gates are shown. `ascii_only` is for terminals without Unicode.
    """
    symbols = _ASCII if ascii_only else _UNICODE
    n = circuit.n_qubits
    heads = [f"q{qubit}: " for qubit in range(n)]
    width = max(map(len, heads))
    rows = [head.rjust(width) for head in heads]
    gaps = [" " * width for _ in range(n - 1)]
    if circuit.amplitude_encoded:
        state = _label("|x>", symbols)
        rows = [row + state for row in rows]
        gaps = [gap + " " * len(state) for gap in gaps]
    shown = 0
    room = max_columns - len(symbols.cut) - 1
    columns = _columns(circuit)
    for column in columns:
        cells, between = _column(column, n, symbols, ascii_only)
        column_width = max(map(len, cells)) + 1
        if len(rows[0]) + column_width > room:
            break
        for qubit in range(n):
            rows[qubit] += symbols.wire + _centre(cells[qubit], column_width - 1, symbols.wire)
        for gap, mark in enumerate(between):
            gaps[gap] += " " + _centre(mark, column_width - 1, " ")
        shown += len(column)
    cut = shown < len(circuit.gates)
    rows = [row + symbols.wire + (symbols.cut if cut else "") for row in rows]
    lines = [rows[0]]
    for qubit in range(1, n):
        lines += [gaps[qubit - 1].rstrip(), rows[qubit]]
    if cut:
        lines.append(f"{shown} of {len(circuit.gates)} gates are shown")
    return "\n".join(lines)


def _depth(circuit: Circuit) -> int:
    ends = [0] * circuit.n_qubits
    for gate in circuit.gates:
        end = max(ends[qubit] for qubit in gate.qubits) + 1
        for qubit in gate.qubits:
            ends[qubit] = end
    return max(ends)


def _columns(circuit: Circuit) -> list[list[Gate]]:
    """Gates packed into columns, each as early as its span of lines is free."""
    columns: list[list[Gate]] = []
    ends = [0] * circuit.n_qubits
    for gate in circuit.gates:
        span = range(min(gate.qubits), max(gate.qubits) + 1)
        place = max(ends[line] for line in span)
        if place == len(columns):
            columns.append([])
        columns[place].append(gate)
        for line in span:
            ends[line] = place + 1
    return columns


def _column(gates: Sequence[Gate], n: int, symbols: _Symbols, ascii_only: bool) -> tuple[list[str], list[str]]:
    cells, between = [symbols.wire] * n, [" "] * (n - 1)
    for gate in gates:
        low, high = min(gate.qubits), max(gate.qubits)
        for line in range(low, high):
            between[line] = symbols.vertical
        for line in range(low + 1, high):
            cells[line] = symbols.crossing
        for qubit, cell in zip(gate.qubits, _cells(gate, symbols, ascii_only), strict=True):
            cells[qubit] = cell
    return cells, between


def _cells(gate: Gate, symbols: _Symbols, ascii_only: bool) -> list[str]:
    """What stands on each of the gate's qubits, in the gate's order."""
    angles = ",".join(_angle_text(angle, symbols, ascii_only) for angle in gate.angles)
    brackets = f"({angles})" if angles else ""
    if gate.name == "swap":
        return [symbols.swap, symbols.swap]
    if gate.name in _CONTROLLED:
        n_controls, target = _CONTROLLED[gate.name]
        n_targets = len(gate.qubits) - n_controls
        controls = [symbols.control] * n_controls
        if target == "swap":
            return controls + [symbols.swap] * n_targets
        if target is None:  # symmetric: controls everywhere, the angle of cp on the last
            last = _label("P" + brackets, symbols) if brackets else symbols.control
            return controls + [last]
        return controls + [_label(target + brackets, symbols)]
    if gate.name == "pauli_rot":
        return [_label(f"R{letter}{brackets}", symbols) for letter in gate.pauli]
    if gate.name == "multi_rz":
        return [_label(f"ZZ{brackets}" if len(gate.qubits) > 1 else f"RZ{brackets}", symbols)] * len(gate.qubits)
    return [_label(gate.name.upper() + brackets, symbols)] * len(gate.qubits)


def _label(text: str, symbols: _Symbols) -> str:
    return f"[{text}]" if symbols is _ASCII else f"┤{text}├"


def _angle_text(angle: Angle, symbols: _Symbols, ascii_only: bool) -> str:
    theta = "t" if ascii_only else "θ"
    if angle.is_constant:
        return _number(angle.offset, symbols)
    factors = []
    if angle.scale != 1.0:
        factors.append(_number(angle.scale, symbols))
    if angle.weight is not None:
        factors.append(f"{theta}{angle.weight}")
    if angle.feature is not None:
        names = "".join(f"x{index}" for index in angle.feature.indices)
        centre = _number(angle.feature.centre, symbols)
        if angle.feature.kind == "arccos":
            names = f"acos {names}"
        elif angle.feature.kind == "product" and angle.feature.centre:
            names = "".join(f"({centre}-x{index})" for index in angle.feature.indices)
        elif angle.feature.kind == "product" and len(angle.feature.indices) % 2:  # (0 - x) an odd number of times
            names = f"-{names}"
        factors.append(names)
    text = " ".join(factors)
    if angle.bias is not None:
        text += f"+{theta}{angle.bias}"
    if angle.offset:
        text += f"{'+' if angle.offset > 0 else '-'}{_number(abs(angle.offset), symbols)}"
    return text


def _number(value: float, symbols: _Symbols) -> str:
    """A number in three digits; simple multiples of pi as such."""
    for divisor in (1, 2, 3, 4, 6, 8):
        multiple = value * divisor / math.pi
        if abs(multiple - round(multiple)) < 1e-9 and 0 < abs(round(multiple)) <= 8:
            whole = round(multiple)
            times = {1: "", -1: "-"}.get(whole, str(whole))
            return f"{times}{symbols.pi}" + (f"/{divisor}" if divisor > 1 else "")
    return f"{value:.3g}"


def _centre(text: str, width: int, fill: str) -> str:
    left = (width - len(text)) // 2
    return fill * left + text + fill * (width - len(text) - left)
