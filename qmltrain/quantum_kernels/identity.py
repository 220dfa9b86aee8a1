"""What a Gram matrix is called: the settings that change its values name its directory.

Those are of the data, the circuit, the engine's numbers, and the kernel; not of what a training does with them, nor of
the machine that is fitted on the matrix: `kernel.C` may change, and the matrix stays.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from qmltrain.config.identity import OF_ANOTHER_RUN, OF_THE_DRAW, SEEDS_OF_THE_START, counted
from qmltrain.config.schema import Config
from qmltrain.config.storage import to_dict
from qmltrain.errors import InputError

_UNREAD_GROUPS = ("observable", "head", "loss", "optimizer", "schedule", "gradient", "study", "scan")
_OF_THE_MATRIX = ("name", "gamma")  # of the group `kernel`


def settings(config: Config, run: dict[str, Any] | None = None) -> dict[str, Any]:
    """The options that count, by dotted key, sorted; `run` stands for a trained run: what its circuit, data and
    parameters are."""
    plain = to_dict(config)
    if run is not None:
        found = {key: value for key, value in counted(plain).items() if key.partition(".")[0] == "engine"} | run
    else:
        found = {key: value for key, value in counted(plain).items() if _is_read(key)}
    found |= {f"kernel.{name}": plain["kernel"][name] for name in _OF_THE_MATRIX if plain["kernel"][name] is not None}
    return dict(sorted(found.items()))


def digest(found: dict[str, Any]) -> str:
    """Eight hexadecimal digits, the end of a kernel's directory."""
    return hashlib.sha256(json.dumps({"kernel": found}).encode()).hexdigest()[:8]


def check_same_kernel(before: dict[str, Any], now: dict[str, Any], where: Any) -> None:
    """Raise InputError where the kernel file `where` is one of other settings."""
    changes = [
        f"{key} was {_word(before.get(key))}, now {_word(now.get(key))}"
        for key in sorted(before.keys() | now.keys())
        if before.get(key) != now.get(key)
    ]
    if changes:
        raise InputError(
            f"{where}: holds a kernel of another config ({', '.join(changes)}); use its values, or another run.dir"
        )


def _is_read(key: str) -> bool:
    group = key.partition(".")[0]
    if group in ("train", "run"):
        return key in OF_THE_DRAW + OF_ANOTHER_RUN + SEEDS_OF_THE_START
    return group not in _UNREAD_GROUPS


def _word(value: Any) -> str:
    return "null" if value is None else json.dumps(value)
