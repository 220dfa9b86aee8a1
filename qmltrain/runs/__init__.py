"""What a run leaves behind: the run file, snapshots, the lock of its directory, and views of it."""
