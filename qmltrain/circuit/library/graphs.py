"""Weighted graphs on the qubits, for QAOA and Hamiltonians: named families and edge-list files.

`group` names the config group (ansatz, observable) whose option a message is about.
"""

from __future__ import annotations

from collections.abc import Callable

from qmltrain.circuit.checks import check_choice
from qmltrain.circuit.library.random_draws import RandomDraws
from qmltrain.errors import InputError, UnusedOptionError
from qmltrain.user_code import read_text

Edges = list[tuple[int, int, float]]


def ring_graph(n: int) -> Edges:
    """(0, 1), (1, 2), ..., (n-1, 0), weight 1; on two nodes one edge."""
    return chain_graph(n) + ([(n - 1, 0, 1.0)] if n > 2 else [])


def chain_graph(n: int) -> Edges:
    """(0, 1), (1, 2), ..., (n-2, n-1), weight 1: a ring left open."""
    return [(node, node + 1, 1.0) for node in range(n - 1)]


def complete_graph(n: int) -> Edges:
    """Every pair i < j in lexicographic order, weight 1."""
    return [(i, j, 1.0) for i in range(n) for j in range(i + 1, n)]


def random_regular_graph(n: int, degree: int, seed: int, group: str = "ansatz") -> Edges:
    """A random graph in which every node has `degree` neighbours, weight 1, edges sorted.

    Half-edges are paired at random, pairs that cannot be are put back, and a dead end starts over (Steger, Wormald,
    Combinatorics, Probability and Computing 8, 377 (1999)); dense graphs are the complement of a sparse one. Raises
    InputError where n x degree is odd or degree is not in 1..n-1.
    """
    if isinstance(degree, bool) or not isinstance(degree, int) or not 1 <= degree < n:
        raise InputError(f"{group}.degree: {degree!r} is not in 1..{n - 1}, what {n} nodes allow")
    if n * degree % 2:
        raise InputError(
            f"{group}.degree: no graph of {n} nodes has degree {degree} everywhere; their product must be even"
        )
    draws = RandomDraws(seed)
    if degree > (n - 1) // 2:
        absent = _pair_up(n, n - 1 - degree, draws)
        return [edge for edge in complete_graph(n) if edge[:2] not in absent]
    return [(i, j, 1.0) for i, j in sorted(_pair_up(n, degree, draws))]


def read_graph(path: str, n: int, group: str = "ansatz") -> Edges:
    """Edges from a text file: one "i j" or "i j weight" a line, # starts a comment.

    Raises InputError, with the line's number, for what cannot be read, nodes outside 0..n-1, loops and edges given
    twice.
    """
    lines = read_text(path, f"{group}.path", "the graph").splitlines()
    edges: Edges = []
    seen: set[tuple[int, int]] = set()
    for number, line in enumerate(lines, start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        where = f"{group}.path: line {number} of {path}"
        try:
            if len(words) not in (2, 3):
                raise ValueError
            i, j, weight = int(words[0]), int(words[1]), float(words[2]) if len(words) == 3 else 1.0
        except ValueError as error:
            raise InputError(f'{where}: "i j" or "i j weight" is needed, found "{line.strip()}"') from error
        if not (0 <= i < n and 0 <= j < n) or i == j:
            raise InputError(f"{where}: two different nodes in 0..{n - 1} are needed, found {i} and {j}")
        if not abs(weight) < float("inf"):
            raise InputError(f"{where}: the weight must be a finite number, found {words[2]}")
        pair = (min(i, j), max(i, j))
        if pair in seen:
            raise InputError(f"{where}: the edge {i} {j} is given twice")
        seen.add(pair)
        edges.append((i, j, weight))
    if not edges:
        raise InputError(f"{group}.path: {path} has no edges")
    return edges


def _pair_up(n: int, degree: int, draws: RandomDraws) -> set[tuple[int, int]]:
    while True:
        edges: set[tuple[int, int]] = set()
        stubs = [node for node in range(n) for _ in range(degree)]
        while stubs:
            shuffled = draws.shuffled(stubs)
            stubs = []
            for a, b in zip(shuffled[::2], shuffled[1::2], strict=True):
                pair = (min(a, b), max(a, b))
                if a == b or pair in edges:
                    stubs += [a, b]
                else:
                    edges.add(pair)
            left = sorted(set(stubs))
            if stubs and not any((a, b) not in edges for i, a in enumerate(left) for b in left[i + 1 :]):
                break
        else:
            return edges


GRAPHS: dict[str, Callable[[int], Edges]] = {"ring": ring_graph, "chain": chain_graph, "complete": complete_graph}
GRAPH_NAMES = (*GRAPHS, "random_regular", "file")


def choose_graph(
    n: int, graph: str, degree: int | None, seed: int | None, path: str | None, group: str = "ansatz"
) -> Edges:
    """The edges of `graph`: a name in `GRAPHS`, random_regular (of `degree`, by default 3, and `seed`, by default 0),
    or file (of `path`). Raises InputError for an unknown name and for options of another kind of graph.
    """
    check_choice(f"{group}.graph", graph, GRAPH_NAMES)
    for option, value, used_by in (
        ("degree", degree, "random_regular"),
        ("seed", seed, "random_regular"),
        ("path", path, "file"),
    ):
        if value is not None and graph != used_by:
            raise UnusedOptionError(f"{group}.{option}", f"not used by graph {graph}; only {used_by} takes it")
    if graph == "random_regular":
        return random_regular_graph(n, 3 if degree is None else degree, 0 if seed is None else seed, group)
    if graph == "file":
        if path is None:
            raise InputError(f"{group}.path: needed by graph file; give a text file of edges")
        return read_graph(path, n, group)
    return GRAPHS[graph](n)
