"""Angles with their parameters bound to numbers: what an exported circuit contains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qmltrain.circuit.angle import Angle, Feature


@dataclass(frozen=True)
class BoundAngle:
    """``scale * f(x) + offset``; without a feature the number `offset`."""

    scale: float
    feature: Feature | None
    offset: float


def bind(angle: Angle, parameters_P: Sequence[float]) -> BoundAngle:
    """`angle` at given circuit parameters."""
    offset = angle.offset + (0.0 if angle.bias is None else float(parameters_P[angle.bias]))
    weight = 1.0 if angle.weight is None else float(parameters_P[angle.weight])
    if angle.feature is None:
        return BoundAngle(0.0, None, offset + (0.0 if angle.weight is None else angle.scale * weight))
    return BoundAngle(angle.scale * weight, angle.feature, offset)


def write(angle: BoundAngle, name: Callable[[int], str], arccos: str) -> str:
    """The angle as an expression; `name(i)` is feature i, `arccos` a template such as ``"arccos({})"``.

    Numbers are written in the fewest digits that come back exactly.
    """
    if angle.feature is None:
        return repr(float(angle.offset))
    feature = angle.feature
    if feature.kind == "linear":
        text = name(feature.indices[0])
    elif feature.kind == "arccos":
        text = arccos.format(name(feature.indices[0]))
    else:
        text = " * ".join(f"({float(feature.centre)!r} - {name(index)})" for index in feature.indices)
    if angle.scale != 1.0:
        text = f"{float(angle.scale)!r} * {text}"
    return text if angle.offset == 0.0 else f"{text} + {float(angle.offset)!r}"
