"""Exported Python source, run."""

from __future__ import annotations


def execute(source: str) -> dict:
    """What the source defines."""
    space: dict = {}
    exec(compile(source, "exported", "exec"), space)
    return space
