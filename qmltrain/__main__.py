"""`qmltrain` and `python -m qmltrain`: listens for the signals of schedulers, then imports the command."""

from __future__ import annotations

import sys
from importlib import import_module

from qmltrain.cluster.signals import FROM_THE_START


def main() -> int:
    """The command. Importing it takes time in which a signal would end the process without exit code 75."""
    with FROM_THE_START:
        return int(import_module("qmltrain.cli").main())


if __name__ == "__main__":
    sys.exit(main())
