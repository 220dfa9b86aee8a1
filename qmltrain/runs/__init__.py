"""What a run leaves behind: the run file, snapshots, the lock of its directory, views and plots of it."""
