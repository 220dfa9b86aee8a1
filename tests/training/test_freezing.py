"""Frozen parameters: what an entry meets, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.errors import InputError
from qmltrain.models.build import build_model
from qmltrain.training.freezing import frozen_parameters
from qmltrain.training.model import Model
from tests.small_configs import moons


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Model:
    return build_model(moons(tmp_path_factory.mktemp("x"), ansatz__layers=6), 2, 2)  # two blocks, 12 layers


def met(model: Model, *freeze: int | str) -> set[str]:
    found = frozen_parameters(model, freeze)
    return set() if found is None else set(np.array(model.parameter_names)[found])


def test_what_an_entry_meets(model: Model) -> None:
    names = model.parameter_names
    assert frozen_parameters(model, None) is None and frozen_parameters(model, []) is None
    assert (
        met(model, 1)
        == met(model, "ansatz.1")
        == met(model, "ansatz.1.")
        == {name for name in names if name.startswith("ansatz.1.")}
        != set()
    )
    assert met(model, 10, 11) == {n for n in names if n.startswith(("ansatz.10.", "ansatz.11."))}
    assert met(model, "encoding") == {n for n in names if n.startswith("encoding.")}
    assert met(model, "head", 0) == {n for n in names if n.startswith(("head.", "ansatz.0."))}
    assert met(model, "ansatz.3.ry.1") == {"ansatz.3.ry.1"}


@pytest.mark.parametrize(
    ("freeze", "message"),
    [
        ([12], r"12 meets no parameter; this circuit has layers 0 to 11"),
        (["ansatz.12"], r"'ansatz.12' meets no parameter; this circuit has encoding, ansatz, head"),
        (["ansat"], r"'ansat' meets no parameter"),
        (["encoding", "ansatz", "head"], r"leaves none of \d+ parameters to train"),
    ],
)
def test_bad_input_is_refused(model: Model, freeze: list, message: str) -> None:
    with pytest.raises(InputError, match=r"^train\.freeze: .*" + message):
        frozen_parameters(model, freeze)
