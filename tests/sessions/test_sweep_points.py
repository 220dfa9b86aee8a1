"""points.jsonl: lines come back as they were written, and damage is found."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.sessions.sweep_points import POINTS, append_point, count_points, read_points


def test_points_come_back_in_order(tmp_path: Path) -> None:
    file = tmp_path / POINTS
    assert read_points(file) == [] and count_points(file) == 0
    points = [{"point": number, "run": None, "error": "no\nluck"} for number in range(3)]
    for point in points:
        append_point(file, point)
    assert read_points(file) == points and count_points(file) == 3
    assert read_points(file, after=2) == points[2:]


@pytest.mark.parametrize("line", ["{", "[]", "3"])
def test_damaged_lines_are_found_where_they_are_read(tmp_path: Path, line: str) -> None:
    file = tmp_path / POINTS
    file.write_text(f"{line}\n")
    append_point(file, {"point": 1})
    assert count_points(file) == 2 and read_points(file, after=1) == [{"point": 1}]
    with pytest.raises(ValueError):
        read_points(file)
