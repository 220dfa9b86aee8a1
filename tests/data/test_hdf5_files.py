"""HDF5 data in several files: read whole or refused, and a change to any of them is noticed."""

from __future__ import annotations

import hashlib

import h5py
import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused
from tests.data.writers import X, Y, write_hdf5


@pytest.fixture
def main(tmp_path):
    """The file that is named, with labels and no samples yet, and one of samples in a folder beside it."""
    (tmp_path / "parts").mkdir()
    write_hdf5(tmp_path / "parts" / "part.h5", X, Y)
    with h5py.File(tmp_path / "main.h5", "w") as file:
        file["y"] = Y
    return tmp_path / "main.h5"


def virtual(file, *sources, rows=12):
    """Samples of which every source (file, dataset, rows) has the next rows."""
    layout, start = h5py.VirtualLayout((rows, 3), float), 0
    for name, key, count in sources:
        layout[start : start + count] = h5py.VirtualSource(name, key, (count, 3))
        start += count
    file.create_virtual_dataset("x", layout)


def link(main):
    with h5py.File(main, "a") as file:
        file["x"] = h5py.ExternalLink("parts/part.h5", "x")


def link_of_links(main):
    with h5py.File(main.parent / "parts" / "middle.h5", "w") as file:
        file["all"] = h5py.SoftLink("inner")
        file["inner/x"] = h5py.ExternalLink("part.h5", "/x")
    with h5py.File(main, "a") as file:
        file["group"] = h5py.ExternalLink("parts/middle.h5", "all")
        file["x"] = h5py.SoftLink("group/x")


def pieces(main):
    write_hdf5(main.parent / "parts" / "half.h5", X[:6], Y)
    with h5py.File(main, "a") as file:
        file["rest"] = X[6:]
        virtual(file, ("parts/half.h5", "x", 6), (".", "rest", 6))


def pieces_of_a_link(main):
    with h5py.File(main.parent / "middle.h5", "w") as file:
        file["x"] = h5py.ExternalLink("parts/part.h5", "x")
    with h5py.File(main, "a") as file:
        virtual(file, ("middle.h5", "x", 12))


def raw(main):
    (main.parent / "raw.bin").write_bytes(b"head" + X.tobytes())
    with h5py.File(main, "a") as file:
        file.create_dataset("x", (12, 3), float, external=[(str(main.parent / "raw.bin"), 4, 8 * 36)])


@pytest.mark.parametrize(
    ("layout", "files"),
    [
        (link, ["parts/part.h5"]),
        (link_of_links, ["parts/middle.h5", "parts/part.h5"]),
        (pieces, ["parts/half.h5"]),
        (pieces_of_a_link, ["middle.h5", "parts/part.h5"]),
        (raw, ["raw.bin"]),
    ],
)
def test_every_file_is_in_the_checksum(main, layout, files):
    layout(main)
    options = {"path": str(main)}
    source = build_source("hdf5", options)
    np.testing.assert_array_equal(source.read(np.arange(12)), X)
    places = [main, *(main.parent / name for name in files)]
    assert list(source.files) == places
    before = hashlib.sha256(b"".join(place.read_bytes() for place in places)).hexdigest()
    assert source.checksum == before == build_source("hdf5", options | {"sha256": before}).checksum
    del source
    for place in places[1:]:
        content = place.read_bytes()
        with place.open("ab") as stream:  # HDF5 does not look behind its end
            stream.write(b"changed")
        assert build_source("hdf5", options).checksum != before
        refused("hdf5", rf"^dataset\.sha256: {main}, with .*{place}.*was changed$", **options, sha256=before)
        place.unlink()
        refused("hdf5", "which is not there", **options)
        place.write_bytes(content)
        assert build_source("hdf5", options).checksum == before


def test_one_file_has_the_checksum_that_it_always_had(main):
    write_hdf5(main, X, Y)
    with h5py.File(main, "a") as file:
        file["alias"] = h5py.SoftLink("/x")
    for key in ("x", "alias"):
        source = build_source("hdf5", {"path": str(main), "x_key": key})
        assert source.checksum == hashlib.sha256(main.read_bytes()).hexdigest() and source.files == (main,)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ([("parts/half.h5", "x", 6), ("parts/gone.h5", "x", 6)], r"x: is read from parts/gone\.h5, which is not there"),
        ([("parts/part.h5", "gone", 12)], r"is read from .*part\.h5: gone, which is not there"),
        ([("parts/half.h5", "x", 6)], "18 of its 36 numbers have no source; HDF5 would read them as 0"),
        ([(".", "x", 12)], "main.h5: x: is its own source"),
        ([("parts/unwritten.h5", "x", 12)], r"unwritten\.h5: x: 36 of its 36 numbers were never written"),
    ],
)
def test_what_hdf5_would_read_as_zero_is_refused(main, sources, message):
    write_hdf5(main.parent / "parts" / "half.h5", X[:6], Y)
    with h5py.File(main.parent / "parts" / "unwritten.h5", "w") as file:
        file.create_dataset("x", (12, 3), float)
    with h5py.File(main, "a") as file:
        virtual(file, *sources)
    refused("hdf5", message, path=str(main))


