"""What `qmltrain collect SCAN` does."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from qmltrain.errors import InputError
from qmltrain.runs.output_file import check_new_file, write_text
from qmltrain.runs.tables import csv_text
from qmltrain.scans.reading import read_scan
from qmltrain.scans.summary import statistics_of
from qmltrain.scans.tables import TABLES, table


def collect(path: Path, *, over: Sequence[str] = (), each: str = "point", output: Path | None = None) -> int:
    """Write the table of the scan in `path` to the new file `output`, else print it.

    Raises InputError where shards are missing or there are no draws, for `over`, and as `table`.
    """
    if over:
        raise InputError("--over: not used by a scan, whose draws are its statistics; leave it out")
    if each not in TABLES:
        raise InputError(f"--each: found {each!r}; allowed: {', '.join(TABLES)}")
    if output is not None:
        check_new_file(output, "--output")
    scan = read_scan(path)
    points = statistics_of(scan)
    if not points:
        raise InputError(f"{path}: no point of this scan has draws yet")
    if not scan.complete:
        done, wanted = (sum(getattr(point, name) for point in scan.points) for name in ("draws", "capacity"))
        print(f"qmltrain: {path}: {done} of {wanted} draws so far", file=sys.stderr)
    header, rows = table(points, each)
    text = csv_text(header, rows)
    if output is None:
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    print(f"table      {output}: {len(rows)} rows", file=sys.stderr)
    return 0
