"""Living on a cluster: signals that ask a run to stop."""
