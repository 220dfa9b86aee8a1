"""Light cones: an expectation depends on the gates in the backward light cone of its Pauli string alone.

Going back from the string P, a gate g that commutes with everything P may have become by then drops out:
g^dagger P g = P. What P became is known by a letter a qubit: nothing there (the qubit is outside), a function of one
Pauli letter, or anything. A gate that is a function of one letter on each of its qubits (RZ and CZ of Z, CX of Z on its
control and of X on its target) commutes where the letters agree, and leaves a letter as it is where it stays. So a last
ring of CZ and an RZ before Z fall away, and a layer of a brick or a ring adds two qubits, not one after the other.

Strings are put in groups, each a smaller circuit on the qubits of its cones, so that the sum of the groups' costs is
small: the least of all where there are at most eight, else the better of two: runs of neighbours at the least cost, and
pairs joined, the one that saves most first, while one saves.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from qmltrain.circuit.angle import Angle, Feature
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.wording import shortened

# of which letter a gate is a function, on each of its qubits
_LETTERS = {
    **dict.fromkeys(("z", "s", "sdg", "t", "tdg", "rz", "p"), "Z"),
    **dict.fromkeys(("cz", "cp", "crz", "rzz"), "ZZ"),
    **dict.fromkeys(("x", "sx", "sxdg", "rx"), "X"),
    **dict.fromkeys(("y", "ry"), "Y"),
    **dict.fromkeys(("cx", "crx", "csx"), "ZX"),
    **dict.fromkeys(("cy", "cry"), "ZY"),
    "ccz": "ZZZ",
    "ccx": "ZZX",
    "rxx": "XX",
    "ryy": "YY",
}
_OF_ANY = "?"  # of no single letter

# Cost of a group in nanoseconds on one core of a Zen 4, complex64: what decides, whatever the machine.
PROGRAM_NS = 5_000.0
GATE_NS = 0.05  # per sample and amplitude
# Of the predicted cost of the whole circuit. Beside a whole state, which has its product start and goes straight
# through a step, parts were measured to take up to twice what is predicted.
WORTH = 0.4
MOST_TRIED = 8  # cones of which all groupings are tried
LONGEST_RUN = 24  # cones
MOST_PAIRED = 128  # cones of which all pairs are tried; more: those that share a qubit
MOST_QUBITS = 40  # of a state
MOST_JOINED = 20  # qubits: larger groups are not made of smaller ones; their states leave the caches


def letters(gate: Gate) -> str:
    """The letter of which `gate` is a function, a qubit each; "?" where it is of no single one."""
    if gate.name == "pauli_rot":
        return gate.pauli
    if gate.name == "multi_rz":
        return "Z" * len(gate.qubits)
    return _LETTERS.get(gate.name, _OF_ANY * len(gate.qubits))


@dataclass(frozen=True)
class Cone:
    """Gates (positions, ascending) and qubits (ascending) that the strings number `members` depend on."""

    members: tuple[int, ...]
    gates: frozenset[int]
    qubits: frozenset[int]

    def joined(self, other: Cone) -> Cone:
        """A gate outside a string's cone changes nothing of it, so the gates of two cones serve the strings of both."""
        return Cone(self.members + other.members, self.gates | other.gates, self.qubits | other.qubits)


@dataclass(frozen=True)
class Part:
    """A group of strings as a circuit of its own: slot k of `circuit` is slot `shared[k]` (or `per_sample[k]`) of the
    whole circuit, its string k is string `members[k]`, its qubit k is qubit `qubits[k]`."""

    circuit: Circuit
    strings: tuple[PauliString, ...]
    members: tuple[int, ...]
    shared: tuple[int, ...]
    per_sample: tuple[int, ...]
    qubits: tuple[int, ...]
    text: str  # a string of the whole circuit


@dataclass(frozen=True)
class Cut:
    """A circuit in `parts`. `cost` and `whole_cost`: predicted, of a step, cut and not."""

    parts: tuple[Part, ...]
    cost: float
    whole_cost: float

    @property
    def n_qubits(self) -> int:
        """Of the largest part."""
        return max(part.circuit.n_qubits for part in self.parts)

    @property
    def line(self) -> str:
        """For `qmltrain plan`."""
        n_parts, n = len(self.parts), self.n_qubits
        gain = self.whole_cost / self.cost
        return (
            f"{n_parts} group{'s' * (n_parts != 1)} of Pauli strings, of at most {n} qubits each: "
            f"about {gain:.3g} times less work"
        )


