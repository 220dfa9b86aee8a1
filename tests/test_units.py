"""Bytes of a config, bytes and times for people."""

from __future__ import annotations

import pytest

from qmltrain.units import bytes_of_gib, gib, seconds_text


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


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 us"), (2.5e-6, "2.5 us"), (1e-3, "1 ms"), (0.0999, "99.9 ms"), (18.53, "18.5 s")]
)
def test_times_for_people(seconds: float, text: str) -> None:
    assert seconds_text(seconds) == text
