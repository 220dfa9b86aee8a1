"""From names and options to circuits: defaults, unknown names and options, and every pair of entries together."""

from __future__ import annotations

import pytest

from qmltrain.circuit.library.ansatze import ANSATZE
from qmltrain.circuit.library.assemble import assemble, assemble_observables
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.circuit.library.observable_builders import OBSERVABLES
from qmltrain.errors import InputError
from qmltrain.registry import options_with_defaults


@pytest.mark.parametrize("encoding", sorted(set(ENCODINGS) - {"python"}))
@pytest.mark.parametrize("ansatz", sorted(set(ANSATZE) - {"qasm", "python"}))
def test_every_encoding_goes_with_every_ansatz(encoding: str, ansatz: str) -> None:
    circuit = assemble(4, 3, encoding, {}, ansatz, {})
    assert circuit.n_qubits == 4 and circuit.n_features == 3
    assert len(set(circuit.parameter_names)) == circuit.n_parameters > 0
    assert circuit == assemble(4, 3, encoding, {}, ansatz, {}), "not deterministic"


def test_none_is_the_default() -> None:
    left = assemble(3, 3, "angle", {"gate": None, "repeats": None}, "hea", {"layers": 2, "ranges": None})
    assert left == assemble(3, 3, "angle", {"gate": "ry"}, "hea", {"layers": 2, "entangler": "cz_ring"})


def test_the_whole_group_with_unused_options_null_is_accepted() -> None:
    names = {key for entry in ANSATZE for key in options_with_defaults_of(entry)}
    for entry in set(ANSATZE) - {"qasm", "python"}:
        assemble(4, 0, "none", {}, entry, dict.fromkeys(names) | {"layers": 1})


def options_with_defaults_of(entry: str) -> dict:
    needed = {"python": {"function": "a:b"}, "qasm": {"path": "a.qasm"}}.get(entry, {})
    return options_with_defaults(ANSATZE, "ansatz", entry, needed)


def test_options_with_defaults() -> None:
    given = {"normalize": False, "pad_with": None, "gate": None}
    assert options_with_defaults(ENCODINGS, "encoding", "amplitude", given) == {
        "pad_with": 0.0,
        "normalize": False,
        "copies": 1,
        "big_endian": False,
    }
    assert options_with_defaults(OBSERVABLES, "observable", "parity", {}) == {"qubits": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("angel", {}, "hea", {}), r"^encoding\.name: 'angel' is not known; choose one of angle, amplitude, reupl"),
        (("angle", {}, "hae", {}), r"^ansatz\.name: 'hae' is not known; choose one of hea, strongly_entangling"),
        (
            ("angle", {"gates": ["ry"]}, "hea", {}),
            r"^encoding\.gates: not used by angle; it takes gate, hadamards, layers, imprimitive$",
        ),
        (("none", {"gate": "ry"}, "hea", {}), r"^encoding\.gate: not used by none; it takes no options$"),
        (
            ("angle", {}, "real_amplitudes", {"entangler": "cx_ring"}),
            r"^ansatz\.entangler: not used by real_amplitudes; it takes layers, entanglement, skip_final_rotation$",
        ),
        (("python", {}, "hea", {}), r"^encoding\.function: needed by python; it takes function$"),
        (
            ("angle", {}, "python", {"function": None}),
            r"^ansatz\.function: needed by python; it takes layers, function$",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(arguments: tuple, message: str) -> None:
    with pytest.raises(InputError, match=message):
        assemble(2, 2, *arguments)


def test_a_bad_ansatz_option_is_found_although_the_encoding_comes_first() -> None:
    with pytest.raises(InputError, match=r"^ansatz\.ranges: not used by hea"):
        assemble(2, 2, "angle", {}, "hea", {"ranges": [1]})


@pytest.mark.parametrize("n_qubits", [0, -3, 1001])
def test_impossible_numbers_of_qubits(n_qubits: int) -> None:
    with pytest.raises(InputError, match=rf"^circuit\.n_qubits: {n_qubits} is not possible; choose 1 to 1000$"):
        assemble(n_qubits, 1, "angle", {}, "hea", {})


def test_observables_by_name() -> None:
    assert assemble_observables(2, "z", {"terms": None}).names == ("Z0", "Z1")
    with pytest.raises(
        InputError, match=r"^observable\.name: 'x' is not known; choose one of z, pauli, projector, parity"
    ):
        assemble_observables(2, "x", {})
    with pytest.raises(InputError, match=r"^observable\.states: not used by z; it takes qubits, max_weight, scale$"):
        assemble_observables(2, "z", {"states": [0]})