class LightCones:
    """The cones of `strings` in `circuit`, for steps of so many `samples`."""

    def __init__(self, circuit: Circuit, strings: tuple[PauliString, ...], samples: int) -> None:
        self.circuit, self.strings, self.samples = circuit, strings, samples
        self._letters = [tuple(zip(gate.qubits, letters(gate), strict=True)) for gate in circuit.gates]
        # of each gate, for each of its qubits, the gate before it there; and the last gate of each qubit
        self._before: list[tuple[int, ...]] = []
        self._last = [-1] * circuit.n_qubits
        for position, gate in enumerate(circuit.gates):
            self._before.append(tuple(self._last[q] for q in gate.qubits))
            for q in gate.qubits:
                self._last[q] = position

    def cone(self, member: int) -> Cone:
        """Of string number `member`."""
        kind = _letters_of(self.strings[member])
        due = [-self._last[q] for q in kind if self._last[q] >= 0]
        heapq.heapify(due)
        kept, done = [], -1
        while due:
            position = -heapq.heappop(due)
            if position == done:
                continue
            done = position
            pairs, before = self._letters[position], self._before[position]
            if all(kind.get(q, letter) == letter != _OF_ANY for q, letter in pairs):
                for (q, _), earlier in zip(pairs, before, strict=True):
                    if q in kind and earlier >= 0:
                        heapq.heappush(due, -earlier)
                continue
            kept.append(position)
            for (q, letter), earlier in zip(pairs, before, strict=True):
                kind[q] = letter if kind.get(q, letter) == letter else _OF_ANY
                if earlier >= 0:
                    heapq.heappush(due, -earlier)
        return Cone((member,), frozenset(kept), frozenset(kind))

    @cached_property
    def cones(self) -> list[Cone]:
        """Of every string, those of the same qubits joined; one alone where it has all qubits, or too many."""
        by_qubits: dict[frozenset[int], list[Cone]] = {}
        weights = [(string.x_mask | string.z_mask).bit_count() for string in self.strings]
        for member in sorted(range(len(self.strings)), key=lambda k: -weights[k]):
            one = self.cone(member)
            if len(one.qubits) == self.circuit.n_qubits or len(one.qubits) > MOST_QUBITS:
                return [one]
            by_qubits.setdefault(one.qubits, []).append(one)
        return [_union(cones) for cones in by_qubits.values()]

    def cost(self, n_gates: int, n_qubits: int) -> float:
        """Predicted nanoseconds of a step."""
        return PROGRAM_NS + GATE_NS * self.samples * n_gates * 2.0**n_qubits

    def cost_of(self, cone: Cone) -> float:
        """Of a group."""
        return self.cost(len(cone.gates), len(cone.qubits))

    def groups(self) -> list[Cone]:
        """The cones in groups, by their first string."""
        if len(self.cones) <= MOST_TRIED:
            found = self._best()
        else:
            found = min(self._in_runs(), self._joined(), key=lambda groups: sum(map(self.cost_of, groups)))
        return sorted((replace(one, members=tuple(sorted(one.members))) for one in found), key=lambda one: one.members)

    def _best(self) -> list[Cone]:
        """The grouping of least cost: that of the subset `todo` is its first cone with some others, and the best of
        the rest."""
        cones = self.cones
        unions = [
            _union([cone for k, cone in enumerate(cones) if subset >> k & 1]) for subset in range(1, 1 << len(cones))
        ]
        costs = [self.cost_of(one) for one in unions]
        best: list[tuple[float, tuple[int, ...]]] = [(0.0, ())]
        for todo in range(1, 1 << len(cones)):
            first, options = todo & -todo, []
            rest = todo ^ first
            others = rest
            while True:  # the subsets of rest
                cost, groups = best[rest ^ others]
                options.append((cost + costs[(first | others) - 1], (*groups, first | others)))
                if not others:
                    break
                others = (others - 1) & rest
            best.append(min(options))
        return [unions[subset - 1] for subset in best[-1][1]]

    def _in_runs(self) -> list[Cone]:
        """The least cost of groups that are runs of cones in the order of their strings' first qubits, of at most
        LONGEST_RUN cones each."""

        def place(cone: Cone) -> tuple[int, ...]:
            string = self.strings[cone.members[0]]
            mask = string.x_mask | string.z_mask
            return (mask & -mask).bit_length(), mask.bit_length(), cone.members[0]

        cones = sorted(self.cones, key=place)
        best: list[tuple[float, int, Cone | None]] = [(0.0, 0, None)]
        for end in range(1, len(cones) + 1):
            group, options = cones[end - 1], []
            for begin in range(end - 1, max(-1, end - 1 - LONGEST_RUN), -1):
                group = group if begin == end - 1 else cones[begin].joined(group)
                options.append((best[begin][0] + self.cost_of(group), begin, group))
                if len(group.qubits) > MOST_JOINED:
                    break
            best.append(min(options, key=lambda option: option[:2]))
        groups, end = [], len(cones)
        while end:
            _, end, one = best[end]
            assert one is not None
            groups.append(one)
        return groups

    def _joined(self) -> list[Cone]:
        """Groups made by joining, of all pairs (of many cones: of those that share a qubit), the one that saves most,
        while one saves."""
        groups = dict(enumerate(self.cones))
        costs = {k: self.cost_of(one) for k, one in groups.items()}
        most = max(MOST_JOINED, *(len(one.qubits) for one in groups.values()))
        at: dict[int, set[int]] = {}
        for k, one in groups.items():
            for q in one.qubits:
                at.setdefault(q, set()).add(k)
        savings: list[tuple[float, int, int]] = []

        def offer(a: int, b: int) -> None:
            n_qubits = len(groups[a].qubits | groups[b].qubits)
            if n_qubits > most:
                return
            together = self.cost(len(groups[a].gates | groups[b].gates), n_qubits)
            if together < costs[a] + costs[b]:
                heapq.heappush(savings, (together - costs[a] - costs[b], a, b))

        every = len(groups) <= MOST_PAIRED
        for a in list(groups):
            beside = groups if every else {k for q in groups[a].qubits for k in at[q]}
            for b in sorted(k for k in beside if k > a):
                offer(a, b)
        fresh = len(groups)
        while savings:
            _, a, b = heapq.heappop(savings)
            if a not in groups or b not in groups:
                continue
            for k in (a, b):
                for q in groups[k].qubits:
                    at[q].discard(k)
            groups[fresh] = groups.pop(a).joined(groups.pop(b))
            costs[fresh] = self.cost_of(groups[fresh])
            beside = groups.keys() - {fresh} if every else {k for q in groups[fresh].qubits for k in at[q]}
            for k in sorted(beside):
                offer(k, fresh)
            for q in groups[fresh].qubits:
                at[q].add(fresh)
            fresh += 1
        return list(groups.values())

    def cut(self) -> Cut | None:
        """None where the whole circuit costs about as little, or less."""
        circuit = self.circuit
        if circuit.amplitude_encoded or not self.strings:
            return None
        if any(len(one.qubits) == circuit.n_qubits for one in self.cones):
            return None
        cut = self.cut_in(self.groups())
        return cut if cut.cost <= WORTH * cut.whole_cost else None  # (parts that do not fit are the engine's to refuse)

    def cut_in(self, groups: Sequence[Cone]) -> Cut:
        """The circuit in a part for each of `groups`, which have every string once."""
        whole = self.cost(len(self.circuit.gates), self.circuit.n_qubits)
        return Cut(tuple(self._part(one) for one in groups), sum(map(self.cost_of, groups)), whole)

    @property
    def why_whole(self) -> str:
        """Why there is no cut, in words."""
        circuit = self.circuit
        if circuit.amplitude_encoded:
            return "amplitude encoding entangles all qubits"
        if not self.strings:
            return "nothing is measured"
        largest = max(self.cones, key=lambda one: len(one.qubits))
        return (
            f"the light cone of {shortened(self.strings[largest.members[0]].text)} has {len(largest.qubits)} of "
            f"{circuit.n_qubits} qubits"
        )

    def _part(self, group: Cone) -> Part:
        """Parameters and features are numbered by their first use, so that equal cones are equal circuits."""
        qubits = sorted(group.qubits)
        place = {q: k for k, q in enumerate(qubits)}
        parameters, features = _Numbers(), _Numbers()
        gates: list[Gate] = []
        old: dict[Angle, Angle] = {}
        for position in sorted(group.gates):
            gate = self.circuit.gates[position]
            angles = tuple(_renumbered(angle, parameters, features) for angle in gate.angles)
            old.update(zip(angles, gate.angles, strict=True))
            gates.append(Gate(gate.name, tuple(place[q] for q in gate.qubits), angles, gate.pauli))
        circuit = Circuit(
            len(qubits),
            tuple(gates),
            tuple(f"p{k}" for k in range(len(parameters.number))),
            n_features=len(features.number),
        )
        reference = self.circuit.slots.reference
        strings = [self.strings[k] for k in group.members]
        return Part(
            circuit,
            tuple(PauliString(_moved(one.x_mask, place), _moved(one.z_mask, place)) for one in strings),
            group.members,
            tuple(reference[old[angle]].index for angle in circuit.slots.shared),
            tuple(reference[old[angle]].index for angle in circuit.slots.per_sample),
            tuple(qubits),
            strings[0].text,
        )


