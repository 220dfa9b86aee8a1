"""The first block: what never changes in a run file is what was written, or HDF5 does not open it."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import pytest

from qmltrain.errors import InputError, StorageError
from qmltrain.runs import reading
from qmltrain.runs.first_block import FIRST_BLOCK_BYTES, check_first_block, encode_first_block
from qmltrain.runs.sparse_memory import SparseMemory
from qmltrain.runs.store import RunStore
from qmltrain.runs.views import open_run
from tests.runs.small_store import create


@pytest.fixture(params=["unfinished", "completed"])
def run(request, tmp_path: Path) -> Path:
    store = create(tmp_path, gradients="full", attributes={"config_yaml": "learning_rate: 0.05\n"})
    store.append_step(1, {"loss": 0.5}, [1, 2], [1, 2, 3])
    store.close("completed" if request.param == "completed" else "interrupted")
    return tmp_path


def parts_of(path: Path) -> list[list[int]]:
    return list(json.loads(path.read_bytes().split(b"\n")[1])["unchanging"])


def test_the_checksum_is_sha256_of_the_parts_that_it_names(run: Path) -> None:
    data = (run / "run.h5").read_bytes()
    first, second = data.split(b"\n")[:2]
    parts = parts_of(run / "run.h5")
    digest = hashlib.sha256(second + b"\n" + b"".join(data[begin:end] for begin, end in parts)).hexdigest()
    assert first == b"qmltrain-run 2 " + digest.encode()
    assert parts[0][0] == FIRST_BLOCK_BYTES and data[FIRST_BLOCK_BYTES:].startswith(b"\x89HDF")
    rows = len(data) - FIRST_BLOCK_BYTES - sum(end - begin for begin, end in parts)
    capacity, gradients = (1, 1) if open_run(run).status == "completed" else (5, 5)
    epochs = 0 if capacity == 1 else 2
    parameters = 0 if capacity == 1 else 4
    assert rows == 8 * (10 + 2 * capacity + 4 * epochs + 3 * capacity + 4 * gradients + 4 * parameters)


def assert_refused(path: Path) -> None:
    """As damaged, of another version, or no run file."""
    try:
        assert check_first_block(path) == 0
    except (StorageError, InputError) as error:
        assert re.match(f"{path}: (damaged|schema version)", str(error))


def test_every_byte_that_does_not_change_is_guarded(run: Path) -> None:
    path = run / "run.h5"
    whole = path.read_bytes()
    parts = [[0, FIRST_BLOCK_BYTES], *parts_of(path)]
    places = [begin for begin, _ in parts] + [end - 1 for _, end in parts]
    places += np.random.default_rng(0).choice(np.concatenate([np.arange(*part) for part in parts]), 300).tolist()
    for place in places:
        changed = bytearray(whole)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        assert_refused(path)
    for length in range(0, len(whole) - 200, 97):
        path.write_bytes(whole[:length])
        assert_refused(path)


def test_a_changed_config_is_no_config(run: Path) -> None:
    path = run / "run.h5"
    assert open_run(run).config == {"learning_rate": 0.05}
    changed = path.read_bytes().replace(b"learning_rate: 0.05", b"learning_rate: 0.01")
    path.write_bytes(changed)
    with pytest.raises(StorageError, match="run.h5: damaged, or changed by another program"):
        open_run(run)


def test_hdf5_never_opens_a_damaged_structure(run: Path, monkeypatch) -> None:
    """The library was seen to go round in circles for ever in some."""
    path = run / "run.h5"
    data = bytearray(path.read_bytes())
    data[FIRST_BLOCK_BYTES + 512 : FIRST_BLOCK_BYTES + 1024] = bytes(512)
    path.write_bytes(data)
    import h5py

    monkeypatch.setattr(h5py, "File", lambda *args, **kwargs: pytest.fail("HDF5 opened it"))
    for open_it in (open_run, reading.run_status, lambda p: RunStore.reopen(p, steps=0, epochs=0)):
        with pytest.raises(StorageError, match="run.h5: damaged"):
            open_it(run)


def test_more_parts_than_the_block_can_name() -> None:
    image = SparseMemory()
    image.write(bytes(100_000))
    with pytest.raises(ValueError, match="more than its first block can name"):
        encode_first_block(image, [(5000 + 100 * k, 8) for k in range(600)], "a test")
    block = encode_first_block(image, [(5000 + 100 * k, 8) for k in range(100)], "a test")
    assert len(block) == FIRST_BLOCK_BYTES
