"""Kernel sources as one text for NVRTC: `#include "..."` of our own files is spelled out, with `#line` directives.

A single text makes the disk cache right by itself: the key is the text and the options. NVRTC needs no headers.
"""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from qmltrain.engines.protocol import Precision
from qmltrain.shipped_files import kernels_directory

_INCLUDE = re.compile(r'^#include "([^"]+)"[^\n]*$', re.MULTILINE)


@lru_cache
def kernel_source(name: str, folder: Path | None = None) -> str:
    """The text of kernels/cuda/`name`.cu with its own headers in place; `folder` is another copy of kernels/cuda."""
    return _expanded((folder or kernels_directory() / "cuda") / f"{name}.cu", set())


def _expanded(path: Path, seen: set[Path]) -> str:
    seen.add(path)
    text = path.read_text(encoding="utf-8")
    parts = [f'#line 1 "kernels/cuda/{path.name}"\n']
    position = 0
    for match in _INCLUDE.finditer(text):
        included = path.parent / match.group(1)
        following = text.count("\n", 0, match.end()) + 2
        parts.append(text[position : match.start()])
        if included not in seen:
            parts.append(_expanded(included, seen))
        parts.append(f'\n#line {following} "kernels/cuda/{path.name}"')
        position = match.end()
    parts.append(text[position:])
    return "".join(parts).replace("#pragma once\n", "\n")


def compile_options(precision: Precision, tile_bits: int | None) -> tuple[str, ...]:
    """NVRTC options, without the architecture."""
    options = ["--std=c++17", f"-DREAL={'float' if precision == 'complex64' else 'double'}", "-lineinfo"]
    if tile_bits is not None:
        options.append(f"-DTILE_BITS={tile_bits}")
    return tuple(options)
