"""Data made by a function of the user: `dataset.function=package.module:name` returning (x, y).

This runs the user's code with the user's rights, once, when the data set is opened. The text of its module is kept
with the run, so that a result can be traced to the code that made its data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qmltrain.data.array_source import ArraySource, array_source
from qmltrain.data.checks import ArrayNames
from qmltrain.errors import InputError
from qmltrain.user_code import call_user_function


def python(*, function: str, task: str | None = None) -> ArraySource:
    """Call `function` (package.module:name, importable), which takes no arguments and returns (x, y).

    x (n, ...) and y (n,) are as in an .npz file: integer labels are classes, float labels are targets, `task` says
    otherwise. Equal runs need equal data: give random numbers a seed inside the function.
    """
    option = "dataset.function"
    made = call_user_function(function, option)
    where = f"{option}: {function}"
    if not isinstance(made, tuple) or len(made) != 2:
        found = f"a tuple of {len(made)}" if isinstance(made, tuple) else f"a {type(made).__name__}"
        raise InputError(f"{where}: returned {found}; it must return (x, y)")
    x, y = (_as_array(value, f"{where}: {key}") for key, value in zip("xy", made, strict=True))
    return array_source("python", x, y, ArrayNames(where), task=task)


def _as_array(value: Any, where: str) -> np.ndarray[Any, Any]:
    try:
        return np.array(value)  # a copy: what the user's module does with its own array later does not matter
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: a {type(value).__name__} that is not an array of numbers: {error}") from error
