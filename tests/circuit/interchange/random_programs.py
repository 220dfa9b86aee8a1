"""Random OpenQASM programs of both versions: registers, definitions, gates, angles, gaps and comments anywhere."""

from __future__ import annotations

from hypothesis import strategies as st

from qmltrain.circuit.interchange.qasm_gates import GATES

NAMES = ["a", "beta_2", "x0", "x1", "_t", "Theta"]  # inputs; in version 2 all that nothing declares
NAMES_2 = ["ctrl", "input", "angle", "int", "output"]  # names in version 2 alone
NUMBERS = ["2", "0.5", "1.", ".25", "1e-3", "2.5E+1", "pi", "007", "1_0.5", "0x1F", "tau"]
LIBRARY_GATES = {name: (rule.n_angles, rule.n_qubits) for name, rule in GATES.items() if rule.n_qubits <= 3}
GAPS = st.sampled_from(["", "", " ", "\n", "\t  ", "/* ; { */", "// x q[0];\n"])


def expressions(names: list[str]) -> st.SearchStrategy[str]:
    """Angles, mostly plain; not all of them are angles that a circuit can have."""
    return st.recursive(
        st.sampled_from(NUMBERS) | st.sampled_from(names),
        lambda inner: st.one_of(
            st.tuples(inner, st.sampled_from(["+", "-", "*", "/", " - ", "**"]), inner).map("".join),
            st.tuples(st.sampled_from(["-{}", "({})", "sin({})"]), inner).map(lambda pair: pair[0].format(pair[1])),
        ),
        max_leaves=4,
    )


@st.composite
def calls(draw: st.DrawFn, known: dict[str, tuple[int, int]], places: list[str], names: list[str]) -> str:
    """One gate of `known` (angles and qubits) on some of `places`, or a barrier."""
    gap = lambda: draw(GAPS)  # noqa: E731
    name = draw(st.sampled_from([*known, "barrier"]))
    n_angles, n_qubits = known.get(name, (0, 1))
    angles = f"{gap()},{gap()}".join(draw(expressions(names)) for _ in range(n_angles))
    brackets = (
        f"({gap()}{angles}{gap()})" if n_angles else " " if name == "barrier" else draw(st.sampled_from([" ", "()"]))
    )
    qubits = f"{gap()},{gap()}".join(draw(st.permutations(places))[:n_qubits])
    return f"{name}{brackets}{gap()}{qubits}{gap()};{gap()}"


@st.composite
def programs(draw: st.DrawFn, version: int) -> str:
    """A whole program; some are refused, for an angle that a circuit cannot have or a qubit that is given twice."""
    of_version_2 = NAMES_2 if version == 2 else []
    sizes = {draw(st.sampled_from(["q", "gate_q", "measured", *of_version_2])): 3, "r": 2}
    inputs = [name for name in [*NAMES, *of_version_2] if name not in sizes]
    library = "qelib1.inc" if version == 2 else "stdgates.inc"
    parts = [f"OPENQASM {version}.0;", f'include "{library}";']
    if version == 3:
        parts += [f"input float {name};" for name in inputs]
    parts += [f"qreg {name}[{size}];" if version == 2 else f"qubit[{size}] {name};" for name, size in sizes.items()]
    known = dict(LIBRARY_GATES)
    for number in range(draw(st.integers(0, 2))):
        angles, qubits = draw(st.sampled_from([["a"], [], ["lambda", "b"]])), ["u", "v", "w"]
        body = "".join(draw(st.lists(calls(known, qubits, angles or ["pi"]), max_size=3)))
        brackets = f"({', '.join(angles)})" if angles else ""
        parts.append(f"gate own{number}{brackets} {', '.join(qubits)}{draw(GAPS)}{{{draw(GAPS)}{body}}}")
        known[f"own{number}"] = (len(angles), len(qubits))
    places = [f"{name}[{index}]" for name, size in sizes.items() for index in range(size)] + ["r"]
    parts += draw(st.lists(calls(known, places, inputs), min_size=1, max_size=5))
    return draw(st.sampled_from(["\n", " "])).join(parts)
