"""What a user asks for: one module per verb, each with a `run` that gives the exit code."""
