"""Loading the C++ extension: one of another version would compute nonsense, so it is not loaded."""

from __future__ import annotations

import pytest

from qmltrain.engines.cpu import extension
from qmltrain.engines.selection import select_engine
from qmltrain.errors import EngineUnavailableError


@pytest.fixture
def built() -> None:
    if extension.unavailable_reason() is not None:
        pytest.skip(str(extension.unavailable_reason()))


def test_an_extension_of_another_version_is_refused(built, monkeypatch):
    monkeypatch.setattr(extension, "INTERFACE", 999)
    with pytest.raises(EngineUnavailableError, match="of another version .* install qmltrain again"):
        select_engine("cpu")
    selection = select_engine("auto")
    assert selection.engine.name != "cpu"
    assert "another version" in selection.reason
