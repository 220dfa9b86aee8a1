"""Single damages to every file of a stopped and of a finished run: recovered, harmless, or refused in one line."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tests.sessions.complete_runs import complete
from tests.sessions.damage import draw, evaluation_of, outcome, read, resumed
from tests.sessions.stopped_runs import train_until
from tests.small_configs import moons

FEW, MANY = 9, 500  # damages to each of the two runs


@pytest.mark.parametrize("number", [FEW, pytest.param(MANY, marks=pytest.mark.slow)])
def test_single_damages(tmp_path: Path, number: int) -> None:
    whole = complete(tmp_path / "whole", run__gradients="full")
    stopped = train_until(moons(tmp_path / "stopped", run__gradients="full"), 8)
    evaluation_of(whole), evaluation_of(stopped)
    rng = np.random.default_rng(number)
    failures: list[str] = []
    counts: Counter[tuple[str, str, str, str]] = Counter()
    for run, cases in ((stopped, ((resumed, whole), (read, stopped))), (whole, ((read, whole),))):
        for damage in draw(run, number, rng):
            for case, expected in cases:
                found = outcome(case, run, expected, damage, tmp_path / "damaged")
                if found not in ("harmless", "recovered", "refused"):
                    failures.append(f"{case.__name__} after {damage}: {found}")
                    found = "wrong"
                counts[run.parent.name, case.__name__, damage.file, found] += 1
    print(*sorted(counts.items()), sep="\n")
    assert not failures, "\n".join(failures[:20])
    assert {found for *_, found in counts} == {"harmless", "recovered", "refused"}
