"""`engine.name=auto`: the first engine that can run, and what those before it lack; a named one never falls back."""

from __future__ import annotations

import pytest

from qmltrain.engines import selection
from qmltrain.errors import EngineUnavailableError, InputError


def test_auto_says_what_it_took_and_what_was_missing(monkeypatch):
    load = selection._load

    def loading(name):
        if name in ("cuda", "cpu"):
            raise EngineUnavailableError(f"engine {name}: the {name} part is missing")
        return load(name)

    monkeypatch.setattr(selection, "_load", loading)
    found = selection.select_engine("auto")
    assert found.engine.name == "interpreter"
    for words in ("took interpreter", "the cuda part is missing", "the cpu part is missing"):
        assert words in found.reason
    with pytest.raises(EngineUnavailableError, match="the cpu part is missing"):
        selection.select_engine("cpu")


def test_an_unknown_engine_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"engine\.name: 'gpu' is not an engine; choose auto, cuda, cpu, interpreter"):
        selection.select_engine("gpu")
