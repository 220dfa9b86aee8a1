"""Launcher: whether mpirun or srun started this process as one of several, from its environment; without MPI."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import NamedTuple

# who sets them, variables of size and rank, and one that must be there beside them. The nearest first: Open MPI and
# MPICH start their helpers with srun, whose variables are those of the helpers then.
_VARIABLES = (
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", None),
    ("mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", None),
    ("mpirun", "PMI_SIZE", "PMI_RANK", None),  # MPICH, Intel MPI; srun --mpi=pmi2, see `_is_of_srun`
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_ID"),  # the batch script itself is no step
)

PASSING_ON = 0.5  # seconds, after which a launcher has read what was written: it throws away what comes with its end


class Launcher(NamedTuple):
    """`size` processes, of which this is number `rank`; `variable` says so."""

    name: str
    variable: str
    size: int
    rank: int


def find_launcher(environ: Mapping[str, str] = os.environ) -> Launcher | None:
    """The launcher that started several processes, None where there is none or this process is alone."""
    for set_by, size, rank, beside in _VARIABLES:
        texts = [environ.get(size, ""), environ.get(rank, ""), environ.get(beside, "") if beside else "0"]
        if all(text.isdigit() for text in texts):
            name = "srun" if size == "PMI_SIZE" and _is_of_srun(environ) else set_by
            return Launcher(name, size, int(texts[0]), int(texts[1])) if int(texts[0]) > 1 else None
    return None


def can_end_job(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether `end_job` reaches the launcher: MPICH's mpirun, which does not end the ranks by itself where one leaves
    with an error before it has begun to talk to it. (Open MPI's does, and srun after `--wait`.)"""
    launcher = find_launcher(environ)
    of_mpich = launcher is not None and launcher.variable == "PMI_SIZE" and launcher.name == "mpirun"
    try:
        return of_mpich and stat.S_ISSOCK(os.fstat(int(environ.get("PMI_FD", ""))).st_mode)
    except (ValueError, OSError):  # no number, or of a file that was closed on the way here
        return False


def end_job(code: int, environ: Mapping[str, str] = os.environ) -> None:
    """End all processes of this job with exit code `code`, without MPI: what MPI_Abort tells the launcher, in PMI-1."""
    time.sleep(PASSING_ON)
    with suppress(OSError):  # the launcher has gone
        os.write(int(environ["PMI_FD"]), b"cmd=abort exitcode=%d\n" % code)
    time.sleep(PASSING_ON)  # it may hear of this process' end before


def _is_of_srun(environ: Mapping[str, str]) -> bool:
    """Whether PMI is that of srun --mpi=pmi2, which names its step, and not of an mpirun in a step."""
    return environ.get("PMI_JOBID") == f"{environ.get('SLURM_JOB_ID')}.{environ.get('SLURM_STEP_ID')}"
