"""How many random examples a property test takes.

    @settings(max_examples=examples(200), deadline=None)

All of them where new ones are looked for (`HYPOTHESIS_PROFILE=explore`, as scripts/check_all does), a part of them in
what every commit passes: there they are the same each time, so the rest would find nothing that they did not find once.
"""

from __future__ import annotations

import os

EXPLORES = os.environ.get("HYPOTHESIS_PROFILE") == "explore"
PART = 4
FEWEST = 12


def examples(count: int, fewest: int = FEWEST, explores: bool = EXPLORES) -> int:
    """`count`, or a fourth of them, but not fewer than 12 (`fewest`) where there are that many."""
    return count if explores else min(count, max(fewest, count // PART))