class _Numbers:
    """Numbers given in the order of first use."""

    def __init__(self) -> None:
        self.number: dict[int, int] = {}

    def __getitem__(self, key: int) -> int:
        return self.number.setdefault(key, len(self.number))


def _renumbered(angle: Angle, parameters: _Numbers, features: _Numbers) -> Angle:
    feature = angle.feature
    if feature is not None:
        feature = Feature(feature.kind, tuple(features[k] for k in feature.indices), feature.centre)
    weight = None if angle.weight is None else parameters[angle.weight]
    bias = None if angle.bias is None else parameters[angle.bias]
    return Angle(angle.scale, feature, weight, bias, angle.offset)


def _union(cones: Sequence[Cone]) -> Cone:
    members = tuple(k for one in cones for k in one.members)
    gates, qubits = (one.gates for one in cones), (one.qubits for one in cones)
    return Cone(members, frozenset[int]().union(*gates), frozenset[int]().union(*qubits))


def _letters_of(string: PauliString) -> dict[int, str]:
    """The letter of every qubit of a string."""
    letter, mask = {}, string.x_mask | string.z_mask
    while mask:
        q = (mask & -mask).bit_length() - 1
        x, z = string.x_mask >> q & 1, string.z_mask >> q & 1
        letter[q] = "Y" if x and z else "X" if x else "Z"
        mask &= mask - 1
    return letter


def _moved(mask: int, place: dict[int, int]) -> int:
    return sum(1 << k for q, k in place.items() if mask >> q & 1)
