"""Names of other programs lead to entries and keys that there are."""

from __future__ import annotations

import pytest

from qmltrain.config.reference import known_keys
from qmltrain.config.schema import GROUPS
from qmltrain.config.synonyms import ENTRIES, KEYS, known_key, nearest_entry
from qmltrain.shipped_files import configs_directory


def entries(group: str) -> list[str]:
    return [path.stem for path in (configs_directory() / group).glob("*.yaml")]


def test_every_suggestion_exists_and_is_no_name_of_ours():
    assert set(KEYS.values()) <= {*known_keys(), *GROUPS}
    assert not set(KEYS) & {*known_keys(), *GROUPS}
    for group, names in ENTRIES.items():
        assert set(names.values()) <= set(entries(group)), group
        assert not set(names) & set(entries(group)), group


@pytest.mark.parametrize(
    ("group", "found", "meant"),
    [
        ("loss", "mse", "mean_squared_error"),
        ("loss", "MSELoss", "mean_squared_error"),
        ("loss", "CrossEntropyLoss", "cross_entropy"),
        ("optimizer", "L-BFGS", "lbfgs"),
        ("ansatz", "StronglyEntanglingLayers", "strongly_entangling"),
        ("ansatz", "EfficientSU2", "efficient_su2"),
        ("encoding", "AngleEmbedding", "angle"),
        ("encoding", "ZZFeatureMap", "zz_feature_map"),
        ("dataset", "moons", "make_moons"),
        ("engine", "GPU", "cuda"),
        ("loss", "foo", None),
    ],
)
def test_entries(group, found, meant):
    assert nearest_entry(group, found, entries(group)) == meant


def test_keys():
    assert known_key("lr") == known_key("optimizer.lr") == "optimizer.learning_rate"
    assert known_key("ansatz.layers") is None
