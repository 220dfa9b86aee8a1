"""A scan as a job: many points, many draws of each, in one file that survives being killed at any moment."""
