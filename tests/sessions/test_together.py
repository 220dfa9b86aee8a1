"""What is said of how ranks share a step, and what a rank may use of its node."""

from __future__ import annotations

import socket
import threading
from types import SimpleNamespace

import numpy as np
import pytest

from qmltrain.config.schema import Config
from qmltrain.engines.ranks import blocks_of
from qmltrain.errors import InputError, QmltrainError
from qmltrain.job_limits import available_bytes
from qmltrain.sessions import together
from qmltrain.sessions.together import check_together, of_rank, rank_lines, same_parameters
from qmltrain.training.state import TrainingState
from qmltrain.units import GIB
from tests.ranks.thread_ranks import on_ranks


def ranks_of(size: int, threads: int = 1) -> SimpleNamespace:
    return SimpleNamespace(rank=0, size=size, threads=threads, beside=size, number_beside=0)


@pytest.mark.parametrize(
    ("size", "batch", "idle"),
    [
        (4, 64, None),
        (5, 65, None),
        (2, 17, None),
        (2, 16, "idle: rank 0, since a batch of 16 samples is 1 block of 16; none is from train.batch_size=17 on"),
        (5, 64, "idle: rank 0, since a batch of 64 samples is 4 blocks of 16; none is from train.batch_size=65 on"),
        (
            4,
            20,
            "idle: ranks 0, 2, since a batch of 20 samples is 2 blocks of 16; none is from train.batch_size=49 on",
        ),
    ],
)
def test_idle_ranks_are_named_with_the_batch_that_has_none(size: int, batch: int, idle: str | None) -> None:
    first, *rest = rank_lines(ranks_of(size, 3), batch, whole=False)
    assert first == f"{size} ranks, 3 threads in rank 0"
    assert rest == ([] if idle is None else [idle])
    if idle is not None:
        least = int(idle.rpartition("=")[2].removesuffix(" on"))
        assert all(blocks_of(least, rank, size) for rank in range(size))
        assert not all(blocks_of(least - 1, rank, size) for rank in range(size))


def test_steps_that_are_not_shared_are_named() -> None:
    assert "every rank computes whole batches" in list(rank_lines(ranks_of(2), 64, whole=True))[1]
    assert "one evaluation, which rank 1 makes" in list(rank_lines(ranks_of(2), 1, whole=False, has_data=False))[1]
    assert blocks_of(1, 1, 2)


def test_a_rank_has_its_share_of_the_node() -> None:
    config = Config()
    found = of_rank(config, ranks_of(4, 3)).engine
    assert found.threads == 3 and found.memory_gib == pytest.approx(available_bytes() / 4 / GIB, rel=0.5)
    config.engine.threads, config.engine.memory_gib = 2, 1.5
    found = of_rank(config, ranks_of(4, 3)).engine
    assert (found.threads, found.memory_gib) == (2, 1.5)
    assert of_rank(config, None) is config


def of(
    name: str, description: str = "cpu: avx2, 2 threads", checksum: str = "a"
) -> tuple[SimpleNamespace, SimpleNamespace]:
    engine = SimpleNamespace(name=name, describe=lambda: description)
    return SimpleNamespace(source=SimpleNamespace(checksum=checksum)), SimpleNamespace(
        selection=SimpleNamespace(engine=engine)
    )


def test_a_rank_on_a_gpu_has_all_of_its_memory(monkeypatch) -> None:
    taken = []
    monkeypatch.setattr(together, "take_gpu", lambda name, number: taken.append((name, number)) or True)
    ranks = SimpleNamespace(**{**vars(ranks_of(4, 3)), "number_beside": 2})
    config = Config()
    config.engine.name = "cuda"
    found = of_rank(config, ranks).engine
    assert (found.threads, found.memory_gib, taken) == (3, None, [("cuda", 2)])


def test_ranks_must_compute_the_same_bits_from_the_same_data(monkeypatch) -> None:
    def check(ranks, *of_ranks) -> str:
        try:
            check_together(ranks, *of_ranks[ranks.rank])
        except InputError as error:
            return str(error)
        return ""

    def found(*of_ranks) -> list[str]:
        return on_ranks(2, lambda ranks: check(ranks, *of_ranks))

    assert found(of("cpu"), of("cpu", "cpu: avx2, 1 thread")) == ["", ""]
    [line] = set(found(of("cpu"), of("cpu", "cpu: avx512, 2 threads")))
    assert line.startswith("engine.name: rank 0 has cpu: avx2, rank 1 has cpu: avx512; ") and "QMLTRAIN_SIMD" in line
    [line] = set(found(of("cpu"), of("cpu", checksum="b")))
    assert line == "dataset: rank 0 has a, rank 1 has b; give every node the same files"
    gpu = of("cuda", "cuda: H200, compute capability 9.0")
    [line] = set(found(gpu, of("cpu")))
    assert line.startswith("engine.name: rank 0 has cuda: H200")
    monkeypatch.setattr(together, "gpu_in_use", lambda: "GPU of both")
    [line] = set(found(gpu, gpu))
    assert line.startswith(
        f"engine.name: node {socket.gethostname()} has 2 ranks and 1 GPU for them; start one rank for "
    )
    monkeypatch.setattr(together, "gpu_in_use", lambda: threading.current_thread().name)
    assert found(gpu, gpu) == ["", ""]


def test_a_rank_that_goes_its_own_way_is_found() -> None:
    def check(ranks, step: float) -> str:
        theta_P = np.array([1.0, 1.0 + step * ranks.rank])
        try:
            same_parameters(ranks)(TrainingState(theta_P, epoch=3), {})
        except QmltrainError as error:
            return f"{error.exit_code} {error}"
        return ""

    assert on_ranks(2, lambda ranks: check(ranks, 0.0)) == ["", ""]
    for line in on_ranks(2, lambda ranks: check(ranks, 2.0**-52)):
        assert line.startswith("1 parameters after epoch 3: rank 0 has ") and "take nodes of one kind" in line
