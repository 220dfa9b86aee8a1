"""CSV and Parquet: what is read, how labels are taken, and every kind of bad file in one line."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli.composing import compose_config
from qmltrain.data.registry import build_source
from qmltrain.models.build import group_options
from qmltrain.models.source import _SELECTION_OPTIONS
from tests.data.refusals import refused
from tests.data.writers import write_csv


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_csv(tmp_path / "table.csv")
    return tmp_path / "table.csv"


def everything(source) -> np.ndarray:
    return source.read(np.arange(source.info.n_samples))


def test_words_are_classes_in_alphabetical_order(table):
    source = build_source("csv", {"path": str(table), "target": "kind", "features": ["b", "a"]})
    assert source.info.task == "classification" and source.info.class_names == ("x", "y", "z")
    assert source.info.parts is None
    np.testing.assert_array_equal(source.labels(), np.arange(12) % 3)
    np.testing.assert_array_equal(everything(source), np.stack([np.arange(12) / 4, np.arange(12)], axis=1))
    assert source.info.feature_names == ("b", "a")


def test_numbers_are_targets_and_all_other_columns_features(table):
    options = {"path": str(table), "target": "value", "split_column": "part", "features": ["a", "b"]}
    source = build_source("csv", options)
    assert source.info.task == "regression" and source.info.class_names == ()
    np.testing.assert_array_equal(source.labels(), np.arange(12) * 0.5)
    np.testing.assert_array_equal(source.info.parts, [0, 0, 1, 2] * 3)
    table.write_text("a,b,c\n1,2,0\n3,4,1\n\n5,6,1\n")
    source = build_source("csv", {"path": str(table), "target": "c"})
    assert source.info.feature_names == ("a", "b") and source.info.class_names == ("0", "1")
    assert build_source("csv", {"path": str(table), "target": "c", "task": "regression"}).info.task == "regression"


def test_other_delimiters_gzip_quotes_and_byte_order_marks(tmp_path, monkeypatch):
    monkeypatch.setenv("QMLTRAIN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "table.csv.gz"
    path.write_bytes(gzip.compress('\ufeffa;"b;c";y\n1;2;0\n3;"4";1\n'.encode()))
    source = build_source("csv", {"path": str(path), "target": "y", "delimiter": ";"})
    assert source.info.feature_names == ("a", "b;c")
    np.testing.assert_array_equal(everything(source), [[1, 2], [3, 4]])


@pytest.mark.parametrize(("separator", "words"), [("\t", ["\t", "tab", r"\t"]), (";", [";"]), ("|", ["|"])])
def test_delimiters_by_name_and_the_hint_that_names_them(tmp_path, separator, words):
    path = tmp_path / "table.csv"
    path.write_text("a,b,y\n1,2,0\n3,4,1\n".replace(",", separator))
    for word in words:
        source = build_source("csv", {"path": str(path), "target": "y", "delimiter": word})
        np.testing.assert_array_equal(everything(source), [[1, 2], [3, 4]])
    refused("csv", r"no column 'z'; it has a, b, y$", path=str(path), target="z", delimiter=words[0])  # not the cause
    message = refused("csv", "has no column 'y'; .* its cells are separated by", path=str(path), target="y")
    value = message.split('"')[1]  # what it says is what a shell and the command line take
    config = compose_config([f"dataset={'csv'}", f"dataset.path={path}", "dataset.target=y", value])
    assert build_source("csv", group_options(config.dataset, *_SELECTION_OPTIONS)).info.feature_names == ("a", "b")


def test_tables_without_a_line_of_names(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("5.1,3.5,setosa\n\n7.0,3.2,virginica\n6.4,,setosa\n".replace(",,", ",3.3,"))
    options = {"path": str(path), "target": "column_2", "header": False}
    source = build_source("csv", options)
    assert source.info.feature_names == ("column_0", "column_1") and source.info.class_names == ("setosa", "virginica")
    np.testing.assert_array_equal(everything(source), [[5.1, 3.5], [7.0, 3.2], [6.4, 3.3]])
    refused("csv", r"'y'; it has column_0, column_1, column_2$", **options | {"target": "y"})
    refused("csv", r"it has 5\.1, 3\.5, setosa; where its first .*dataset\.header=false$", path=str(path), target="y")
    path.write_text("1,2\n3\n")
    refused("csv", "line 2 has 1 cell, the first line 2", **options)
    path.write_text("")
    refused("csv", "has no rows", **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no rows"),
        ("a,y\n", "has no rows"),
        ("a,y\n1,0\n2\n", r"line 3 has 1 cell, the first line 2"),
        ("a,a,y\n1,2,0\n", r"two columns of the name 'a'"),
        ("a,y\n1,0\n,1\n", r"row 1 of column 'a' holds '', which is no number"),
        ("a,y\n1,0\nlow,1\n", r"row 1 of column 'a' holds 'low'"),
        ("a,y\n1,0\nnan,1\n", r"row 1 holds NaN"),
        ("a,y\n1,0\n1;5,1\n", r"row 1 of column 'a' holds '1;5', which is no number"),
        ("a\0,y\n1,0\n2,1\n", r"the column 'a.x00' has a character in its name"),
        ("a,y\n1,b\0\n2,c\n", r"row 0 of column 'y' is 'b.x00', with a NUL"),
        ("a,y\n1,0\n2, \n", r"row 1 of column 'y' is empty"),
        ("a,y\n1,0\n2,-1\n", r"row 1 has label -1"),
        ("a,y\n1,inf\n2,1\n", r"row 0 is NaN or infinity"),
        ("y\n1\n0\n", "has no column of features"),
        ("a;y\n1;0\n", r"^dataset\.target: .* has no column 'y'; it has a;y"),
        ('a,y\n"1,0\n', "not a readable CSV file"),
    ],
)
def test_bad_tables_are_refused(tmp_path, text, message):
    (tmp_path / "bad.csv").write_text(text)
    refused("csv", message, path=str(tmp_path / "bad.csv"), target="y")


def test_bad_options_are_refused(table):
    refused("csv", r"^dataset\.target: needed by csv", path=str(table))
    refused("csv", r"^dataset\.target: .* has no column 'z'; it has a, b, kind", path=str(table), target="z")
    refused("csv", r"^dataset\.features: .* has no column 'c'", path=str(table), target="kind", features=["c"])
    refused("csv", r"^dataset\.features: 'kind' is the target", path=str(table), target="kind", features=["kind"])
    refused("csv", r"^dataset\.split_column: .* no column 'q'", path=str(table), target="kind", split_column="q")
    refused(
        "csv",
        r"column 'kind': row 0 is .*'x'.*allowed are train",
        path=str(table),
        target="value",
        features=["a"],
        split_column="kind",
    )
    refused("csv", r"^dataset\.delimiter: ';;' is not one", path=str(table), target="kind", delimiter=";;")
    refused("csv", r"^dataset\.delimiter: '\\n' is not one", path=str(table), target="kind", delimiter="\n")
    refused(
        "csv",
        r"is the text 'x'; dataset\.task=regression",
        path=str(table),
        target="kind",
        features=["a"],
        task="regression",
    )
    (table.with_name("latin.csv")).write_bytes(b"a,y\n1,\xe4\n")
    refused("csv", "not a readable CSV", path=str(table.with_name("latin.csv")), target="y")


# ---- Parquet


@pytest.fixture
def columns(tmp_path):
    """Writes a Parquet file of these columns."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def write(**values) -> str:
        path = tmp_path / "table.parquet"
        parquet.write_table(pyarrow.table(values), path)
        return str(path)

    return write


