"""Which files an HDF5 dataset is read from: external links, sources of virtual datasets, raw files.

HDF5 itself reads the fill value, mostly 0, where the source of a virtual dataset, a piece of a raw file or a chunk is
missing.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.errors import InputError
from qmltrain.wording import one_line, shown

_MOST_LINKS = 64  # one behind the other; more lead round in a circle


@contextmanager
def reading(where: str, failed: str = "cannot be read") -> Iterator[None]:
    """Whatever h5py raises for a damaged file, as an InputError in one line: "WHERE FAILED: ..."."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        raise InputError(f"{where} {failed}: {one_line(error)}") from error


def open_hdf5(path: Path) -> Any:
    """The file, to be read."""
    import h5py

    # "best-effort": data is often on a read-only or network file system without locks.
    return h5py.File(path, "r", locking="best-effort")


def files_behind(file: Any, keys: tuple[str, ...]) -> tuple[Path, ...]:
    """All other files that datasets `keys` of an open `file` are read from, in the order in which they are met.

    Raises InputError for one that is missing or too short, and for a dataset of which a part was never written, or that
    the sources of a virtual one do not cover.
    """
    with ExitStack() as opened:
        search = _Search(file, opened)
        for key in keys:
            search.follow(file, key, 0)
        return tuple(path for path in search.files if path != _path(file))


class _Search:
    def __init__(self, file: Any, opened: ExitStack) -> None:
        self.origin = Path(file.filename)
        self.files: dict[Path, Any] = {_path(file): file}
        self._opened = opened
        self._done: set[tuple[Path, str]] = set()
        self._below: set[tuple[Path, str]] = set()  # whose sources are being followed; HDF5 crashes on a circle

    def follow(self, file: Any, key: str, depth: int) -> Any:
        """The dataset `key` of `file`, wherever links lead, with all that it is read from entered into `files`; None
        where the file that was asked first has no such name."""
        import h5py

        where = f"{file.filename}: {key.rstrip('/')}"
        if depth > _MOST_LINKS:
            raise InputError(f"{where}: links lead round in a circle; write the data into one file")
        names = [name for name in key.split("/") if name not in ("", ".")]
        found = file["/"]
        for position, name in enumerate(names):
            link = found.get(name, getlink=True) if isinstance(found, h5py.Group) else None
            if link is None and depth == 0:
                return None
            if link is None:
                raise InputError(f"{self.origin}: is read from {where}, which is not there")
            rest = "/".join(names[position + 1 :])
            if isinstance(link, h5py.SoftLink):
                start = "" if link.path.startswith("/") else found.name
                return self.follow(file, f"{start}/{link.path}/{rest}", depth + 1)
            if isinstance(link, h5py.ExternalLink):
                other = self._other(file, link.filename, "HDF5_EXT_PREFIX", where)
                return self.follow(other, f"{link.path}/{rest}", depth + 1)
            found = found[name]
        if not isinstance(found, h5py.Dataset):
            raise InputError(f"{self.origin}: is read from {where}, which is no dataset")
        place = (_path(file), found.name)
        if place in self._below:
            raise InputError(f"{where}: is its own source; write the data into one dataset")
        if place not in self._done:
            self._below.add(place)
            if found.is_virtual:
                self._check_sources(file, found, where, depth)
            elif found.external:
                for raw in found.external:
                    self._check_raw(file, raw, where)
            else:
                _check_written(found, where)
            self._below.remove(place)
            self._done.add(place)
        return found

    def _check_sources(self, file: Any, dataset: Any, where: str, depth: int) -> None:
        from h5py import h5s

        covered = 0
        for virtual_space, file_name, key, source_space in dataset.virtual_sources():
            with reading(f"{where}: has a virtual source without an end, which", "is not possible here"):
                needed = virtual_space.get_select_npoints()
            other = file if file_name == "." else self._other(file, file_name, "HDF5_VDS_PREFIX", where)
            source = self.follow(other, key, depth + 1)
            if source_space.get_select_type() == h5s.SEL_ALL:
                fits = source.size == needed
            else:
                fits = not np.any(np.array(source_space.get_select_bounds()[1]) >= source.shape)
            if not fits:
                raise InputError(f"{where}: {other.filename}: {key} has not the shape that its virtual dataset says")
            covered += needed
        if covered < dataset.size:
            raise InputError(
                f"{where}: is a virtual dataset, and {dataset.size - covered} of its {dataset.size} numbers have no "
                "source; HDF5 would read them as 0"
            )

    def _check_raw(self, file: Any, raw: tuple[str, int, int], where: str) -> None:
        name, offset, size = raw
        prefix = os.environ.get("HDF5_EXTFILE_PREFIX", "").replace("${ORIGIN}", str(_path(file).parent))
        path = Path(prefix) / name
        if not path.is_file() or (size < 2**63 and path.stat().st_size < offset + size):
            raise InputError(f"{where}: its numbers are in {path}, which is not there or too short")
        self.files.setdefault(path.resolve(), None)

    def _other(self, file: Any, name: str, prefix_variable: str, where: str) -> Any:
        """The file that HDF5 would open for `name`, said in `file`: in its order of places."""
        path = Path(name)
        places = [path] if path.is_absolute() else []
        prefixes = os.environ.get(prefix_variable, "").split(":") + [str(Path(file.filename).parent), "."]
        prefixes.append(str(_path(file).parent))
        places += [Path(prefix) / (path.name if path.is_absolute() else path) for prefix in prefixes if prefix]
        for place in places:
            if place.is_file():
                found = place.resolve()
                if self.files.get(found) is None:
                    with reading(f"{place}:", "not a readable HDF5 file"):
                        self.files[found] = self._opened.enter_context(open_hdf5(found))
                return self.files[found]
        raise InputError(f"{where}: is read from {name}, which is not there; HDF5 would read 0 for what is missing")


def _check_written(dataset: Any, where: str) -> None:
    """Every chunk of the dataset has a place in its file; of what is stored in one piece, the piece."""
    if not dataset.size:
        return
    if dataset.chunks is None:
        n_pieces, n_written, pieces = dataset.size, dataset.size if dataset.id.get_storage_size() else 0, "numbers"
    else:
        n_pieces = math.prod(-(-n // step) for n, step in zip(dataset.shape, dataset.chunks, strict=True))
        n_written, pieces = dataset.id.get_num_chunks(), "chunks"
    if n_written < n_pieces:
        raise InputError(
            f"{where}: {n_pieces - n_written} of its {n_pieces} {pieces} were never written; HDF5 would read them as "
            f"{shown(np.asarray(dataset.fillvalue).item())}: write them, or cut the dataset to what there is"
        )


def _path(file: Any) -> Path:
    return Path(file.filename).resolve()
