"""`qmltrain` and `python -m qmltrain`: listens for the signals of schedulers, then imports the command."""

from __future__ import annotations

import os
import signal
import sys
from importlib import import_module

from qmltrain.cluster.signals import FROM_THE_START, SCHEDULER_SIGNALS, WHILE_IMPORTING

# log2 of the clock cycles for which an idle thread of OpenBLAS (NumPy's and SciPy's) looks for work before it sleeps.
# Its default, 26, is tens of milliseconds after each use, on the very cores where this process goes on.
_BLAS_PATIENCE = ("OPENBLAS_THREAD_TIMEOUT", "18")


def main() -> int:
    """The command. Importing it takes time in which a signal would end the process without exit code 75."""
    with FROM_THE_START, WHILE_IMPORTING:
        os.environ.setdefault(*_BLAS_PATIENCE)
        code = int(import_module("qmltrain.cli").main())
    # All is said and written: while Python ends, no signal makes another exit code of this one.
    for number in SCHEDULER_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    return code


if __name__ == "__main__":
    sys.exit(main())