def test_parquet(columns):
    path = columns(a=[1, 2, 3], b=[0.5, 1.5, 2.5], kind=["v", "u", "v"], part=["train", "test", "val"], when=[True] * 3)
    source = build_source("parquet", {"path": path, "target": "kind", "split_column": "part", "features": ["a", "b"]})
    assert source.info.class_names == ("u", "v") and source.labels().tolist() == [1, 0, 1]
    assert source.info.parts.tolist() == [0, 2, 1]
    np.testing.assert_array_equal(everything(source), [[1, 0.5], [2, 1.5], [3, 2.5]])
    assert build_source("parquet", {"path": path, "target": "b", "features": ["a", "when"]}).info.task == "regression"


def test_parquet_decimals_and_bytes(columns):
    prices = [Decimal("0.1"), Decimal("-2.25"), Decimal("3.00")]
    path = columns(a=prices, kind=[b"v", "\xfc".encode(), b"v"], bad=[b"\xff", b"a", b"b"])
    source = build_source("parquet", {"path": path, "target": "kind", "features": ["a"]})
    np.testing.assert_array_equal(everything(source), [[0.1], [-2.25], [3.0]])
    assert source.info.class_names == ("v", "\xfc") and source.labels().tolist() == [0, 1, 0]
    refused("parquet", r"column 'bad' holds b'\\xff', which is no UTF-8", path=path, target="bad", features=["a"])
    values = build_source("parquet", {"path": columns(a=[1, 2, 3], y=prices), "target": "y"})
    assert values.info.task == "regression" and values.labels().tolist() == [0.1, -2.25, 3.0]


def test_bad_parquet_is_refused(columns, tmp_path):
    path = columns(a=[1, None, 3], b=["1", "2", "3"], y=[0, 1, 0], z=[[1], [2], [3]])
    refused("parquet", r"row 1 of column 'a' is null", path=path, target="y", features=["a"])
    refused("parquet", r"column 'b' holds .*; features must be numbers", path=path, target="y", features=["b"])
    refused("parquet", r"column 'z' holds list", path=path, target="z", features=["y"])
    refused("parquet", r"^dataset\.target: .* has no column 'q'; it has a, b, y, z", path=path, target="q")
    (tmp_path / "text.parquet").write_text("a,y\n1,0\n")
    refused("parquet", "not a readable Parquet file", path=str(tmp_path / "text.parquet"), target="y")


def test_without_pyarrow_it_is_said_how_to_get_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    refused("parquet", r"pip install 'qmltrain\[parquet\]'", path="a.parquet", target="y")