def test_sources_that_are_shorter_than_they_were(main):
    pieces(main)
    with h5py.File(main.parent / "parts" / "half.h5", "w") as file:
        file["x"] = X[:5]
    refused("hdf5", r"x: .*half\.h5: x has not the shape that its virtual dataset says", path=str(main))


def test_rows_of_sources_that_are_no_longer_there(main):
    with h5py.File(main, "a") as file:
        layout = h5py.VirtualLayout((12, 3), float)
        layout[:] = h5py.VirtualSource("parts/long.h5", "x", (20, 3))[8:20]
        file.create_virtual_dataset("x", layout)
    write_hdf5(main.parent / "parts" / "long.h5", np.ones((20, 3)), Y)
    source = build_source("hdf5", {"path": str(main)})
    assert source.read(np.arange(12)).all()
    del source
    write_hdf5(main.parent / "parts" / "long.h5", np.ones((19, 3)), Y)
    refused("hdf5", r"x: .*long\.h5: x has not the shape", path=str(main))


def test_raw_files_that_are_too_short(main):
    raw(main)
    with (main.parent / "raw.bin").open("r+b") as file:
        file.truncate(100)
    refused("hdf5", r"x: its numbers are in .*raw\.bin, which is not there or too short", path=str(main))


def test_virtual_datasets_without_an_end(main):
    with h5py.File(main, "a") as file:
        layout = h5py.VirtualLayout((12, 3), float, maxshape=(None, 3))
        layout[: h5py.h5s.UNLIMITED] = h5py.VirtualSource("parts/part.h5", "x", (12, 3), maxshape=(None, 3))[
            : h5py.h5s.UNLIMITED
        ]
        file.create_virtual_dataset("x", layout)
    refused("hdf5", "x: has a virtual source without an end", path=str(main))


@pytest.mark.parametrize("target", ["/x", "/y2", "x"])
def test_links_round_in_a_circle_and_to_nothing(main, target):
    with h5py.File(main, "a") as file:
        file["x"] = h5py.SoftLink(target)
        file["split"] = h5py.SoftLink("/split")
        file["y2"] = h5py.SoftLink("/x")
    refused("hdf5", "main.h5: x: cannot be read|has no dataset 'x'; it has y", path=str(main))
    with h5py.File(main, "a") as file:
        del file["x"]
        file["x"] = X
    refused("hdf5", "has no dataset 'split'|split: cannot be read", path=str(main), split_key="split")


def test_a_link_to_nothing_has_its_name_without_a_slash(main):
    with h5py.File(main.parent / "mid.h5", "w") as file:
        file["x"] = h5py.ExternalLink("gone.h5", "x")
    with h5py.File(main, "a") as file:
        file["x"] = h5py.ExternalLink("mid.h5", "x")
    refused("hdf5", r"mid\.h5: /?x: is read from gone\.h5, which is not there", path=str(main))


def test_what_was_never_written_is_refused(tmp_path):
    def message(key, **layout):
        with h5py.File(tmp_path / "data.h5", "w") as file:
            shapes = {"x": X, "y": Y}
            for name, values in shapes.items():
                if name != key:
                    file[name] = values
            written = layout.pop("written")
            file.create_dataset(key, shapes[key].shape, shapes[key].dtype, **layout)[:written] = shapes[key][:written]
        return refused("hdf5", "never written", path=str(tmp_path / "data.h5")).partition("data.h5: ")[2]

    end = "write them, or cut the dataset to what there is"
    assert message("x", chunks=(4, 2), written=8) == (
        f"x: 2 of its 6 chunks were never written; HDF5 would read them as 0.0: {end}"
    )
    assert message("x", chunks=(5, 3), maxshape=(None, 3), compression="gzip", fillvalue=7, written=5) == (
        f"x: 2 of its 3 chunks were never written; HDF5 would read them as 7.0: {end}"
    )
    assert message("x", written=0) == f"x: 36 of its 36 numbers were never written; HDF5 would read them as 0.0: {end}"
    assert message("y", chunks=(6,), written=6).startswith("y: 1 of its 2 chunks")
    with h5py.File(tmp_path / "data.h5", "w") as file:  # a file that grew, was cut, and holds zeros that were written
        x = file.create_dataset("x", (20, 3), float, chunks=(4, 3), maxshape=(None, 3))
        x[:] = 0
        x.resize((12, 3))
        file["y"] = Y
    assert not build_source("hdf5", {"path": str(tmp_path / "data.h5")}).read(np.arange(12)).any()
