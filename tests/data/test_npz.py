""".npz files: no code of theirs is run."""

from __future__ import annotations

import numpy as np
import pytest

from tests.data.refusals import refused
from tests.data.writers import X, Y


def test_npz_never_unpickles(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("a data file ran code",))

    np.savez(tmp_path / "data.npz", x=np.array([[Bomb()]], dtype=object), y=Y)
    refused("npz", "x: it holds Python objects; save plain numbers", path=str(tmp_path / "data.npz"))
    np.save(tmp_path / "bare.npy", X)
    refused("npz", "is one bare array; save both", path=str(tmp_path / "bare.npy"))
