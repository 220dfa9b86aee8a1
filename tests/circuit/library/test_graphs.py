"""Graphs for QAOA: families, random regular graphs of every possible degree, and edge files."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.circuit.library.graphs import (
    GRAPHS,
    chain_graph,
    choose_graph,
    complete_graph,
    random_regular_graph,
    read_graph,
    ring_graph,
)
from qmltrain.errors import InputError


def test_families() -> None:
    assert ring_graph(2) == [(0, 1, 1.0)]
    assert ring_graph(4) == [(0, 1, 1.0), (1, 2, 1.0), (2, 3, 1.0), (3, 0, 1.0)]
    assert chain_graph(2) == ring_graph(2) and chain_graph(3) == [(0, 1, 1.0), (1, 2, 1.0)]
    assert complete_graph(3) == [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)]


@pytest.mark.parametrize(("n", "degree"), [(n, d) for n in range(2, 11) for d in range(1, n) if n * d % 2 == 0])
@pytest.mark.parametrize("seed", [0, 1])
def test_random_regular_graphs_are_regular_and_simple(n: int, degree: int, seed: int) -> None:
    edges = random_regular_graph(n, degree, seed)
    assert edges == random_regular_graph(n, degree, seed)
    pairs = [edge[:2] for edge in edges]
    assert pairs == sorted(set(pairs)) and all(i < j for i, j in pairs)
    for node in range(n):
        assert sum(node in pair for pair in pairs) == degree


def test_seeds_give_different_graphs() -> None:
    assert len({tuple(random_regular_graph(8, 3, seed)) for seed in range(10)}) > 5
    # Pinned: a change here would change the circuits of stored configs.
    assert [edge[:2] for edge in random_regular_graph(6, 2, seed=0)] == [(0, 1), (0, 5), (1, 3), (2, 3), (2, 4), (4, 5)]


@pytest.mark.parametrize("name", GRAPHS)
def test_every_family_can_be_chosen(name: str) -> None:
    assert choose_graph(5, name, None, None, None) == GRAPHS[name](5)
    assert all(0 <= i < 5 and 0 <= j < 5 and i != j for i, j, _ in GRAPHS[name](5))


def test_messages_name_the_group() -> None:
    for options in (("star", None, None, None), ("ring", 3, None, None), ("file", None, None, None)):
        with pytest.raises(InputError, match=r"^observable\.(graph|degree|path): "):
            choose_graph(4, *options, group="observable")
    with pytest.raises(InputError, match=r"^observable\.degree: "):
        choose_graph(5, "random_regular", 3, 0, None, group="observable")
    with pytest.raises(InputError, match=r"^observable\.path: the graph"):
        choose_graph(5, "file", None, None, "missing", group="observable")


@pytest.mark.parametrize(("n", "degree"), [(4, 0), (4, 4), (4, -1), (5, 3), (4, 2.0), (4, True)])
def test_impossible_degrees_are_refused(n: int, degree: object) -> None:
    with pytest.raises(InputError, match=r"^ansatz\.degree: "):
        random_regular_graph(n, degree, 0)


def test_edge_file(tmp_path: Path) -> None:
    path = tmp_path / "graph.txt"
    path.write_text("# comment\n\n0 1\n 2 0 -1.5  # half\r\n1 2 1e-3")
    assert read_graph(str(path), 3) == [(0, 1, 1.0), (2, 0, -1.5), (1, 2, 1e-3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"has no edges"),
        ("# nothing\n", r"has no edges"),
        ("0 1\n0\n", r'line 2 of .*: "i j" or "i j weight" is needed, found "0"'),
        ("0 1 2 3\n", r"line 1 "),
        ("a b\n", r"line 1 "),
        ("0 1 x\n", r"line 1 "),
        ("0 3\n", r"line 1 .*two different nodes in 0\.\.2"),
        ("1 1\n", r"line 1 .*two different nodes"),
        ("0 -1\n", r"line 1 .*two different nodes"),
        ("0 1 nan\n", r"line 1 .*finite"),
        ("0 1 inf\n", r"line 1 .*finite"),
        ("0 1\n1 0 2\n", r"line 2 .*the edge 1 0 is given twice"),
    ],
)
def test_bad_edge_files_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "graph.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=r"^ansatz\.path: " + ".*" + message):
        read_graph(str(path), 3)


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("missing.txt", "binary", "."):
        with pytest.raises(InputError, match=r"^ansatz\.path: the graph .* cannot be read"):
            read_graph(str(tmp_path / name), 3)
