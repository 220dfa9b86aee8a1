"""`python -m qmltrain` is the command `qmltrain`."""

import sys

from qmltrain.cli import main

if __name__ == "__main__":
    sys.exit(main())
