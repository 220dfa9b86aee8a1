"""The quantities of each draw of a study, judged by slow independent computations."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.engines.reference import ReferenceEngine
from qmltrain.errors import InputError
from qmltrain.studies.ensemble import Column, Plane, Study, columns_of
from tests.training.small_models import make


def study(**changes) -> Study:
    given = {"quantities": ("loss", "gradient", "gradient_norms"), "chosen": (0, 3), **changes}
    return Study(make("regression"), ReferenceEngine(), features_RF=np.zeros((2, 3)), targets_R=np.zeros(2), **given)


def test_columns_have_the_names_of_parameters_and_layers():
    names = make("regression").parameter_names
    assert columns_of(study()) == (
        Column("loss"),
        Column("gradient", (2,), (names[0], names[3])),
        Column("gradient_norms", (4,), ("layer.0", "layer.1", "head", "all")),
    )


def test_a_plane_has_its_values_alone():
    plane = Plane(("random", "random"), 2.0, 5)
    assert columns_of(study(plane=plane)) == (Column("value", (5, 5)),)
    np.testing.assert_allclose(plane.offsets, [-2, -1, 0, 1, 2])


def test_an_unknown_quantity_is_refused():
    with pytest.raises(InputError, match=r"scan.quantities: 'norms' is not known; choose of loss, gradient"):
        columns_of(study(quantities=("loss", "norms")))
