"""What a sweep leaves in its directory: `points.jsonl`, one line per point, also from several processes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

POINTS = "points.jsonl"


def append_point(file: Path, point: dict[str, Any]) -> None:
    """Add a line at the end of `file`."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    try:
        os.write(descriptor, (json.dumps(point) + "\n").encode())  # one call per line: processes may share the file
    finally:
        os.close(descriptor)


def count_points(file: Path) -> int:
    """Lines in `file`, readable or not; 0 where there is no file yet."""
    return len(file.read_text(encoding="utf-8").splitlines()) if file.exists() else 0


def read_points(file: Path, after: int = 0) -> list[dict[str, Any]]:
    """The points in `file` after the first so many, in the order in which they ended.

    Raises ValueError where one of them is damaged.
    """
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    points = [json.loads(line) for line in lines[after:]]
    if not all(isinstance(point, dict) for point in points):
        raise ValueError("a line is no point")
    return points
