"""Data sets of a few rows in memory, of which every second row trains."""

from __future__ import annotations

import numpy as np

from qmltrain.data.array_source import array_source
from qmltrain.data.checks import ArrayNames

TRAIN = np.arange(0, 90, 2)


def source_of(x):
    return array_source("npz", np.asarray(x), np.arange(len(x)) % 2, ArrayNames("file"))
