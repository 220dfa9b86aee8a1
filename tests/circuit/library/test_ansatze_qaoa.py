"""QAOA as the gates written here by hand, on graphs by name and from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.errors import InputError
from tests.circuit.library.ansatz_alone import build, lines


def test_qaoa(tmp_path: Path) -> None:
    assert lines(3, "qaoa", layers=2) == [
        *["h 0", "h 1", "h 2"],
        *["rzz 0 1 2*t0", "rzz 1 2 2*t0", "rzz 2 0 2*t0", "rx 0 2*t1", "rx 1 2*t1", "rx 2 2*t1"],
        *["rzz 0 1 2*t2", "rzz 1 2 2*t2", "rzz 2 0 2*t2", "rx 0 2*t3", "rx 1 2*t3", "rx 2 2*t3"],
    ]
    assert build(3, "qaoa").parameter_names == ("ansatz.0.gamma", "ansatz.0.beta")
    assert build(3, "qaoa").layer_starts == (3,)
    (tmp_path / "graph.txt").write_text("# three edges\n0 2 0.5\n\n2 1   # weight one\n")
    drawn = lines(3, "qaoa", graph="file", path=str(tmp_path / "graph.txt"))
    assert drawn[3:5] == ["rzz 0 2 t0", "rzz 2 1 2*t0"]
    assert len(lines(6, "qaoa", graph="random_regular", degree=4, seed=3)) == 6 + 12 + 6


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"graph": "star"}, r"^ansatz\.graph: 'star' is not known; choose one of ring, chain, complete, "),
        ({"graph": "ring", "degree": 3}, r"^ansatz\.degree: not used by graph ring"),
        ({"graph": "complete", "seed": 3}, r"^ansatz\.seed: not used by graph complete"),
        ({"path": "a.txt"}, r"^ansatz\.path: not used by graph ring"),
        ({"graph": "file"}, r"^ansatz\.path: needed by graph file"),
        ({"graph": "random_regular", "degree": 5}, r"^ansatz\.degree: 5 is not in 1\.\.4"),
        ({"graph": "random_regular", "degree": 3}, r"^ansatz\.degree: no graph of 5 nodes"),
    ],
)
def test_qaoa_refuses(options: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        build(5, "qaoa", **options)
