"""Feature values that an encoding cannot take are refused with sample and feature."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.circuit.feature_domains import FeatureDomain
from qmltrain.circuit.library.assemble import assemble
from qmltrain.circuit.library.encodings import ENCODINGS
from qmltrain.errors import InputError


def circuit_of(name: str, n_features: int = 2):
    return assemble(3, n_features, name, {}, "hea", {})


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"python"}))
def test_bits_suit_every_encoding(name: str) -> None:
    FeatureDomain(circuit_of(name), name).check([[0.0, 1.0], [1.0, 1.0]])


@pytest.mark.parametrize("name", sorted(set(ENCODINGS) - {"python"}))
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_suit_none(name: str, value: float) -> None:
    with pytest.raises(InputError, match=r"^features: sample 1, feature 0: (nan|inf) is not finite"):
        FeatureDomain(circuit_of(name), name).check([[0.0, 1.0], [value, 1.0]])


def test_arccos_and_bits_have_their_ranges() -> None:
    FeatureDomain(circuit_of("chebyshev")).check([[-1.0, 0.3]])
    with pytest.raises(InputError, match=r"sample 0, feature 1: -1\.5 is outside \[-1, 1\]"):
        FeatureDomain(circuit_of("chebyshev")).check([[1.0, -1.5]])
    FeatureDomain(circuit_of("fourier")).check([[5.0, -1.5]])
    with pytest.raises(InputError, match=r"sample 0, feature 1: 0\.5 is neither 0 nor 1.* \(1 more\)$"):
        FeatureDomain(circuit_of("basis"), "basis").check([[1.0, 0.5], [2.0, 0.0]])


@pytest.mark.parametrize("shape", [(2, 3), (2,), (1, 1)])
def test_the_number_of_features_is_the_circuits(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="the circuit takes 2 features per sample"):
        FeatureDomain(circuit_of("angle")).check(np.zeros(shape))
