"""What the choice of a reduction may depend on beside the circuit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Setting:
    """Samples of a step, and the precision."""

    samples: int
    precision: Literal["complex64", "complex128"]
