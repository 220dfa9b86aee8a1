"""`qmltrain gradient` on several ranks writes what one process writes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qmltrain.verbs import gradient
from tests.ranks.thread_ranks import on_ranks
from tests.ranks.written_arrays import arrays
from tests.small_configs import CONTEXT, ising_chain, moons


def written(config, path, ranks=None):
    config = dataclasses.replace(config, study=dataclasses.replace(config.study, output=str(path)))
    return gradient.run(config, dataclasses.replace(CONTEXT, ranks=ranks))


@pytest.mark.parametrize("size", [2, 3, 5])
@pytest.mark.parametrize(
    "config",
    [
        moons("x", study__per_sample=True),
        moons("x", study__rows=5, study__per_sample=True, dataset__n_samples=200),
        moons("x", encoding__name="amplitude", encoding__repeats=None, preprocess__name="amplitudes",
              engine__name="cpu", study__per_sample=True, dataset__n_samples=200),
        moons("x", input__name="linear", engine__name="cpu", engine__precision="complex64", dataset__n_samples=150,
              study__per_sample=True, train__freeze=["head"]),
        ising_chain("x"),
    ],
    ids=["moons", "one block", "amplitudes", "input layers", "no data"],
)  # fmt: skip
def test_arrays_are_those_of_one_process(config, size, tmp_path, capsys):
    assert written(config, tmp_path / "one.h5") == 0
    own = tmp_path / "ranks"
    assert on_ranks(size, lambda ranks: written(config, own / f"{ranks.rank}.h5", ranks)) == [0] * size
    assert [path.name for path in own.iterdir()] == ["0.h5"]
    expected, found = arrays(tmp_path / "one.h5"), arrays(own / "0.h5")
    assert expected.keys() == found.keys() and len(expected) > 8
    for name in expected.keys() - {"config_yaml"}:  # which has the name of the file
        assert np.array_equal(expected[name], found[name], equal_nan=name == "drift"), name
