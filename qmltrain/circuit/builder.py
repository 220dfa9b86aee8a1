"""CircuitBuilder: how encodings, ansaetze and users' own functions write a Circuit down, gate by gate."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from qmltrain.circuit.angle import Angle, constant
from qmltrain.circuit.circuit import MAX_QUBITS, Circuit, Gate
from qmltrain.errors import InputError

NO_LAYER = -1
MAX_GATES = 10_000_000  # some gigabytes of Python objects; refused where they are added, before memory is full


class CircuitBuilder:
    """Collects gates, trainable parameters and layer boundaries; `build` checks them and returns the Circuit.

    Raises InputError where `n_qubits` is not in 1..40 or `n_features` is negative.
    """

    def __init__(self, n_qubits: int, n_features: int = 0) -> None:
        if not 1 <= n_qubits <= MAX_QUBITS:
            raise InputError(f"circuit.n_qubits: {n_qubits} is not possible; choose 1 to {MAX_QUBITS}")
        if n_features < 0:
            raise InputError(f"the number of features cannot be negative, found {n_features}")
        self.n_qubits = n_qubits
        self.n_features = n_features
        self._gates: list[Gate] = []
        self._parameter_names: list[str] = []
        self._parameter_layers: list[int] = []
        self._layer_starts: list[int] = []
        self._current_layer = NO_LAYER
        self._amplitude_encoded = False

    @property
    def n_layers(self) -> int:
        """How many layers have been started."""
        return len(self._layer_starts)

    @property
    def n_gates(self) -> int:
        """How many gates have been added."""
        return len(self._gates)

    @property
    def changed_qubits(self) -> set[int]:
        """Qubits that may be in another state than |0>: those of gates, or all of an amplitude encoding."""
        if self._amplitude_encoded:
            return set(range(self.n_qubits))
        return {qubit for gate in self._gates for qubit in gate.qubits}

    def add(self, name: str, qubits: int | Sequence[int], *angles: Angle | float, pauli: str = "") -> None:
        """Append one gate; a plain number is a constant angle in radians.

        `qubits` in the gate's own order (controls first); `pauli` as in `Gate`. What cannot be is reported by
        `build`, with the gate's position. Raises InputError for more than `MAX_GATES`.
        """
        if len(self._gates) >= MAX_GATES:
            raise InputError(f"circuit: more than {MAX_GATES} gates; choose fewer ansatz.layers or encoding.repeats")
        on = (qubits,) if isinstance(qubits, int) else tuple(qubits)
        of = tuple(angle if isinstance(angle, Angle) else constant(angle) for angle in angles)
        self._gates.append(Gate(name, on, of, pauli))

    def parameters(self, names: Iterable[str]) -> list[int]:
        """New trainable parameters, one a name, belonging to the current layer; returns their indices."""
        first = len(self._parameter_names)
        self._parameter_names.extend(names)
        last = len(self._parameter_names)
        self._parameter_layers.extend([self._current_layer] * (last - first))
        return list(range(first, last))

    def start_layer(self) -> int:
        """Begin a layer of the ansatz at the next gate; returns its number, counted over the whole circuit."""
        self._current_layer = len(self._layer_starts)
        self._layer_starts.append(len(self._gates))
        return self._current_layer

    def end_layers(self) -> None:
        """What follows belongs to no layer (an encoding, say) until the next `start_layer`."""
        self._current_layer = NO_LAYER

    def amplitude_encode(self, copies: int = 1) -> None:
        """The features are the initial state, so many times side by side; possible only before the first gate.

        Raises InputError after a gate, for qubits that are no multiple of `copies`, or with more features than
        amplitudes of one.
        """
        if self._gates:
            raise InputError(
                f"encoding.name: amplitude sets the initial state, but {len(self._gates)} gates precede it"
            )
        if self.n_qubits % copies:
            raise InputError(
                f"encoding.copies: {self.n_qubits} qubits cannot hold {copies} copies of as many qubits each; set "
                f"circuit.n_qubits to a multiple of {copies}"
            )
        if self.n_features > 2 ** (self.n_qubits // copies):
            least = copies * max(1, (self.n_features - 1).bit_length())
            held = f"{2 ** (self.n_qubits // copies)} features on {self.n_qubits} qubits"
            raise InputError(
                f"encoding.name: amplitude holds {held}{f' in {copies} copies' if copies > 1 else ''}, found "
                f"{self.n_features}; set circuit.n_qubits to {least} or more, or reduce the features (preprocess.pca)"
            )
        self._amplitude_encoded = True

    def build(self) -> Circuit:
        """The finished Circuit; raises InputError for a gate that cannot be or a parameter name used twice."""
        if len(set(self._parameter_names)) != len(self._parameter_names):
            seen: set[str] = set()
            for name in self._parameter_names:
                if name in seen:
                    raise InputError(f"parameter name {name!r} is used twice; each parameter needs a name of its own")
                seen.add(name)
        return Circuit(
            self.n_qubits,
            tuple(self._gates),
            parameter_names=tuple(self._parameter_names),
            n_features=self.n_features,
            amplitude_encoded=self._amplitude_encoded,
            layer_starts=tuple(self._layer_starts),
            parameter_layers=tuple(self._parameter_layers),
        )


def place_names(prefix: str, places: Iterable[tuple[str, int | tuple[int, ...]]]) -> list[str]:
    """Parameter names of (gate, qubits) places under `prefix`, such as ``ansatz.3``.

    ``("ry", 5)`` -> ``ansatz.3.ry.5``; ``("crx", (0, 1))`` -> ``ansatz.3.crx.0_1``; a place that comes a second
    time -> ``ansatz.3.ry_2.5``.
    """
    count: dict[tuple[str, int | tuple[int, ...]], int] = {}
    names = []
    for gate, qubits in places:
        count[gate, qubits] = times = count.get((gate, qubits), 0) + 1
        where = qubits if isinstance(qubits, int) else "_".join(map(str, qubits))
        names.append(f"{prefix}.{gate}.{where}" if times == 1 else f"{prefix}.{gate}_{times}.{where}")
    return names
