"""Snapshots: exact, checked, and never the reason that something is lost."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.errors import InputError, StorageError
from qmltrain.runs.snapshots import Snapshot, SnapshotFolder, encode, read_snapshot
from tests.examples import examples

DTYPES = ["?", "<i1", "<u2", "<i4", ">i4", "<i8", "<u8", "<f2", "<f4", "<f8", ">f8", "<c8", "<c16"]


def snapshot(step: int = 5) -> Snapshot:
    rng = np.random.default_rng(step)
    return Snapshot(step, step // 2, {"theta": rng.standard_normal(7)}, {"rng": rng.bit_generator.state, "best": 0.1})


def assert_same(left: Snapshot, right: Snapshot) -> None:
    assert (left.step, left.epoch, left.state) == (right.step, right.epoch, right.state)
    assert list(left.arrays) == list(right.arrays)
    for name, array in left.arrays.items():
        assert array.dtype == right.arrays[name].dtype and array.shape == right.arrays[name].shape
        assert array.tobytes() == right.arrays[name].tobytes()  # NaN payloads and signed zeros included


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (1,), (3,), (2, 0, 3), (2, 3, 5)])
def test_arrays_come_back_bit_by_bit(tmp_path: Path, dtype: str, shape: tuple[int, ...]) -> None:
    array = np.empty(shape, dtype)
    array.reshape(-1).view(np.uint8)[:] = np.random.default_rng(1).integers(0, 2, array.nbytes, np.uint8)
    saved = Snapshot(0, 0, {"x": array, "transposed": array.T, "every second": array[..., ::2] if shape else array})
    folder = SnapshotFolder(tmp_path)
    folder.save(saved)
    loaded = folder.load_latest()
    assert loaded is not None
    assert_same(saved, loaded)
    loaded.arrays["x"][...] = 0  # may be written to


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@settings(max_examples=examples(50), deadline=None)
@given(state=st.dictionaries(st.text(), values, max_size=5))
def test_state_comes_back_as_it_was(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    path = tmp_path_factory.mktemp("state") / "a.snapshot"
    try:
        path.write_bytes(encode(Snapshot(1, 0, {}, state)))
    except UnicodeEncodeError:
        pytest.fail("text that JSON escapes must not fail")
    loaded = read_snapshot(path).state
    assert loaded == state and repr(loaded) == repr(state)  # repr: 1 is not 1.0 and 0.0 is not -0.0


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"a": {1: 2}}, "state.a: key 1 is not a text"),
        ({"a": [0, (1, 2)]}, r"state.a\[1\]: tuple"),
        ({"a": np.float64(1)}, "state.a: float64"),
        ({"a": {1, 2}}, "state.a: set"),
    ],
)
def test_state_that_would_come_back_changed_is_refused(tmp_path: Path, state: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        SnapshotFolder(tmp_path).save(Snapshot(1, 0, {}, state))
    assert list(tmp_path.iterdir()) == []


def test_objects_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="'x': type object"):
        SnapshotFolder(tmp_path).save(Snapshot(1, 0, {"x": np.array([None])}))


def test_every_flipped_bit_and_every_truncation_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "a.snapshot"
    good = encode(snapshot())
    for bit in range(8 * len(good)):
        damaged = bytearray(good)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        with pytest.raises(StorageError, match="a.snapshot: "):
            read_snapshot(path)
    for length in range(len(good)):
        path.write_bytes(good[:length])
        with pytest.raises(StorageError, match="a.snapshot: "):
            read_snapshot(path)
    path.write_bytes(good + b"\0")
    with pytest.raises(StorageError, match="a.snapshot: "):
        read_snapshot(path)
    path.write_bytes(good)
    assert_same(read_snapshot(path), snapshot())


@pytest.mark.parametrize("damage", [b"", b"\x89HDF\r\n\x1a\n", None])
def test_a_damaged_snapshot_falls_back_to_the_one_before(tmp_path: Path, damage: bytes | None) -> None:
    folder = SnapshotFolder(tmp_path, keep=3)
    for step in (1, 2, 3):
        path = folder.save(snapshot(step))
    path.write_bytes(
        encode(snapshot(3)).replace(b"qmltrain-snapshot 1", b"qmltrain-snapshot 7") if damage is None else damage
    )
    with pytest.warns(UserWarning, match=r"step-000000000003.snapshot: .*using step-000000000002.snapshot instead"):
        loaded = folder.load_latest()
    assert loaded is not None
    assert_same(loaded, snapshot(2))


def test_where_no_snapshot_can_be_used_nothing_is_touched(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    for step in (1, 2):
        folder.save(snapshot(step)).write_bytes(b"damaged")
    before = sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir())
    with pytest.raises(StorageError, match="none of 2 snapshots can be used; nothing was changed") as caught:
        SnapshotFolder(tmp_path).load_latest()
    assert "gradient.checkpoint_interval" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert sorted((path.name, path.read_bytes()) for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_the_last_are_kept_and_the_best_apart(tmp_path: Path, keep: int) -> None:
    folder = SnapshotFolder(tmp_path, keep)
    assert folder.load_latest() is None and folder.load_best() is None
    for step in (9, 10, 100, 1000):
        folder.save(snapshot(step))
        if step == 10:
            folder.save_best(snapshot(step))
    kept = sorted(path.name for path in tmp_path.iterdir())
    assert kept == ["best.snapshot", *(f"step-{step:012d}.snapshot" for step in (9, 10, 100, 1000)[-keep:])]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        latest, best = folder.load_latest(), folder.load_best()
    assert latest is not None and best is not None
    assert (latest.step, best.step) == (1000, 10)


def test_a_damaged_newer_snapshot_does_not_push_out_good_ones(tmp_path: Path) -> None:
    """Going back to step 1 because step 3 is damaged, a run saves step 2: that must stay, whatever is kept."""
    folder = SnapshotFolder(tmp_path, keep=1)
    folder.save(snapshot(3)).write_bytes(b"damaged")
    folder.save(snapshot(2))
    loaded = folder.load_latest()
    assert loaded is not None and loaded.step == 2
    assert [path.name for path in tmp_path.iterdir()] == ["step-000000000002.snapshot"]


def test_stale_temporaries_go_and_nothing_else(tmp_path: Path) -> None:
    SnapshotFolder(tmp_path).save(snapshot(1))
    (tmp_path / "step-000000000002.snapshot.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_text("mine")
    SnapshotFolder(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "step-000000000001.snapshot"]


def test_a_damaged_best_is_an_error(tmp_path: Path) -> None:
    folder = SnapshotFolder(tmp_path)
    folder.save_best(snapshot()).write_bytes(b"damaged")
    with pytest.raises(StorageError, match=r"best.snapshot"):
        folder.load_best()


def test_bad_arguments_and_places(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="run.keep: found 0, must be at least 1 .*gradient.checkpoint_interval"):
        SnapshotFolder(tmp_path, keep=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot create"):
        SnapshotFolder(tmp_path / "file")
    folder = SnapshotFolder(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(StorageError, match="cannot write .*No such file"):
        folder.save(snapshot())
