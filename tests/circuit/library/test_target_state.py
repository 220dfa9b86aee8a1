"""The projector on a state against the dense one, and states that are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from qmltrain.circuit.library.assemble import assemble_observables
from qmltrain.errors import InputError
from tests.circuit.library.dense_observables import matrix


@pytest.mark.parametrize("kind", ["complex", "real", "sparse"])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_it_is_the_projector(tmp_path: Path, n: int, kind: str) -> None:
    generator = np.random.default_rng(n)
    state = generator.normal(size=2**n) + (0 if kind == "real" else 1j) * generator.normal(size=2**n)
    if kind == "sparse":
        state[1:] *= generator.random(2**n - 1) < 0.5
    state /= np.linalg.norm(state)
    np.save(tmp_path / "goal.npy", state)
    observables = assemble_observables(n, "target_state", {"path": str(tmp_path / "goal.npy")})
    assert observables.names == ("goal",) and len(observables.strings) == 2**n - 1
    np.testing.assert_allclose(matrix(observables, 0, n), np.outer(state, state.conj()), atol=1e-13)


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (np.ones(4), r"norm 2 where 1 is needed"),
        (np.ones(2) / np.sqrt(2), r"float64 of shape \(2,\); 4 amplitudes are needed"),
        (np.eye(2) / np.sqrt(2), r"of shape \(2, 2\)"),
        (np.array([np.nan, 0, 0, 0]), r"norm nan"),
        (np.array(["a", "b", "c", "d"]), r"4 amplitudes are needed"),
    ],
)
def test_bad_states_are_refused(tmp_path: Path, state: np.ndarray, message: str) -> None:
    np.save(tmp_path / "state.npy", state)
    with pytest.raises(InputError, match=r"^observable\.path: .*" + message):
        assemble_observables(2, "target_state", {"path": str(tmp_path / "state.npy")})


def test_bad_files_and_too_many_qubits_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text.npy").write_text("1 0")
    for name in ("text.npy", "missing.npy"):
        with pytest.raises(InputError, match=r"^observable\.path: the target state .* cannot be read") as refused:
            assemble_observables(2, "target_state", {"path": str(tmp_path / name)})
        assert "\n" not in str(refused.value)
    with pytest.raises(InputError, match=r"^observable\.name: target_state on 17 qubits .*at most 16 qubits"):
        assemble_observables(17, "target_state", {"path": "any.npy"})
