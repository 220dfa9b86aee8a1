"""Names and values that Python and CUDA hold both: fields and flags of a record, arguments of a pass."""

from __future__ import annotations

import re

import numpy as np
import pytest

from qmltrain.engines.cuda.device import real_of
from qmltrain.engines.cuda.fused import PASS_ARGUMENTS, rotation_values
from qmltrain.engines.cuda.sources import kernel_source
from qmltrain.engines.cuda.tiling import records

TEXT = re.sub(r"//[^\n]*", "", kernel_source("tile_pass"))


def body(kind: str) -> str:
    found = re.findall(rf"\b{kind} {{(.*?)}};", TEXT, flags=re.DOTALL)
    assert len(found) == 1, kind
    return found[0]


def members(structure: str) -> list[tuple[str, type]]:
    """Names and NumPy types in order; of pointers, integers of their size."""
    found: list[tuple[str, type]] = []
    for declaration in body(f"struct {structure}").split(";"):
        if not declaration.strip():
            continue
        types = "Complex|Real|RotationValues|long long|int"
        kind, names = re.fullmatch(rf"\s*(?:const )?({types})\b(.*)", declaration, re.DOTALL).groups()
        for name in names.split(","):
            integer = np.int64 if kind == "long long" else np.int32
            found.append((name.strip(" *\n"), np.uint64 if "*" in names else integer))
    return found


def test_the_fields_of_a_record_have_the_same_order():
    names = [name.upper() for name, _ in members("Record")]
    assert [getattr(records, name) for name in names] == list(range(len(names)))
    (values,) = re.findall(r"constexpr int FIELDS = (\d+), SAMPLE_SHEAR = (\d+);", TEXT)
    assert (records.FIELDS, records.SAMPLE_SHEAR) == tuple(map(int, values)) == (len(names) + 4, len(names))


def test_flags_have_the_same_values():
    found = {}
    for entry in body("enum Flag").split(","):
        name, value = (part.strip() for part in entry.split("="))
        left, _, shift = value.partition("<<")
        found[name] = int(left) << int(shift or 0)
    assert len(found) == 8
    assert found == {name: getattr(records, name) for name in found}


@pytest.mark.parametrize(("precision", "itemsize"), [("complex64", 48), ("complex128", 80)])
def test_the_values_of_a_record_stand_where_the_kernel_reads_them(precision, itemsize):
    found = re.findall(r"\w+ \w+(?:\[\d\])?;", body(r"struct __align__\(16\) RotationValues"))
    assert found == ["Complex shear[4];", "int extra;"]
    dtype = rotation_values(real_of(precision))
    assert dtype.names == ("shear", "extra")
    assert dtype.fields["extra"][1] == 4 * np.dtype(precision).itemsize
    assert dtype.itemsize == itemsize


def test_the_arguments_of_a_pass_have_the_same_names_and_types():
    assert members("PassArguments") == [(name, PASS_ARGUMENTS[name].type) for name in PASS_ARGUMENTS.names]
