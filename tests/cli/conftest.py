"""Running the command in this process, in an empty directory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from qmltrain.cli import main


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


@pytest.fixture
def qmltrain(capsys: pytest.CaptureFixture[str], in_empty_directory: None) -> Callable[..., Ended]:
    """`qmltrain("circuit", "circuit.n_qubits=3")` -> exit code, stdout, stderr."""

    def run(*words: str) -> Ended:
        code = main(list(words))
        captured = capsys.readouterr()
        return Ended(code, captured.out, captured.err)

    return run
