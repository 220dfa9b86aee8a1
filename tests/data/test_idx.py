"""IDX files: what is read is what was written, damaged and mismatched ones are refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import write_idx, write_idx_pair


def test_idx_labels_are_found_beside_the_images_under_either_spelling(tmp_path):
    images_file, labels_file, _, labels = write_idx_pair(tmp_path)
    images_file = images_file.rename(tmp_path / "t10k-images.idx3-ubyte")
    labels_file.rename(tmp_path / "t10k-labels.idx1-ubyte")
    assert np.array_equal(build_source("idx", {"path": str(images_file)}).labels(), labels)


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_reads_what_was_written(suffix, tmp_path):
    images_file, labels_file, images, labels = write_idx_pair(tmp_path, suffix=suffix)
    source = build_source("idx", {"path": str(images_file)})  # name of the labels file derived
    assert source.info.sample_shape == (5, 4) and source.x.dtype == np.uint8
    rows = np.array([7, 29, 0])
    assert np.array_equal(source.read(rows), images[rows].astype(float))
    assert np.array_equal(source.labels(), labels)
    both = hashlib.sha256(images_file.read_bytes() + labels_file.read_bytes()).hexdigest()
    assert source.checksum == both
    other = images_file.rename(tmp_path / f"pictures{suffix}")
    refused("idx", r"^dataset\.labels_path: not given", path=str(other))
    assert build_source("idx", {"path": str(other), "labels_path": str(labels_file)}).checksum == both


def test_gzip_is_known_by_its_content_not_its_name(tmp_path):
    images_file, _, images, _ = write_idx_pair(tmp_path)
    images_file.write_bytes(gzip.compress(images_file.read_bytes()))
    assert np.array_equal(build_source("idx", {"path": str(images_file)}).x, images)


def spoil(path, change):
    """Apply `change` to the content of the file, inside the compression where there is one."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(change(gzip.decompress(content))))
    else:
        path.write_bytes(change(content))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda b: b"<!DO" + b[4:], "begins with 0x3c21444f, IDX images begin with 0x00000803$"),
        (lambda b: b[:3], "truncated: 3 bytes"),
        (lambda b: b[:9], "truncated inside its header"),
        (lambda b: b[:-1], r"header says \(30, 5, 4\), 600 bytes, but only 599 follow"),
        (lambda b: b + b"x", "but more than 600 follow"),
        (lambda b: b[:4] + b"\xff" * 12 + b[16:], "but only 600 follow"),
        (lambda b: b[:4] + struct.pack(">3I", 0, 5, 4), "is empty, its header says"),
        (lambda b: b"", "truncated: 0 bytes"),
    ],
)
def test_spoilt_idx_images(change, message, suffix, tmp_path):
    images_file, *_ = write_idx_pair(tmp_path, suffix=suffix)
    spoil(images_file, change)
    assert str(images_file) in refused("idx", message, path=str(images_file))


def test_spoilt_gzip(tmp_path):
    images_file, *_ = write_idx_pair(tmp_path, suffix=".gz")
    content = images_file.read_bytes()
    for damaged in (content[: len(content) // 2], content[:-6], content[:200] + b"\0" * 50 + content[250:]):
        images_file.write_bytes(damaged)
        assert str(images_file) in refused("idx", "truncated or damaged gzip", path=str(images_file))


def test_idx_images_and_labels_that_do_not_belong_together(tmp_path):
    images_file, labels_file, _, labels = write_idx_pair(tmp_path)
    refused("idx", "this is a file of labels", path=str(labels_file), labels_path=str(images_file))
    write_idx(labels_file, labels[:-1])
    message = refused("idx", "has 30 images but .* has 29 labels", path=str(images_file))
    assert str(images_file) in message and str(labels_file) in message
    labels_file.unlink()
    refused("idx", rf"^dataset\.labels_path: no file {labels_file}", path=str(images_file))


# Read here, since tests run without the settings of the machine.
DATA_FOLDER = Path(os.environ.get("QMLTRAIN_DATA", "data"))


def test_mnist():
    """The 10,000 test images, where $QMLTRAIN_DATA has them (plain or gzipped)."""
    found = [path for name in (".", "mnist") for path in sorted((DATA_FOLDER / name).glob("t10k-images-idx3-ubyte*"))]
    if not found:
        pytest.skip("no MNIST under $QMLTRAIN_DATA")
    source = build_source("idx", {"path": str(found[0].absolute())})
    assert source.info.sample_shape == (28, 28) and source.info.n_samples == 10_000
    assert np.bincount(source.labels()).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert source.labels()[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    images = source.read(np.arange(10_000))
    assert images.min() == 0 and images.max() == 255 and abs(images.mean() / 255 - 0.1325) < 1e-4
