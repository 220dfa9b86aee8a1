"""The quantities of a study, draw by draw.

    ensemble = Ensemble(study)                 what has no meaning is refused, memory is forecast
    ensemble.columns                           what `evaluate` gives
    ensemble.evaluate(draws)                   {column: (D, *shape)}

The bits of a draw depend on nothing but the draw: neither on the others, nor on how many are asked for, nor on chunks
and threads. So draws may be evaluated in any portions; about `draws_at_once` are best.
"""

from __future__ import annotations

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.studies.study import (
    ENTANGLEMENT,
    FIDELITY,
    GRADIENT,
    GRADIENT_NORMS,
    LOSS,
    QUANTITIES,
    VALUE,
    Column,
    Draws,
    Plane,
    Study,
)

__all__ = ["Column", "Draws", "Ensemble", "Plane", "Study"]


class Ensemble:
    """Raises InputError for a quantity without a meaning here, MemoryLimitError where not one draw fits."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.columns = columns_of(study)
        self.draws_at_once = 256

    def evaluate(self, draws: Draws) -> dict[str, FloatArray]:
        """Each column, float64 (D, *shape). Raises NonFiniteError."""
        raise NotImplementedError


def columns_of(study: Study) -> tuple[Column, ...]:
    """The columns of a study, in the order of its quantities; of a plane its values alone."""
    unknown = [name for name in study.quantities if name not in QUANTITIES]
    if unknown:
        raise InputError(f"scan.quantities: {unknown[0]!r} is not known; choose of {', '.join(QUANTITIES)}")
    if study.plane is not None:
        return (Column(VALUE, (study.plane.resolution,) * len(study.plane.directions)),)
    names = study.model.parameter_names
    layers = (*study.model.layers()[0], "all")
    known = {
        LOSS: Column(LOSS),
        GRADIENT: Column(GRADIENT, (len(study.chosen),), tuple(names[k] for k in study.chosen)),
        GRADIENT_NORMS: Column(GRADIENT_NORMS, (len(layers),), layers),
        ENTANGLEMENT: Column(ENTANGLEMENT),
        FIDELITY: Column(FIDELITY),
    }
    return tuple(known[name] for name in study.quantities)
