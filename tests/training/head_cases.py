"""Every registered head, with the options that it may have."""

from __future__ import annotations

from qmltrain.errors import InputError
from qmltrain.training.heads import HEADS, Head

OPTIONS: dict[str, list[dict]] = {
    "linear": [{}, {"bias": False}],
    "bias": [{}, {"initial_bias": 0.5, "initial_deviation": 0.1}],
    "mlp": [
        {"hidden": [4]},
        {"hidden": [1], "activation": "none", "bias": False},
        {"hidden": [9, 17], "activation": "relu"},
        {"hidden": [3, 2, 5], "activation": "sigmoid", "bias": False},
    ],
}


def options_of(name: str) -> list[dict]:
    return OPTIONS.get(name, [{}])


def build(name: str, n_observables: int, n_outputs: int) -> Head:
    """With the first of its options."""
    return HEADS[name](n_observables, n_outputs, **options_of(name)[0])


def registered_cases() -> list[Head]:
    """Each registered head with all its options, for sizes that it takes."""
    cases = []
    for name, head in HEADS.items():
        for options in options_of(name):
            for n_observables, n_outputs in [(1, 1), (3, 3), (8, 10), (5, 1)]:
                try:
                    cases.append(head(n_observables, n_outputs, **options))
                except InputError:
                    continue
    return cases


CASES = registered_cases()
