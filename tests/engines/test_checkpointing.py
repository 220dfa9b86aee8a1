"""Where states are kept, as plain arithmetic."""

from __future__ import annotations

import pytest

from qmltrain.engines.checkpointing import choose, cuts_of_progress, default_interval, states_in_flight
from qmltrain.engines.protocol import GradientOptions
from qmltrain.errors import InputError, MemoryLimitError


def test_states_in_flight_are_psi_the_bra_and_what_is_kept():
    assert states_in_flight("reversible", 100, None) == 2
    assert states_in_flight("reversible", 100, 30) == 2 + 4
    assert states_in_flight("checkpoint", 100, 10) == 10 + 10 + 1
    assert states_in_flight("checkpoint", 3, 10) == 1 + 3 + 1


def test_the_interval_without_one_is_about_the_root_of_the_depth():
    assert [default_interval(depth) for depth in (0, 1, 10, 1000)] == [1, 1, 3, 32]


def test_cuts_come_after_an_interval_of_rotations():
    """Two moments of four rotations each are the interval; pieces are of a moment."""
    assert cuts_of_progress([4] * 6, 6, 2, on_grid=True) == [0, 2, 4]
    assert cuts_of_progress([4] * 6, 6, 2, on_grid=False) == [0, 2, 4]


def test_pieces_of_many_moments_overshoot_the_grid_or_move_it():
    """Six pieces of one and a half moments, an interval of one: on the grid, what was overshot is made up for."""
    assert cuts_of_progress([3] * 6, 9, 2, on_grid=True) == [0, 2, 3, 4]
    assert cuts_of_progress([3] * 6, 9, 2, on_grid=False) == [0, 2, 4]


def test_pieces_without_rotations_make_no_progress():
    assert cuts_of_progress([0, 2, 0, 2, 0, 2], 3, 1, on_grid=False) == [0, 2, 4]
    assert cuts_of_progress([], 0, 1, on_grid=True) == [0]


@pytest.mark.parametrize(
    ("options", "mode", "interval"),
    [
        (GradientOptions(), "reversible", None),
        (GradientOptions("auto", 5), "reversible", 5),
        (GradientOptions("checkpoint"), "checkpoint", 4),
    ],
)
def test_auto_is_reversible(options, mode, interval):
    found = choose(options, 16, 1 << 20, 1 << 30, "16 samples")
    assert found[:2] == (mode, interval)
    assert ("auto is reversible" in found[2]) == (options.mode == "auto")


def test_what_cannot_fit_is_refused_with_a_way_out():
    with pytest.raises(
        MemoryLimitError, match=r"9 states of 16 samples need 9 MiB of 2 MiB; set gradient\.mode=reversible"
    ):
        choose(GradientOptions("checkpoint"), 16, 1 << 20, 2 << 20, "16 samples")
    with pytest.raises(MemoryLimitError, match="fewer qubits"):
        choose(GradientOptions(), 16, 1 << 20, 1 << 20, "16 samples")
    with pytest.raises(InputError, match="at least 1"):
        choose(GradientOptions("auto", 0), 16, 1, 1 << 20, "16 samples")
