"""The tree of kernels/README.md names every source of the kernels, and nothing that is not there."""

from __future__ import annotations

import re
from fnmatch import fnmatch

import pytest

from qmltrain.shipped_files import kernels_directory

KERNELS = kernels_directory()
SOURCES = {".hpp", ".cpp", ".cuh", ".cu"}


def places(page: str) -> dict[str, set[str]]:
    """Folder to the names in the block "What lies where": `cpu/simd/` opens a folder, deeper lines name what is in it,
    with or without extension, with * for more."""
    block = page.split("## What lies where")[1].split("\n## ")[0]
    found: dict[str, set[str]] = {}
    folder = ""
    for line in block.splitlines():
        if not (match := re.match(r"    ( *)(\S.*?)  ", line + "  ")):
            continue
        names = [name.strip() for name in match[2].split(",")]
        if not match[1]:
            folder, _, first = names[0].rpartition("/")
            names = [name.rpartition("/")[2] for name in ([first, *names[1:]] if first else [])]
        found.setdefault(folder, set()).update(names)
    return found


def sources(folder: str) -> set[str]:
    return {path.name for path in (KERNELS / folder).iterdir() if path.suffix in SOURCES}


def named(source: str, name: str) -> bool:
    return fnmatch(source, name) or fnmatch(source.rpartition(".")[0], name)


@pytest.mark.parametrize("folder", ["cpu", "cpu/simd", "cpu/host", "cuda"])
def test_every_source_is_named_and_there(folder):
    names = places((KERNELS / "README.md").read_text(encoding="utf-8"))[folder]
    assert not {s for s in sources(folder) if not any(named(s, name) for name in names)}, "not on the page"
    assert not {name for name in names if not any(named(s, name) for s in sources(folder))}, "not there"
