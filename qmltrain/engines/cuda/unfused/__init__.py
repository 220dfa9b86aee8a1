"""The baseline of a benchmark, `engine.fusion=false`: a launch per gate. No training should want it."""
