"""What a user asks for: one module a verb, each with a `run` that gives the exit code."""
