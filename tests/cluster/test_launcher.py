"""Whether a launcher started several processes: the environments that mpirun and srun leave."""

from __future__ import annotations

import os
import socket

import pytest

from qmltrain.cluster.launcher import Launcher, can_end_job, end_job, find_launcher

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


@pytest.mark.parametrize(
    ("environ", "can"),
    [
        (MPICH, True),
        (OPEN_MPI, False),
        ({**STEP, "PMI_SIZE": "4", "PMI_RANK": "3", "PMI_JOBID": "7.0"}, False),  # srun speaks PMI-2
        ({}, False),
    ],
)
def test_only_the_launcher_of_mpich_is_told_to_end_all(environ: dict[str, str], can: bool) -> None:
    listening, own = socket.socketpair()
    with listening, own:
        assert can_end_job({**environ, "PMI_FD": str(own.fileno())}) is can
        end_job(2, {"PMI_FD": str(own.fileno())})
        assert listening.recv(100) == b"cmd=abort exitcode=2\n"
        listening.close()
        end_job(2, {"PMI_FD": str(own.fileno())})


def test_a_number_that_is_no_socket_is_not_that_of_the_launcher() -> None:
    """A process that a rank started has the variables, and other files under these numbers."""
    reading, writing = os.pipe()
    try:
        assert not any(can_end_job({**MPICH, "PMI_FD": fd}) for fd in (str(writing), "5000", ""))
    finally:
        os.close(reading)
        os.close(writing)
