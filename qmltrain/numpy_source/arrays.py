"""Arrays of float64 in Python source, to the last bit.

All are in the source itself, none in a file beside it: what is exported goes to standard output as well, and a source
that is moved or sent alone still predicts. Up to `READABLE` numbers stand there in decimals, in the fewest digits that
come back exactly; nobody reads more, and in base64 they take half the room and no time to be parsed.
"""

from __future__ import annotations

import base64
import textwrap

import numpy as np

from qmltrain.data.protocol import FloatArray

READABLE = 4096
_WIDTH = 116


class Arrays:
    """Arrays by the names that a source has for them, in the order in which they came."""

    def __init__(self) -> None:
        self._named: dict[str, FloatArray] = {}

    def add(self, name: str, values: FloatArray) -> str:
        """The name, to be written where the array is used."""
        self._named[name] = np.asarray(values, dtype=np.float64)
        return name

    @property
    def imports(self) -> tuple[str, ...]:
        """Modules that the definitions need beside NumPy."""
        return ("base64",) if any(_is_long(values) for values in self._named.values()) else ()

    def lines(self) -> list[str]:
        """The definitions."""
        return [line for name, values in self._named.items() for line in _definition(name, values)]


def _is_long(values: FloatArray) -> bool:
    return values.size > READABLE


def _definition(name: str, values: FloatArray) -> list[str]:
    if not _is_long(values):
        rows = "],\n    [".join(_decimals(row) for row in np.atleast_2d(values))
        body = f"    {rows}," if values.ndim < 2 else f"    [{rows}],"
        return f"{name} = np.array([\n{body}\n])".splitlines()
    text = base64.b64encode(np.ascontiguousarray(values, dtype="<f8").tobytes()).decode("ascii")
    return [
        f"# {' x '.join(map(str, values.shape))} numbers of float64, little-endian, in base64",
        f'{name} = np.frombuffer(base64.b64decode("""',
        *(text[first : first + _WIDTH] for first in range(0, len(text), _WIDTH)),
        f'"""), dtype="<f8").reshape({values.shape})',
    ]


def _decimals(row: FloatArray) -> str:
    return "\n    ".join(textwrap.wrap(", ".join(map(repr, row.tolist())), _WIDTH, break_on_hyphens=False))
