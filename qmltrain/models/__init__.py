"""From a Config, or from a run, to objects: problem, model, program, first parameters, trained model."""
