"""The counter of the rows: their checksums are CRC-32 of their bytes, whatever they are computed from."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.errors import StorageError
from qmltrain.runs import row_counter
from qmltrain.runs.row_counter import RowCount, check_rows, decode_counter, encode_counter, rows_checksum
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


@given(
    n_rows=st.integers(0, 9),
    widths=st.lists(st.one_of(st.none(), st.integers(0, 3)), min_size=1, max_size=4),
    block=st.sampled_from([1, 40, 1 << 22]),
    split=st.integers(0, 9),
)
def test_against_the_bytes_row_by_row(n_rows: int, widths: list[int | None], block: int, split: int) -> None:
    rng = np.random.default_rng(0)
    columns = [np.arange(n_rows), *(rng.random((n_rows,) if w is None else (n_rows, w)) for w in widths)]
    expected = zlib.crc32(b"".join(column[row].tobytes() for row in range(n_rows) for column in columns))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(row_counter, "_BLOCK_BYTES", block)
        assert rows_checksum(columns) == expected
        first = rows_checksum([column[:split] for column in columns])
        assert rows_checksum([column[split:] for column in columns], first) == expected
    check_rows(columns, RowCount(n_rows, expected), "here")
    check_rows(columns, RowCount(n_rows, None), "here")
    with pytest.raises(StorageError, match="here: damaged"):
        check_rows(columns, RowCount(n_rows, expected ^ 1), "here")
    with pytest.raises(StorageError, match=f"here: damaged .it counts {n_rows + 1} rows and has {n_rows}"):
        check_rows(columns, RowCount(n_rows + 1, expected), "here")


def test_the_counter_comes_back() -> None:
    counts = [RowCount(3, 2**32 - 1), RowCount(0, 0), RowCount(2**40, 17)]
    for checksums in (True, False):
        numbers = np.frombuffer(encode_counter(counts, with_checksums=checksums), "<i8")
        assert numbers[:3].tolist() == [3, 0, 2**40]  # as anyone reads them
        found = decode_counter(numbers, ["a", "b", "c"])
        assert [(count.rows, count.checksum) for count in found.values()] == [
            (count.rows, count.checksum if checksums else None) for count in counts
        ]


@pytest.mark.parametrize("completed", [False, True])
def test_every_changed_byte_of_a_row_is_found(tmp_path: Path, completed: bool) -> None:
    """In every table, while the run is unfinished and when it is sealed; and no seal is put on such a row."""
    store = create(tmp_path, gradients="full", parameters_every=1)
    for step in (1, 2, 3):
        store.append_step(step, {"loss": step}, [step, -step], [0.1 * step] * 3, [step] * 3)
        store.append_epoch(step, step, {"val/loss": step}, 0.1) if step < 3 else None
    store.write_parameters_row(3, [7, 7, 7])  # the last row written again
    store.close("completed" if completed else "interrupted")
    path, whole = tmp_path / "run.h5", (tmp_path / "run.h5").read_bytes()
    view, tables = open_run(tmp_path), ("metrics", "epochs", "layer_norms", "gradients", "parameters")
    before = {name: view.table(name) for name in tables}
    assert before["parameters"]["values"].tolist() == [[1] * 3, [2] * 3, [7] * 3]

    import h5py

    with h5py.File(path) as file:
        names = [
            f"{group}/{name}" for group in ("metrics", "epochs", "gradients", "parameters") for name in file[group]
        ]
        datasets = {n: (file[n].id.get_offset(), file[n].dtype.itemsize, file[n].size) for n in names}
    rows = [n for n in datasets if n.split("/")[1] not in ("names", "layer", "parameter")]
    assert len(rows) == 12
    for name in rows:
        offset, size, _ = datasets[name]
        changed = bytearray(whole)
        changed[offset + size - 1] ^= 0x10
        path.write_bytes(changed)
        table = "layer_norms" if "layer_norms" in name else name.split("/")[0]
        with pytest.raises(StorageError, match=f"run.h5: {table}: damaged"):
            view.table(table)
        for other in tables:
            if other != table:
                assert view.table(other).keys() == before[other].keys()
        if not completed:
            known = {t: [len(next(iter(before[t].values()))), 0] for t in tables}
            with pytest.raises(StorageError, match="run.h5: .*: damaged .the checksum of"):
                RunStore.reopen(tmp_path, steps=3, epochs=2, known=known)
            assert path.read_bytes() == changed


def test_damage_while_a_run_trains_is_not_sealed(tmp_path: Path) -> None:
    store = create(tmp_path)
    for step in (1, 2):
        store.append_step(step, {"loss": step})
    path = tmp_path / "run.h5"
    with path.open("r+b") as file:
        file.seek(store._file.header.offsets["metrics/loss"])
        file.write(b"\1")
    live = path.read_bytes()
    with pytest.raises(StorageError, match="run.h5: metrics: damaged"):
        store.close()
    assert path.read_bytes() == live and open_run(tmp_path).status != "completed"


def test_a_snapshot_knows_its_rows(tmp_path: Path) -> None:
    """Rows after it may be anything: they are cut off; the rows before it must be those that it counts."""
    store = create(tmp_path)
    store.append_step(1, {"loss": 1})
    store.append_step(2, {"loss": 2})
    known = store.stored_rows()
    store.append_step(3, {"loss": 3})
    offset = store._file.header.offsets["metrics/loss"]
    store.close("interrupted")
    for step, fits in ((3, True), (2, False), (1, False)):
        with (tmp_path / "run.h5").open("r+b") as file:
            file.seek(offset + 8 * (step - 1))
            file.write(b"\1")
        if fits:
            RunStore.reopen(tmp_path, steps=2, epochs=0, known=known).abandon()
            assert open_run(tmp_path).table("metrics")["loss"].tolist() == [1, 2]
            continue
        with pytest.raises(StorageError, match="checksum of the 2 rows that the snapshot counts is not the one in it"):
            RunStore.reopen(tmp_path, steps=2, epochs=0, known=known)
