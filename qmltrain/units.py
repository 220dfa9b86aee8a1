"""Numbers of bytes, as configs give them and as people read them."""

from __future__ import annotations

GIB = 1 << 30


def bytes_of_gib(memory_gib: float | None) -> int | None:
    """Whole bytes of a config's GiB; None (what the device has) stays None."""
    return None if memory_gib is None else int(memory_gib * GIB)


def gib(n_bytes: float) -> str:
    """A number of bytes for people."""
    for unit, size in (("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return f"{n_bytes:.0f} bytes"
