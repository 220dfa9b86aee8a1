"""CIFAR-10: batch files and the folder of the unpacked archive."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import write_cifar10


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_cifar10_of_a_file_and_a_folder(tmp_path, monkeypatch, suffix):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    one, labels_one = write_cifar10(tmp_path / f"data_batch_1.bin{suffix}", 12, seed=1)
    two, _ = write_cifar10(tmp_path / f"data_batch_2.bin{suffix}", 11, seed=2)
    test, _ = write_cifar10(tmp_path / f"test_batch.bin{suffix}", 13, seed=3)
    source = build_source("cifar10", {"path": str(tmp_path / f"data_batch_1.bin{suffix}")})
    assert source.info.sample_shape == (32, 32, 3) and source.x.dtype == np.uint8 and source.info.parts is None
    assert source.info.class_names[3] == "cat" and source.labels().tolist() == labels_one.tolist()
    np.testing.assert_array_equal(source.read(np.array([5, 0])), one[[5, 0]].astype(float))
    whole = build_source("cifar10", {"path": tmp_path.name, "root": str(tmp_path.parent)})
    assert whole.info.n_samples == 36 and whole.info.parts.tolist() == [0] * 23 + [2] * 13
    np.testing.assert_array_equal(whole.x, np.concatenate([one, two, test]))


def test_bad_cifar10_is_refused(tmp_path):
    path = tmp_path / "data_batch_1.bin"
    options = {"path": str(path)}
    write_cifar10(path, 10)
    content = path.read_bytes()
    for bad, message in (
        (content[:-1], r"30729 bytes are not whole records of 3073"),
        (content + b"\0", r"30731 bytes are not whole records of 3073"),
        (b"", r"0 bytes are not whole records"),
        (bytes([10]) + content[1:], r"record 0 has label 10; allowed are 0 to 9"),
    ):
        path.write_bytes(bad)
        refused("cifar10", message, **options)
    path.write_bytes(content)
    write_cifar10(tmp_path / "data_batch_1.bin.gz", 10)
    refused("cifar10", r"^dataset\.path: .*data_batch_1\.bin is there and gzipped as well", path=str(tmp_path))
    (tmp_path / "data_batch_1.bin.gz").rename(tmp_path / "data_batch_2.bin.part")
    assert build_source("cifar10", {"path": str(tmp_path)}).info.n_samples == 10  # a half-written download is none
    (tmp_path / "empty").mkdir()
    refused("cifar10", r"^dataset\.path: .*has no data_batch", path=str(tmp_path / "empty"))
    refused("cifar10", r"^dataset\.path: no file", path=str(tmp_path / "absent"))
    refused("cifar10", r"^dataset\.sha256: .* is a folder", path=str(tmp_path), sha256="0" * 64)
