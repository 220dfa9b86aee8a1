"""What tests of streamed data share."""

from __future__ import annotations

import pytest

from qmltrain.data import checks


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of a few rows, so that small data is streamed in many and uneven pieces."""
    monkeypatch.setattr(checks, "CHUNK_BYTES", 8 * 64 * 7)
