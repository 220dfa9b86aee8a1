"""Ranks with a GPU each: the bits of one, whether a node's GPUs are seen by all of its ranks or each sees its own.

Ranks are threads, and each thread has a stand-in for CuPy of its own, with the GPUs that it sees.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from qmltrain.engines.selection import select_engine, take_gpu
from qmltrain.training.gradients import Evaluator
from qmltrain.verbs import gradient
from tests.engines.cuda import fake_cupy
from tests.engines.cuda.emulator_device import compiler
from tests.ranks.thread_ranks import on_ranks
from tests.ranks.written_arrays import arrays
from tests.small_configs import CONTEXT, moons
from tests.training.small_models import inputs, make

pytestmark = pytest.mark.skipif(compiler() is None, reason="no C++ compiler: the CUDA emulator needs g++")


def written(path, ranks=None):  # noqa: ANN001, ANN201
    config = moons("x", engine__name="cuda", dataset__n_samples=100, study__output=str(path))
    return gradient.run(config, dataclasses.replace(CONTEXT, ranks=ranks))


def beside(ranks, size):  # noqa: ANN001, ANN201
    """As of `size` ranks on each node."""
    ranks.beside, ranks.number_beside = size, ranks.rank % size
    return ranks


def on_gpus(monkeypatch, see, size, path):  # noqa: ANN001, ANN201
    """What the command gives on each of `size` ranks of one node, and their stand-ins."""
    cupy = fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.CupyOfThreads(see))
    return on_ranks(size, lambda ranks: written(path / f"{ranks.rank}.h5", beside(ranks, size))), cupy.made


@pytest.mark.parametrize("bound", [False, True], ids=["all are seen", "each sees its own"])
def test_each_rank_has_its_own_gpu_and_the_bits_are_those_of_one(monkeypatch, tmp_path, capsys, bound):
    fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make())
    assert written(tmp_path / "one.h5") == 0
    own = iter((b"first", b"second"))  # as SLURM gives a task its own
    codes, made = on_gpus(
        monkeypatch,
        lambda: fake_cupy.make(gpus=(next(own),) if bound else (b"first", b"second")),
        2,
        tmp_path / "ranks",
    )
    assert codes == [0, 0]
    assert sorted(module.machine.gpu for module in made) == ([0, 0] if bound else [0, 1])
    assert all(module.machine.launches for module in made)
    expected, found = arrays(tmp_path / "one.h5"), arrays(tmp_path / "ranks" / "0.h5")
    assert expected.keys() == found.keys()
    for name in expected.keys() - {"config_yaml"}:
        assert np.array_equal(expected[name], found[name], equal_nan=name == "drift"), name


def gradients(ranks=None):  # noqa: ANN001, ANN201
    """Of some steps of a training, the later ones replayed as graphs."""
    assert take_gpu("cuda", 0 if ranks is None else ranks.rank)
    model = make("biases too")
    program = select_engine("cuda").engine.compile(model.circuit, model.observables.strings, "complex128")
    run = Evaluator(model, program, 48, ranks)
    return [run.gradient(*inputs(model, batch)).gradient_P.tobytes() for batch in (100, 21, 100, 100, 100, 100)]


def test_steps_of_ranks_have_the_bits_of_one(monkeypatch):
    fake_cupy.instead_of_cupy(monkeypatch, fake_cupy.make())
    alone = gradients()
    cupy = fake_cupy.instead_of_cupy(
        monkeypatch, fake_cupy.CupyOfThreads(lambda: fake_cupy.make(gpus=(b"first", b"second", b"third")))
    )
    assert on_ranks(3, gradients) == [alone] * 3
    assert all(module.machine.graph_launches for module in cupy.made)


@pytest.mark.parametrize(("ranks", "gpus"), [(3, 2), (2, 1)])
def test_more_ranks_than_gpus_are_refused(monkeypatch, tmp_path, ranks, gpus):
    seen = tuple(bytes([number]) for number in range(gpus))
    errors, made = on_gpus(monkeypatch, lambda: fake_cupy.make(gpus=seen), ranks, tmp_path)
    [line] = {str(error) for error in errors}
    assert f" has {ranks} ranks and {gpus} GPU{'s' * (gpus > 1)} for them; start one rank for each GPU" in line
    assert line.startswith("engine.name: node ") and "\n" not in line
    assert not any(module.machine.launches for module in made)
