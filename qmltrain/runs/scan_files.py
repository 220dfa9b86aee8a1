"""Whether a path is a scan's or a kernel's, and the part of the package that reads scans: it may be taken out."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

from qmltrain.errors import InputError

PATTERNS = ("scan.h5", "scan-*-of-*.h5")  # of the whole, and of shards
KERNEL_NAME = "kernel.h5"


def holds_scan(path: Path) -> bool:
    """Whether `path` is a directory with a scan's file, or such a file, by their names."""
    if path.is_dir():
        return any(next(path.glob(pattern), None) is not None for pattern in PATTERNS)
    return path.is_file() and any(path.match(pattern) for pattern in PATTERNS)


def holds_kernel(path: Path) -> bool:
    """Whether `path` is a directory with a kernel's file, or such a file, by its name."""
    return (path / KERNEL_NAME).is_file() if path.is_dir() else path.is_file() and path.name == KERNEL_NAME


def refuse_kernel(path: Path, verb: str) -> None:
    """Raise InputError where `path` is a kernel's: `verb` has nothing to say of one."""
    if holds_kernel(path):
        raise InputError(
            f"{path}: is a kernel, and {verb} is for trainings and scans; its results are in the status.json beside "
            f"{KERNEL_NAME}, and qmltrain kernel with the same config prints them"
        )


def part_that_reads_scans(name: str) -> ModuleType:
    """The module of that name. Raises InputError where it, or one of ours that it needs, is not there."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("qmltrain."):
            raise
        raise InputError(f"a scan: not part of this installation, which has no {error.name}") from None
