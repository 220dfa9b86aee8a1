"""The baseline of a benchmark, `engine.fusion=false`: a launch a gate. No training should want it."""
