"""Which columns of a table are features: never the target, the split or an index, and each column is accounted for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qmltrain.data.registry import build_source
from qmltrain.data.table_columns import choose_columns
from qmltrain.errors import InputError
from tests.data.refusals import refused

FILE = Path("table.csv")
INDEX_NAMES = ("", "Unnamed: 0", "Unnamed: 0.1", "__index_level_0__")


@given(
    names=st.lists(st.sampled_from([*INDEX_NAMES, "a", "b", "c c", "Unnamed", "index"]), unique=True, min_size=1),
    data=st.data(),
)
@settings(max_examples=100)
def test_every_column_is_a_feature_or_left_out_and_no_index_is_one_unasked(names, data):
    target = data.draw(st.sampled_from(names))
    split = data.draw(st.none() | st.sampled_from(names))
    pandas = set(data.draw(st.lists(st.sampled_from(names))))
    others = [name for name in names if name not in (target, split)]
    candidates = [name for name in others if name not in pandas and name != "__index_level_0__"]
    if not candidates:
        with pytest.raises(InputError, match="no column of features"):
            choose_columns(FILE, names, target, None, split, pandas)
    elif set(candidates) & set(INDEX_NAMES):
        with pytest.raises(InputError, match=r"row numbers are no feature: choose the columns with dataset\.features="):
            choose_columns(FILE, names, target, None, split, pandas)
    else:
        chosen = choose_columns(FILE, names, target, None, split, pandas)
        assert list(chosen.features) == candidates
        assert sorted([*chosen.features, *(name for name, _ in chosen.left_out)]) == sorted(names)
    if others:
        asked = data.draw(st.lists(st.sampled_from(others), unique=True, min_size=1))
        chosen = choose_columns(FILE, names, target, asked, split, pandas)
        assert list(chosen.features) == asked  # what is asked for by name is taken, whatever it is called
        assert len(chosen.features) + len(chosen.left_out) == len(names)


def test_reasons():
    chosen = choose_columns(FILE, ["k", "a", "y", "s", "__index_level_0__"], "y", None, "s", {"k"})
    assert chosen.features == ("a",)
    assert dict(chosen.left_out) == {
        "y": "the target", "s": "the split", "k": "the index of pandas", "__index_level_0__": "the index of pandas",
    }  # fmt: skip
    chosen = choose_columns(FILE, ["", "a", "b", "y"], "y", ["b"], None)
    assert dict(chosen.left_out) == {
        "y": "the target",
        "a": "not in dataset.features",
        "(no name)": "not in dataset.features",
    }


def test_columns_that_cannot_be():
    def message(names, **options):
        with pytest.raises(InputError) as caught:
            choose_columns(FILE, names, **({"target": "y", "features": None, "split_column": None} | options))
        return str(caught.value)

    assert message(["", "a", "b", "y"]) == (
        "table.csv: column 0 has no name, as an index that pandas writes; row numbers are no feature: choose the "
        "columns with dataset.features=[a,b]"
    )
    assert message(["a", "Unnamed: 0", "y", "b c"]) == (
        "table.csv: column 1 is called 'Unnamed: 0', as pandas calls what has no name; row numbers are no feature: "
        "choose the columns with dataset.features=[...]"
    )
    assert "names the column 'a' twice" in message(["a", "b", "y"], features=["a", "a", "b"])
    assert "two columns of the name 'a'" in message(["a", "a", "y"])
    assert "'y' is the target or the split" in message(["a", "y"], features=["a", "y"])
    assert r"the column 'a\x00' has a character" in message(["a\0", "y"])
    assert len(message([f"column {k} {'x' * 200}" for k in range(300)])) < 1400


def test_index_of_pandas_in_csv(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(",a,y\n0,0.5,0\n1,1.5,1\n")
    refused("csv", r"column 0 has no name, .*dataset\.features=\[a\]", path=str(path), target="y")
    source = build_source("csv", {"path": str(path), "target": "y", "features": ["a"]})
    assert source.info.sample_shape == (1,)
    assert source.info.left_out == (("y", "the target"), ("(no name)", "not in dataset.features"))


def test_index_of_pandas_in_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": np.arange(20.0) + 0.5, "y": np.arange(20) % 2})
    path = str(tmp_path / "table.parquet")
    options = {"path": path, "target": "y"}
    for index, left_out in (
        (frame.index, ()),
        (frame.index + 3, ()),  # a range is no column
        (frame.index[::-1].to_numpy() ** 2, ("__index_level_0__",)),
        (pandas.Index(np.arange(20) ** 2, name="patient"), ("patient",)),
        (pandas.MultiIndex.from_arrays([np.arange(20), np.arange(20)], names=["p", "q"]), ("p", "q")),
    ):
        frame.set_index(index).to_parquet(path)
        source = build_source("parquet", options)
        assert source.info.feature_names == ("a",)
        assert source.info.left_out == (("y", "the target"), *((name, "the index of pandas") for name in left_out))
    frame.set_index("a").to_parquet(path)
    refused("parquet", "no column of features", **options)
    assert build_source("parquet", options | {"features": ["a"]}).info.feature_names == ("a",)
    frame.set_index("y").to_parquet(path)
    assert build_source("parquet", options).labels().tolist() == frame["y"].tolist()


@pytest.mark.parametrize("said", [b'{"index_columns": ', b"\xff", b'["index_columns"]', b'{"index_columns": 5}'])
def test_damage_in_what_pandas_says(said, tmp_path):
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"a": [0.5, 1.5], "y": [0, 1]}).replace_schema_metadata({b"pandas": said})
    parquet.write_table(table, tmp_path / "table.parquet")
    refused(
        "parquet", r"table\.parquet: not a readable Parquet file: ", path=str(tmp_path / "table.parquet"), target="y"
    )


def test_names_are_not_looked_for_one_by_one():
    """Linear in the number of columns: 50,000 take no time to speak of."""

    class Names(list):
        def __contains__(self, name):
            pytest.fail("searched the list of names")

        count = index = __contains__

    names = Names(f"c{k}" for k in range(50_000))
    assert len(choose_columns(FILE, names, "c7", Names(names[8:]), None).features) == 49_992
