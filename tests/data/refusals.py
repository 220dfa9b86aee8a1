"""Data that is refused: in one line, when it is opened or, where samples stay in their file, when they are read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from qmltrain.errors import InputError


def refused(name: str, message: str, *, test_path: str | None = None, **options: Any) -> str:
    """The message of the InputError, which matches `message` and is one line."""
    with pytest.raises(InputError, match=message) as caught:
        source = build_source(name, options, test_path)
        if not source.info.in_memory:
            source.read(np.arange(source.info.n_samples))
    assert "\n" not in str(caught.value)
    return str(caught.value)
