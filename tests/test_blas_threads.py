"""One thread while it lasts, in NumPy's BLAS and in SciPy's once it is loaded."""

from __future__ import annotations

import subprocess
import sys

CODE = """
import numpy
from threadpoolctl import threadpool_info
from qmltrain.blas_threads import one_thread

def threads():
    return [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]

with one_thread():
    assert set(threads()) <= {1}, threads()
import scipy.linalg
before = threads()
with one_thread():
    assert set(threads()) <= {1}, threads()
    with one_thread():
        pass
    assert set(threads()) <= {1}, threads()
assert threads() == before
print(len(before))
"""


def test_every_blas_has_one_thread_and_its_own_number_afterwards():
    done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and int(done.stdout) >= 1, done.stderr
