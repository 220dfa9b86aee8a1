"""What `qmltrain gradient` has written, beside what is of one command alone."""

from __future__ import annotations

import h5py


def arrays(path):
    with h5py.File(path) as file:
        kept = {"loss", "drift", "precision", "config_yaml"}
        found = {name: file[name][...] for name in file} | {
            name: file.attrs[name] for name in file.attrs if name in kept
        }
    return found
