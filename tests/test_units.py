"""Bytes of a config, and bytes for people."""

from __future__ import annotations

import pytest

from qmltrain.units import bytes_of_gib, gib


def test_bytes_of_gib() -> None:
    assert bytes_of_gib(None) is None
    assert bytes_of_gib(1.5) == 1610612736
    assert bytes_of_gib(1e-9) == 1


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0 bytes"), (1024, "1 KiB"), (3 << 19, "1.5 MiB"), (1 << 30, "1 GiB"), (5e12, "4.55 TiB")],
)
def test_bytes_for_people(n_bytes: float, text: str) -> None:
    assert gib(n_bytes) == text
