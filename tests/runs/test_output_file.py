"""A new file of a verb: what is in its way is said before the work, and it is written whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from qmltrain.errors import InputError
from qmltrain.runs.output_file import check_new_file, write_text


def test_what_is_in_the_way_is_named(tmp_path: Path) -> None:
    there, inside, missing = tmp_path / "there", tmp_path / "there" / "a", tmp_path / "no" / "a"
    there.write_text("")
    with pytest.raises(InputError, match=r"^--output: .*/there exists already; remove it or choose another name$"):
        check_new_file(there, "--output")
    with pytest.raises(InputError, match=r"^--output: there is no folder .*/no; make it first$"):
        check_new_file(missing, "--output")
    with pytest.raises(InputError, match=r"^study\.output: .*/there is not a directory; choose another$"):
        check_new_file(inside, "study.output", folder_is_made=True)
    check_new_file(missing, "study.output", folder_is_made=True)
    check_new_file(tmp_path / "new", "--output")


def test_text_is_written_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "new", "θ = 1\n")
    assert (tmp_path / "new").read_text(encoding="utf-8") == "θ = 1\n"
    assert [path.name for path in tmp_path.iterdir()] == ["new"]
