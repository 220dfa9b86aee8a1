"""docs/using-models.md: its commands and its Python run, in order, in an empty directory."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from qmltrain.cli import main

DOCUMENT = (Path(__file__).parents[2] / "docs" / "using-models.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, flags=re.M | re.S)


def test_the_examples_run_in_order(in_empty_directory, capsys):
    pytest.importorskip("openqasm3", reason="needs the extra qasm")
    space: dict = {}
    commands = 0
    for language, text in BLOCKS:
        if language == "qasm":
            Path("mine.qasm").write_text(text)
        elif language == "python":
            exec(compile(text, "docs/using-models.md", "exec"), space)
        else:
            assert language == "bash"
            for line in text.splitlines():
                name, *words = shlex.split(line)
                assert name == "qmltrain"
                assert main(words) == 0, f"{line}: {capsys.readouterr().err}"
                commands += 1
    assert commands > 10
    assert Path("own.csv").read_text().startswith("split,row,label,prediction,score_setosa")
    rows = Path("table.csv").read_text().splitlines()
    assert len(rows) == 3 and rows[0].startswith("encoding.repeats,n,")
    for name in ("iris.qasm", "iris_pennylane.py", "iris_qiskit.py"):
        assert Path(name).read_text()
    names = list(space["model"].parameters)
    assert (names[0], names[-1]) == ("encoding.0.ry.0.weight", "head.2.bias")


def test_lines_are_not_too_long():
    assert all(len(line) <= 120 for line in DOCUMENT.splitlines() if not line.startswith("|"))
