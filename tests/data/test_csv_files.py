"""CSV files as others write them: read with the numbers that were meant, or refused with what to type."""

from __future__ import annotations

import numpy as np
import pytest

from qmltrain.data.registry import build_source
from tests.data.refusals import refused


@pytest.fixture
def written(tmp_path):
    """Writes a CSV file of this text, and gives the options that read it."""

    def write(text, **options):
        (tmp_path / "table.csv").write_text(text)
        return {"path": str(tmp_path / "table.csv"), "target": "y"} | options

    return write


def samples(options):
    source = build_source("csv", options)
    return source.read(np.arange(source.info.n_samples)).tolist(), source.info


GIVE = r"separated by ';': give \"dataset\.delimiter=';'\"$"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a;b;y\n1,5;2,5;0\n3,5;0,25;1\n", f"line 2 has 3 cells, the first line 1; write as many; .* {GIVE}"),
        ('"a";"b";"y"\n"1,5";"2";"0"\n', f"not a readable CSV file .* {GIVE}"),
        ('"a";"b";"y"\n"\xe4";"2";"0"\n', f"not a readable CSV file .* {GIVE}"),
        ("a\tb\ty\n1,5\t2\t0\n", r"separated by tab: give \"dataset\.delimiter=tab\"$"),
        ("sep=;\na;y\n1;0\n", f"its first line 'sep=;' is for Excel alone; remove it; .* {GIVE}"),
        ("a,b,y\n1,2,0\n3,4;5\n", r"line 3 has 2 cells, the first line 3; write as many$"),
    ],
)
def test_the_delimiter_is_named(written, text, message):
    refused("csv", message, **written(text))
    if "sep" in text:
        refused("csv", message, **written(text, delimiter=";"))


def test_decimal_commas(written):
    options = written("a;y\n1;0\n0,3456;1\n", delimiter=";")
    refused("csv", r"row 1 of column 'a' holds '0,3456', which is no number; it has a decimal comma: write decimal "
            r"points \(pandas: read_csv\(\.\.\., sep=';', decimal=','\)", **options)  # fmt: skip
    _, info = samples(written("a;y\n1;0,5\n2;1\n", delimiter=";"))
    assert info.class_names == ("0,5", "1")
    (note,) = info.notes
    assert note.startswith(
        "WARNING: column 'y': labels as '0,5' are texts, a class each; where they are numbers with decim"
    )
    for labels in ("1_0 10 2", "a,b c d", "0,5 b c"):
        first, second, third = labels.split()
        assert samples(written(f"a;y\n1;{first}\n2;{second}\n4;{third}\n", delimiter=";"))[1].notes == ()


def test_a_first_line_of_numbers(written):
    def notes(text, **options):
        return samples(written(text, **options))[1].notes

    warning = (
        "WARNING: the first line holds numbers (5.1, 3.5) and is read as names of columns; where it is a sample, give "
        "dataset.header=false"
    )
    assert notes("5.1,3.5,0\n7,3.2,1\n6.4,1,1\n", target="0") == (warning,)
    assert notes("5.1,3.5,iris\n7,3.2,iris\n6.4,1,rose\n", target="iris", features=["5.1", "3.5"]) == (warning,)
    assert notes("0,1,y\n7,3.2,0\n6.4,1,1\n") == ()  # of pandas, where columns have no names
    assert notes("a,1,y\n7,3.2,0\n6.4,1,1\n") == ()
    assert notes("5.1,3.5,0\n7,3.2,1\n6.4,1,1\n", target="column_2", header=False) == ()
    refused(
        "csv", r"two columns of the name '3\.5'; .*dataset\.header=false$", **written("3.5,3.5,0\n7,3,1\n", target="0")
    )


def test_truth_values_are_one_and_zero(written):
    rows, info = samples(written("a,b,c,y\nTrue,2,false,0\nFalse,3,true,1\n True,4,false,1\n"))
    assert rows == [[1, 2, 0], [0, 3, 1], [1, 4, 0]]
    assert info.notes == ("columns a, c: True and False are read as 1 and 0",)
    refused("csv", "row 0 of column 'a' holds 'True', which is no number", **written("a,y\nTrue,0\n0,1\n"))
    refused("csv", "row 1 of column 'a' holds ''", **written("a,y\nTrue,0\n,1\n"))


def test_blanks_before_quotes(written):
    rows, info = samples(written('"a", "b", "y"\n1, "2", "u, v"\n3, 4, "w"\n'))
    assert rows == [[1, 2], [3, 4]] and info.feature_names == ("a", "b") and info.class_names == ("u, v", "w")
