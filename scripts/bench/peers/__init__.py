"""Other tools that train the same model as qmltrain, one file each; run by training.py as ``python -m peers.NAME``."""
