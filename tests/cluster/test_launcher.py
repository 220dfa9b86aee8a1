"""Whether a launcher started several processes: the environments that mpirun and srun leave."""

from __future__ import annotations

import pytest

from qmltrain.cluster.launcher import Launcher, find_launcher

BATCH = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"}  # the script itself
STEP = {**BATCH, "SLURM_STEP_ID": "0", "SLURM_STEP_NUM_TASKS": "4", "SLURM_PROCID": "3"}
OPEN_MPI = {"OMPI_COMM_WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1"}
MPICH = {"PMI_SIZE": "2", "PMI_RANK": "0"}


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, None),
        (BATCH, None),
        (STEP, Launcher("srun", "SLURM_STEP_NUM_TASKS", 4, 3)),
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}, None),
        (OPEN_MPI, Launcher("mpirun", "OMPI_COMM_WORLD_SIZE", 2, 1)),
        (MPICH, Launcher("mpirun", "PMI_SIZE", 2, 0)),
        ({**MPICH, "PMI_SIZE": "1"}, None),
        ({**STEP, "PMI_SIZE": "4", "PMI_RANK": "3", "PMI_JOBID": "7.0"}, Launcher("srun", "PMI_SIZE", 4, 3)),  # pmi2
        # MPICH's mpirun in a job of SLURM: its helpers are tasks of a step, the ranks are not
        ({**STEP, "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0", **MPICH}, Launcher("mpirun", "PMI_SIZE", 2, 0)),
        # Open MPI started its own helpers with srun, one a node
        ({**STEP, **OPEN_MPI}, Launcher("mpirun", "OMPI_COMM_WORLD_SIZE", 2, 1)),
        ({**STEP, "OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"}, None),
        ({"PMI_SIZE": "2"}, None),
        ({"PMI_SIZE": "two", "PMI_RANK": "0"}, None),
    ],
)
def test_what_a_launcher_leaves_in_the_environment(environ: dict[str, str], found: Launcher | None) -> None:
    assert find_launcher(environ) == found
