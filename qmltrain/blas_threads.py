"""Products on one thread: the last bits of BLAS change with the number of its threads."""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np  # noqa: F401 - its BLAS is among the libraries then

if TYPE_CHECKING:
    from threadpoolctl import ThreadpoolController


def one_thread() -> AbstractContextManager[Any]:
    """While it lasts, products of NumPy, and of SciPy where it has been imported, take one thread."""
    context: AbstractContextManager[Any] = _libraries("scipy.linalg" in sys.modules).limit(limits=1, user_api="blas")
    return context


@cache  # to look through the libraries of a process takes milliseconds
def _libraries(with_scipy: bool) -> ThreadpoolController:
    """Each of the two packages brings a BLAS of its own: look again when the second has been loaded."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
