"""Pictures of runs. matplotlib is imported here alone."""
