"""MPI: a Communicator over all processes that a launcher started. This file alone imports mpi4py, which starts MPI."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from qmltrain.cluster.launcher import PASSING_ON
from qmltrain.errors import EXIT_ERROR, InputError
from qmltrain.ranks.communicator import Communicator
from qmltrain.ranks.node_memory import through_memory
from qmltrain.ranks.threads import Place, number_beside, ranks_beside, threads_of
from qmltrain.wording import one_line

try:
    import mpi4py

    mpi4py.rc.thread_level = "funneled"  # the main thread alone calls it
    from mpi4py import MPI
except ImportError as error:  # no mpi4py, or no MPI library that it can load
    raise InputError(
        f"run.mpi: mpi4py cannot be imported ({error}); install it with the MPI of the launcher (pip install "
        "'qmltrain[mpi]'), start one process, or set run.mpi=never"
    ) from None
except RuntimeError as error:  # what mpi4py raises where it finds no MPI library
    raise InputError(
        f"run.mpi: mpi4py finds no MPI library ({error}); load the module of the launcher's MPI, start one process, or "
        "set run.mpi=never"
    ) from None


SPINNING = 2e-3  # seconds that a rank looks for the others without a break
NAP = 2e-4


class MpiTransport:
    """See `qmltrain.ranks.transport.Transport`. Floats are moved, never added: the order of MPI's sums is not ours."""

    memory = None

    def __init__(self, world: MPI.Intracomm) -> None:
        self._world = world
        self.rank, self.size = world.Get_rank(), world.Get_size()

    def words(self, own: NDArray[np.int64]) -> NDArray[np.int64]:
        found = np.empty((self.size, len(own)), dtype=np.int64)
        request, begun = self._world.Iallgather(own, found), time.monotonic()
        while not request.Test():  # (MPI's own waiting keeps a core busy, and hears no signal)
            if time.monotonic() - begun > SPINNING:
                time.sleep(NAP)
        return found

    def numbers(self, numbers: NDArray[np.float64], counts: Sequence[int]) -> None:
        self._world.Allgatherv(MPI.IN_PLACE, [numbers, counts, None, MPI.DOUBLE])

    def texts(self, own: bytes) -> list[bytes]:
        found: list[bytes] = self._world.allgather(own)
        return found

    def abort(self, code: int) -> None:
        try:
            time.sleep(PASSING_ON)
        finally:  # (a second Ctrl-C)
            self._world.Abort(code)


def open_ranks(expected: int | None) -> Communicator | None:
    """All ranks of this job; None where there is one. `expected`: how many the launcher started, where it says so.

    Raises InputError where MPI knows of another number: each process would be rank 0, and all would write one run.
    """
    transport = MpiTransport(MPI.COMM_WORLD)
    if expected is not None and transport.size != expected:
        library = MPI.Get_library_version().splitlines()[0].partition(",")[0].strip()
        raise InputError(
            f"run.mpi: the launcher started {expected} processes, but MPI ({library}) knows {transport.size}; start "
            "them with its own mpirun, or srun --mpi=pmi2 or pmix as it takes (srun --mpi=list), or set run.mpi=never"
        )
    if transport.size == 1:
        return None
    try:
        return _joined(transport)
    except Exception as error:  # the others are at an exchange, and would wait for this rank
        print(f"qmltrain: rank {transport.rank}: error: {one_line(error)}", file=sys.stderr, flush=True)
        transport.abort(EXIT_ERROR)
        raise


def _joined(transport: MpiTransport) -> Communicator:
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    places = [Place.from_text(text) for text in transport.texts(Place(socket.gethostname(), tuple(cpus)).to_text())]
    rank = transport.rank
    beside = ranks_beside(places, rank)
    near = through_memory(transport) if beside == transport.size else transport
    return Communicator(near, threads_of(places, rank), beside, number_beside(places, rank))
