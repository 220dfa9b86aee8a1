"""Lines and planes through a draw: their directions, and the parameter vectors on them."""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, sqrt

import numpy as np

from qmltrain.engines.protocol import FloatArray
from qmltrain.errors import InputError
from qmltrain.studies.study import Plane

PARALLEL = 1e-9  # of a second direction's length: less than that beside the first one is rounding


def unit_directions(given_KP: Sequence[FloatArray]) -> FloatArray:
    """(K, P) unit vectors, the second orthogonal to the first. Sums are exact (fsum), the same everywhere.

    Raises InputError for a direction of length 0, and for a second one along the first.
    """
    found: list[FloatArray] = []
    for number, given_P in enumerate(given_KP):
        vector_P = np.asarray(given_P, dtype=np.float64)
        length = _length(vector_P)
        if not 0.0 < length < np.inf:
            raise InputError(f"scan.plane: direction {number} has length {length:g}; choose another one")
        vector_P = vector_P / length
        for first_P in found:
            vector_P = vector_P - fsum(vector_P * first_P) * first_P
            if _length(vector_P) < PARALLEL:
                raise InputError("scan.plane: the second direction lies along the first; a plane needs two")
            vector_P = vector_P / _length(vector_P)
        found.append(vector_P)
    return np.stack(found)


def points_on(plane: Plane, theta_P: FloatArray, directions_KP: FloatArray, rows: slice) -> FloatArray:
    """(b, P): the parameter vectors of `rows` of the points, in the order of `Column.shape`, the last index fastest."""
    count = plane.resolution ** len(plane.directions)
    steps = np.unravel_index(np.arange(count)[rows], (plane.resolution,) * len(plane.directions))
    points_bP = np.tile(theta_P, (len(steps[0]), 1))
    for step_b, direction_P in zip(steps, directions_KP, strict=True):
        points_bP += plane.offsets[step_b][:, None] * direction_P
    return points_bP


def _length(vector_P: FloatArray) -> float:
    return sqrt(fsum(vector_P * vector_P))
