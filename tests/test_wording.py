"""Names and values in messages: one line, never long, whatever a file holds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.data.preprocessing import Preprocessor
from qmltrain.data.registry import build_source
from qmltrain.data.selection import select
from qmltrain.wording import listed, one_line, plural, shown
from tests.data.refusals import refused

LONG = "x" * 5000


@given(st.lists(st.text() | st.integers()))
def test_lists_are_one_short_line(names):
    text = listed(names)
    assert len(text.splitlines()) <= 1 and len(text) < 11 * 82 + 20
    assert all(len(shown(name)) <= 80 for name in names)


def test_numbers_have_their_word():
    assert [plural(n, "row") for n in (0, 1, 2)] == ["0 rows", "1 row", "2 rows"]
    assert [plural(n, "class") for n in (1, 3)] == ["1 class", "3 classes"]


def test_short_ones_are_whole():
    assert shown("a b") == "'a b'" and shown(12) == "12"
    assert listed(["a", "b c", 3]) == "a, b c, 3"
    assert listed(["first\nsecond"]) == "first second"
    assert listed(range(23)) == "0, 1, 2, 3, 4, 5, 6, 7, 8, 9, ... 13 more"
    assert listed(range(23), 20) == ", ".join(map(str, range(20))) + ", ... 3 more"
    assert listed("abcdefghijk") == "a, b, c, d, e, f, g, h, i, j, k"  # not "... 1 more"
    assert shown(LONG) == "'" + "x" * 76 + "..."
    assert one_line(ValueError("a\n  b")) == "a b"


def test_long_cells_and_names_are_shortened(tmp_path):
    def message(text, words, **options):
        (tmp_path / "data.csv").write_text(text)
        found = refused("csv", words, path=str(tmp_path / "data.csv"), **{"target": "y", **options})
        assert len(found) < 600

    message(f"a,y\n1,0\n{LONG},1\n", "which is no number")
    message(f"a,y\n1,{LONG}\n2,1\n", "needs numbers", task="regression")
    message(f"{LONG},y\n1,0\nz,1\n", "which is no number")
    message(f"{LONG},{LONG},y\n1,2,0\n", "two columns of the name")
    message('"a\nb",y\n1,0\n', "has no column 'z'; it has a b, y", target="z")
    message(f"a,y,s\n1,0,{LONG}\n2,1,test\n", "row 0 is 'x", split_column="s")
    message("a,y\n1,0\n2,1\n", "has no column 'x", target=LONG)
    np.savez(tmp_path / "data.npz", **{f"{LONG[:200]}{k}": np.zeros(1) for k in range(50)})
    assert len(refused("npz", "has no array 'x'", path=str(tmp_path / "data.npz"))) < 1500


def test_one_is_one(tmp_path):
    (tmp_path / "data.csv").write_text("a,y\n1.5,0\n")
    described = build_source("csv", {"path": str(tmp_path / "data.csv"), "target": "y"}).info.description
    assert described.startswith("csv: 1 sample of 1, 1 class from ")
    iris = build_source("iris", {})
    assert select(iris, classes=[0], samples=1, fewest_classes=1).info.description.endswith(
        "; selected 50 samples, 1 class; selected 1 sample, 1 class"
    )
    fitted = Preprocessor.fit(iris, np.arange(150), pca=1)
    assert fitted.describe().startswith("4, 1 principal component (")
    np.savez(tmp_path / "data.npz", x=np.ones((1, 2)), y=np.zeros(3, dtype=int))
    refused("npz", "1 sample but 3 labels", path=str(tmp_path / "data.npz"))
