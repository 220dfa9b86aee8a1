"""Users' own functions and text files: loaded with source and digest, refused in one line."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from qmltrain.errors import InputError
from qmltrain.user_code import call_user_function, load_user_function, read_text

SOURCE = '''"""A user's module."""

constant = 3

def double(value, *, times=2):
    return value * times

def _hidden():
    pass

def fails(value):
    raise ValueError("first line\\nsecond line")

def refuses(value):
    from qmltrain.errors import InputError
    raise InputError("needs more")
'''


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("user")
    (folder / "user_module_for_tests.py").write_text(SOURCE)
    (folder / "user_module_broken.py").write_text("import math\nmath.nothing\n")
    (folder / "user_module_syntax.py").write_text("def f(:\n")
    (folder / "user_module_needs.py").write_text("import a_module_that_is_not_there\n")
    package = folder / "user_package_for_tests"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "inner.py").write_text("def f():\n    return 1\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(folder))
        yield folder
    for name in [name for name in sys.modules if name.startswith("user_")]:
        del sys.modules[name]


def test_loads_function_source_and_digest() -> None:
    function, source, digest = load_user_function("user_module_for_tests:double")
    assert function(4) == 8
    assert source == SOURCE
    assert digest == hashlib.sha256(SOURCE.encode()).hexdigest()
    assert load_user_function("user_package_for_tests.inner:f")[0]() == 1


def test_calls_with_arguments() -> None:
    assert call_user_function("user_module_for_tests:double", "here", 4, times=3) == 12


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (None, r"^here: a function is needed here; write package\.module:name"),
        ("", r"^here: '' is not a function's address"),
        ("module", r"^here: 'module' is not a function's address"),
        ("module:", r"is not a function's address"),
        (":name", r"is not a function's address"),
        ("a b:c", r"is not a function's address"),
        ("os;import:c", r"is not a function's address"),
        ("a:b:c", r"is not a function's address"),
        ("not_there_at_all:f", r"^here: module 'not_there_at_all', needed by 'not_there_at_all:f', was not found"),
        ("user_module_needs:f", r"^here: module 'a_module_that_is_not_there', needed by"),
        ("user_module_broken:f", r"^here: importing 'user_module_broken' failed: AttributeError: "),
        ("user_module_syntax:f", r"^here: importing 'user_module_syntax' failed: SyntaxError: "),
        ("user_module_for_tests:triple", r"has no function 'triple'; it has double, fails, refuses$"),
        ("user_module_for_tests:constant", r"is a int, not a function"),
        ("math:sin", r"the source of module 'math' cannot be read; use a \.py file"),
    ],
)
def test_bad_references_are_refused_in_one_line(reference: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_user_function(reference, "here")
    assert "\n" not in str(caught.value)


def test_failures_inside_name_the_line() -> None:
    pattern = (
        r"^here: user_module_for_tests:fails failed at .*user_module_for_tests\.py:12: ValueError: first line second"
    )
    with pytest.raises(InputError, match=pattern):
        call_user_function("user_module_for_tests:fails", "here", 1)
    with pytest.raises(InputError, match=r"^here: user_module_for_tests:refuses: needs more$"):
        call_user_function("user_module_for_tests:refuses", "here", 1)
    with pytest.raises(InputError, match=r"TypeError"):
        call_user_function("user_module_for_tests:double", "here")


def test_texts_are_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "terms.txt"
    path.write_text("0.5 Z0 # θ\n", encoding="utf-8")
    assert read_text(str(path), "here") == "0.5 Z0 # θ\n"
    path.write_text("0.5 Z0 # θ\n", encoding="utf-8-sig")
    assert read_text(str(path), "here") == "0.5 Z0 # θ\n"
    path.write_bytes(b"0.5 Z0 \xff\n")
    with pytest.raises(InputError, match=r"^here: the graph .*terms\.txt cannot be read: byte 7 is not UTF-8"):
        read_text(str(path), "here", "the graph")
    with pytest.raises(InputError, match=r"^here: the file .*gone\.txt cannot be read: No such file or directory$"):
        read_text(str(tmp_path / "gone.txt"), "here")
