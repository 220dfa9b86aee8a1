"""Circuits cut in any number of parts, whether it pays or not."""

from __future__ import annotations

from qmltrain.engines.cones.program import compile_cones
from qmltrain.engines.protocol import DEFAULT_GRADIENT, DEFAULT_OPTIONS
from qmltrain.fusion.reductions.light_cones import LightCones


class Cut:
    """An engine that cuts every circuit in so many groups of strings, whether it pays or not."""

    def __init__(self, engine, n_groups: int) -> None:
        self.engine, self.n_groups = engine, n_groups

    def compile(self, circuit, strings, precision="complex128", gradient=DEFAULT_GRADIENT, options=DEFAULT_OPTIONS):
        cones = LightCones(circuit, strings, 16)
        groups = []
        for k in range(min(self.n_groups, len(strings))):
            members = [cones.cone(m) for m in range(k, len(strings), self.n_groups)]
            group = members[0]
            for other in members[1:]:
                group = group.joined(other)
            groups.append(group)
        return compile_cones(self.engine, cones.cut_in(groups), circuit, precision, gradient, options)
