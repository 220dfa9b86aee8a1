"""Rows shared over ranks have the bits of one process, whatever the engine does with the samples of a call."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from qmltrain.engines.cpu import unavailable_reason
from qmltrain.verbs import evaluate
from qmltrain.verbs.evaluate import Part
from tests.ranks.thread_ranks import on_ranks
from tests.sessions.complete_runs import complete
from tests.small_configs import CONTEXT

CIRCUITS = {
    "interpreter": {},
    "cpu": {"engine__name": "cpu"},
    "cpu, single": {"engine__name": "cpu", "engine__precision": "complex64"},
    "deep": {"engine__name": "cpu", "ansatz__name": "hea", "ansatz__layers": 40, "encoding__name": "angle"},
}


@pytest.fixture(scope="module", params=CIRCUITS)
def run(request, tmp_path_factory) -> Path:
    """One of a deep circuit takes its samples as one matrix."""
    if request.param != "interpreter" and unavailable_reason() is not None:
        pytest.skip("the C++ extension is not built")
    changes = dict(CIRCUITS[request.param])
    if changes.get("encoding__name") == "angle":
        changes["encoding__repeats"] = None
    return complete(tmp_path_factory.mktemp("shared"), train__max_steps=2, dataset__n_samples=300, **changes)


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize("shots", [None, 100])
def test_outputs_are_those_of_one_process(run, size, shots, tmp_path, capsys, monkeypatch):
    found = []
    outputs = Part.outputs

    def kept(self, *arguments):
        found.append(outputs(self, *arguments))
        return found[-1]

    monkeypatch.setattr(Part, "outputs", kept)
    assert evaluate.run(run, CONTEXT, shots=shots) == 0
    expected = list(found)

    def work(ranks):
        context = dataclasses.replace(CONTEXT, ranks=ranks)
        own = tmp_path / f"{ranks.rank}.csv"
        return evaluate.run(run, context, shots=shots, predictions=own)

    found.clear()
    assert on_ranks(size, work) == [0] * size
    assert len(found) == size * len(expected)
    for part in expected:
        assert sum(np.array_equal(part, other) for other in found) == size
    assert [path.name for path in tmp_path.iterdir()] == ["0.csv"]


def test_a_rank_that_has_other_data_ends_all(tmp_path):
    run = complete(tmp_path / "run", train__max_steps=1)

    def work(ranks):
        np.savez(tmp_path / f"{ranks.rank}.npz", x=np.ones((5, 2)) * ranks.rank, y=np.arange(5) % 2)
        changes = {"name": "npz", "path": str(tmp_path / f"{ranks.rank}.npz")}
        return evaluate.run(run, dataclasses.replace(CONTEXT, ranks=ranks), dataset=changes)

    for error in on_ranks(2, work):
        assert str(error).startswith("dataset: rank 0 has ") and str(error).endswith("give every node the same files")
