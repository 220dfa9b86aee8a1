"""Trained models in Python: ``qmltrain.load("runs/iris-1a2b3c4d").predict(x)``. See docs/using-models.md."""

from qmltrain.studies.trained import TrainedModel, load

__all__ = ["TrainedModel", "load"]
