"""Past one process: ranks that a launcher (mpirun, srun) started make every step of one training together."""
