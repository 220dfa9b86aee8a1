"""Launcher: whether mpirun or srun started this process as one of several, from its environment; without MPI."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

# who sets them, variables of size and rank, and one that must be there beside them. The nearest first: Open MPI and
# MPICH start their helpers with srun, whose variables are those of the helpers then.
_VARIABLES = (
    ("mpirun", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", None),
    ("mpirun", "MV2_COMM_WORLD_SIZE", "MV2_COMM_WORLD_RANK", None),
    ("mpirun", "PMI_SIZE", "PMI_RANK", None),  # MPICH, Intel MPI; srun --mpi=pmi2, see `_is_of_srun`
    ("srun", "SLURM_STEP_NUM_TASKS", "SLURM_PROCID", "SLURM_STEP_ID"),  # the batch script itself is no step
)


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


def _is_of_srun(environ: Mapping[str, str]) -> bool:
    """Whether PMI is that of srun --mpi=pmi2, which names its step, and not of an mpirun in a step."""
    return environ.get("PMI_JOBID") == f"{environ.get('SLURM_JOB_ID')}.{environ.get('SLURM_STEP_ID')}"
