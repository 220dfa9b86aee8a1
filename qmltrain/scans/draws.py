"""The draws of a point, each from a stream of its own: the same whatever the order, the grid, or the interruption.

A stream is Philox, which is based on a counter: its key follows from the seed and from the settings that make circuit
and start (`identity.drawn_from`), its counter from the number of the draw and what is drawn. So points that differ in
their observable, loss, precision or engine have the same draws, and comparisons between them are paired; points of
other sizes have independent ones.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.protocol import FloatArray
from qmltrain.studies.study import Draws
from qmltrain.training.initialization import InitialParameters
from qmltrain.training.model import Model

START, CIRCUIT, PARTNER, PARTNER_CIRCUIT, DIRECTIONS = range(5)  # what is drawn; never another number


class Streams:
    """Streams of random numbers by what they are for and the number of the draw."""

    def __init__(self, seed: int, settings: Mapping[str, Any]) -> None:
        text = json.dumps([seed, settings], sort_keys=True)
        self._key = np.frombuffer(hashlib.sha256(text.encode()).digest()[:16], "<u8").astype(np.uint64)

    def generator(self, purpose: int, draw: int) -> np.random.Generator:
        counter = np.array([0, 0, purpose, draw], dtype=np.uint64)
        return np.random.Generator(np.random.Philox(key=self._key, counter=counter))

    def seed(self, purpose: int, draw: int) -> int:
        """A seed of 63 bits."""
        return int(self.generator(purpose, draw).bit_generator.random_raw() >> 1)


@dataclass(frozen=True)
class Drawing:
    """How draws of a point are made. `start`: options of `InitialParameters`; or `fixed_P`, the one start of all draws.

    `circuit_of`: of a random ansatz the circuit of a seed. `directions`: of a line or plane, how many.
    """

    streams: Streams
    model: Model
    start: tuple[Any, ...] = ()
    fixed_P: FloatArray | None = None
    circuit_of: Callable[[int], Circuit] | None = None
    partners: bool = False
    directions: int = 0

    def draws(self, first: int, last: int) -> Draws:
        """Draws `first` to `last`, the last one not among them."""
        numbers, random = range(first, last), self.circuit_of is not None
        seeds, partner_seeds = (
            np.array([self.streams.seed(purpose, draw) for draw in numbers], dtype=np.int64) if wanted else None
            for purpose, wanted in ((CIRCUIT, random), (PARTNER_CIRCUIT, random and self.partners))
        )
        n_parameters = self.model.n_parameters
        directions = None
        if self.directions:
            shape = (self.directions, n_parameters)
            drawn = [self.streams.generator(DIRECTIONS, draw).standard_normal(shape) for draw in numbers]
            directions = np.stack(drawn)
        if self.fixed_P is not None:
            return Draws(np.tile(self.fixed_P, (len(numbers), 1)), directions_DKP=directions)
        start = InitialParameters(self.model.circuit, *self.start)  # kinds are alike in all circuits

        def vectors(purpose: int) -> FloatArray:
            rows = np.empty((len(numbers), n_parameters))
            for row, draw in zip(rows, numbers, strict=True):
                generator = self.streams.generator(purpose, draw)
                np.concatenate([start.draw(generator), self.model.initial_around(generator)], out=row)
            return rows

        return Draws(vectors(START), seeds, vectors(PARTNER) if self.partners else None, partner_seeds, directions)
