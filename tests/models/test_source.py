"""The independent random seeds of a run."""

from __future__ import annotations

from qmltrain.config.groups.run import RunConfig
from qmltrain.models.source import Seeds, derive_seeds


def test_the_three_seeds_are_independent_and_each_can_be_set_alone():
    derived = derive_seeds(RunConfig(seed=3))
    others = derive_seeds(RunConfig(seed=4))
    assert len({*vars(derived).values(), *vars(others).values(), 3, 4}) == 8
    assert derived == derive_seeds(RunConfig(seed=3))
    assert derive_seeds(RunConfig(seed=3, seed_initial=7)) == Seeds(derived.split, 7, derived.order)
    assert derive_seeds(RunConfig(seed=3, seed_split=0, seed_order=8)) == Seeds(0, derived.initial, 8)
