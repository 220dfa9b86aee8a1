"""Angles of OpenQASM gates as polynomials in parameters and features, and what of them a circuit can take.

A circuit's angle is ``scale * f(x) * [parameter] + [parameter] + offset`` with f one of x_i, arccos(x_i), and a product
of (centre - x_i); see `qmltrain.circuit.angle`. Anything else is refused by `to_angle`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

from qmltrain.circuit.angle import Angle, Feature

LARGEST_COUNT = 1_000_000  # gates, and iterations of loops: what is beyond it is a mistake
ROUNDING = 1e-12  # relative: coefficients that are this near belong to one product


@dataclass(frozen=True, order=True)
class Symbol:
    """A parameter (its index), a feature x_i, or arccos(x_i)."""

    kind: Literal["parameter", "feature", "arccos"]
    index: int


Monomial = tuple[Symbol, ...]  # sorted; () is 1


class NotAnAngleError(ValueError):
    """An expression that is no angle of a circuit; the message says why."""


@dataclass(frozen=True)
class Expression:
    """A sum of monomials with real coefficients. `whole` says that OpenQASM sees an integer in it."""

    terms: dict[Monomial, float]
    whole: bool = False

    @classmethod
    def number(cls, value: float) -> Expression:
        return cls({(): float(value)} if value else {}, isinstance(value, int))

    @classmethod
    def symbol(cls, symbol: Symbol) -> Expression:
        return cls({(symbol,): 1.0})

    @property
    def is_number(self) -> bool:
        return all(not monomial for monomial in self.terms)

    @property
    def value(self) -> float:
        """The number that it is; NotAnAngleError where it is none."""
        if not self.is_number:
            raise NotAnAngleError("a number is needed here, without parameters and features")
        return self.terms.get((), 0.0)

    def __add__(self, other: Expression) -> Expression:
        total = dict(self.terms)
        for monomial, value in other.terms.items():
            total[monomial] = total.get(monomial, 0.0) + value
        return Expression(_without_zeros(total), self.whole and other.whole)

    def __mul__(self, other: Expression) -> Expression:
        total: dict[Monomial, float] = {}
        for a, x in self.terms.items():
            for b, y in other.terms.items():
                monomial = tuple(sorted((*a, *b)))
                total[monomial] = total.get(monomial, 0.0) + x * y
        return Expression(_without_zeros(total), self.whole and other.whole)

    def __neg__(self) -> Expression:
        return Expression({monomial: -value for monomial, value in self.terms.items()}, self.whole)

    def __sub__(self, other: Expression) -> Expression:
        return self + -other

    def __truediv__(self, other: Expression) -> Expression:
        divisor = other.value
        if divisor == 0:
            raise NotAnAngleError("a division by zero")
        return Expression({monomial: value / divisor for monomial, value in self.terms.items()})

    def scaled(self, factor: float) -> Expression:
        return self * Expression.number(float(factor))


def to_angle(expression: Expression) -> Angle:
    """The Angle that `expression` is; NotAnAngleError where it has another form."""
    terms = dict(expression.terms)
    if not terms:  # the number 0
        return Angle(scale=0.0)
    if not all(math.isfinite(value) for value in terms.values()):
        raise NotAnAngleError("it is not finite")
    offset = terms.pop((), 0.0)
    with_features = {m: v for m, v in terms.items() if any(s.kind != "parameter" for s in m)}
    if with_features:
        return _per_sample_angle(terms, with_features, offset)
    if any(len(monomial) > 1 for monomial in terms):
        raise NotAnAngleError("parameters cannot be multiplied with each other")
    parameters = [(monomial[0].index, value) for monomial, value in terms.items()]
    if not parameters:
        return Angle(scale=0.0, offset=offset)
    if len(parameters) == 1:
        [(weight, scale)] = parameters
        return Angle(scale=scale, weight=weight, offset=offset)
    if len(parameters) == 2:
        biases = [index for index, value in parameters if value == 1.0]
        if biases:
            [(weight, scale)] = [pair for pair in parameters if pair[0] != biases[-1]]
            return Angle(scale=scale, weight=weight, bias=biases[-1], offset=offset)
    raise NotAnAngleError("two parameters may be added if one of them has no factor, more may not")


def _per_sample_angle(terms: dict[Monomial, float], with_features: dict[Monomial, float], offset: float) -> Angle:
    """The longest monomial gives the product; what is left of the sum beside it must be an offset and a bias."""
    longest = max(with_features, key=len)
    weights = [symbol.index for symbol in longest if symbol.kind == "parameter"]
    atoms = tuple(symbol for symbol in longest if symbol.kind != "parameter")
    if len(weights) > 1:
        raise NotAnAngleError("a feature may be multiplied by one parameter alone")
    weight = Symbol("parameter", weights[0]) if weights else None
    for feature, scale, product in _features(atoms, weight, with_features | terms, longest):
        rest = Expression({**terms, (): offset}) - product
        largest = max(abs(value) for value in (*terms.values(), offset))
        left = {m: v for m, v in rest.terms.items() if abs(v) > ROUNDING * largest}
        outside = left.pop((), 0.0)
        if not left:
            return Angle(scale, feature, weights[0] if weights else None, None, outside)
        [(monomial, value), *others] = left.items()
        if not others and len(monomial) == 1 and monomial[0].kind == "parameter" and abs(value - 1.0) < ROUNDING:
            return Angle(scale, feature, weights[0] if weights else None, monomial[0].index, outside)
    raise NotAnAngleError(
        "allowed is number * f * [parameter] + [parameter] + number, with f a feature, its arccos, or a product of "
        "(number - feature) with one number"
    )


def _features(
    atoms: tuple[Symbol, ...], weight: Symbol | None, terms: dict[Monomial, float], longest: Monomial
) -> Iterator[tuple[Feature, float, Expression]]:
    """What f may be: it, its scale, and scale * f * weight as an expression."""
    of_weight = Expression.number(1.0) if weight is None else Expression.symbol(weight)
    scale = terms[longest]
    if len(atoms) == 1:
        kind: Literal["linear", "arccos"] = "arccos" if atoms[0].kind == "arccos" else "linear"
        yield Feature(kind, (atoms[0].index,)), scale, (Expression.symbol(atoms[0]) * of_weight).scaled(scale)
        if kind == "arccos":
            return
    if any(atom.kind != "feature" for atom in atoms):
        raise NotAnAngleError("arccos of a feature cannot be multiplied by a feature")
    # scale' * prod (c - x_i) = (-1)^k scale' * (prod x_i - c * sum over products of k - 1 of them + ...)
    k = len(atoms)
    shorter = tuple(sorted((*next(iter(combinations(atoms, k - 1))), *([weight] if weight else []))))
    times = Counter(tuple(sorted((*c, *([weight] if weight else [])))) for c in combinations(atoms, k - 1))[shorter]
    centre = -terms.get(shorter, 0.0) / (scale * times)
    outer = scale * (-1) ** k
    product = of_weight.scaled(outer)
    for atom in atoms:
        product = product * (Expression.number(centre) - Expression.symbol(atom))
    yield Feature("product", tuple(atom.index for atom in atoms), centre), outer, product


def _without_zeros(terms: dict[Monomial, float]) -> dict[Monomial, float]:
    return {monomial: value for monomial, value in terms.items() if value != 0.0}
