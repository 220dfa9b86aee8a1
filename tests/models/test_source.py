"""The independent random seeds of a run; generated samples that no memory holds."""

from __future__ import annotations

import pytest

from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.config.groups.run import RunConfig
from qmltrain.errors import MemoryLimitError
from qmltrain.models.source import Seeds, check_generated_size, derive_seeds


def test_the_three_seeds_are_independent_and_each_can_be_set_alone():
    derived = derive_seeds(RunConfig(seed=3))
    others = derive_seeds(RunConfig(seed=4))
    assert len({*vars(derived).values(), *vars(others).values(), 3, 4}) == 8
    assert derived == derive_seeds(RunConfig(seed=3))
    assert derive_seeds(RunConfig(seed=3, seed_initial=7)) == Seeds(derived.split, 7, derived.order)
    assert derive_seeds(RunConfig(seed=3, seed_split=0, seed_order=8)) == Seeds(0, derived.initial, 8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "make_blobs", "n_samples": 10**9, "n_features": 100}, "1000000000 samples of 100 features"),
        ({"name": "bars_and_stripes", "height": 10_000, "width": 10_000}, "1200 samples of 100000000 features"),
        ({"name": "two_curves", "n_samples": 2 * 10**9, "degree": 1000}, "2000000000 samples of 1010 features"),
        (
            {"name": "hyperplanes", "n_samples": 10**9, "manifold_dimension": 1000},
            "1000000000 samples of 1010 features",
        ),
    ],
)
def test_generated_samples_beyond_memory_are_refused_before_they_are_made(options, message):
    with pytest.raises(MemoryLimitError, match=f"^dataset.n_samples: {message} take about ") as refused:
        check_generated_size(DatasetConfig(**options))
    assert "\n" not in str(refused.value)


def test_bare_generators_are_not_measured():
    for name in ("two_curves", "bars_and_stripes", "make_moons"):
        check_generated_size(DatasetConfig(name=name))
