"""Functions and files of the user's own that make a run's circuit: kept with the run, checked, and used from there.

Texts (functions, OpenQASM, graphs, Hamiltonians) are in the run file's attribute `user_code`, a target state's
amplitudes are in every snapshot.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from qmltrain.circuit.library.target_state import read_target_state
from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.config.schema import Config
from qmltrain.data.files import digest
from qmltrain.errors import InputError
from qmltrain.runs.views import open_run
from qmltrain.user_code import load_user_function, read_text

TARGET_STATE = "observable/target_state"


def user_code(config: Config) -> dict[str, str]:
    """Text and SHA-256 of every function and circuit file of the user's own that the config runs, by config key."""
    found = {}
    for group in ("encoding", "ansatz", "observable", "dataset"):
        node = getattr(config, group)
        if node.name == "python" and node.function:
            _, source, checksum = load_user_function(node.function)
            found[f"{group}.function"] = f"# {node.function} sha256 {checksum}\n{source}"
    for key, path in (("ansatz.path", config.ansatz.path), ("observable.path", config.observable.path)):
        if key == "observable.path" and config.observable.name == "target_state" and path:
            found[key] = f"# {path} sha256 {digest([Path(path)])}\n"  # no text; its numbers are in the snapshots
        elif path:
            text = read_text(path, key)
            found[key] = f"# {path} sha256 {hashlib.sha256(text.encode()).hexdigest()}\n{text}"
    return found


def check_user_code(config: Config, stored: str | None, directory: Path, functions_alone: bool = False) -> None:
    """Raise InputError where what makes the circuit is no longer what it was in the run; `stored` is its attribute.

    `functions_alone` passes over the circuit's text files.
    """
    before = json.loads(stored) if stored else {}
    for key, text in user_code(dataclasses.replace(config, dataset=DatasetConfig())).items():
        if functions_alone and not key.endswith(".function"):
            continue
        if key in before and before[key] != text:
            raise InputError(
                f"{key}: {before[key].splitlines()[0].split()[1]} has changed since the run in {directory} began; "
                "restore it (the run file holds its text, attribute user_code), or train again"
            )


def user_arrays(config: Config) -> dict[str, np.ndarray]:
    """What `user_code` cannot hold as text, to be stored with every snapshot."""
    if config.observable.name != "target_state" or not config.observable.path:
        return {}
    return {TARGET_STATE: read_target_state(config.observable.path, config.circuit.n_qubits)}


@contextmanager
def with_stored_files(config: Config, directory: Path, arrays: Mapping[str, np.ndarray]) -> Iterator[Config]:
    """`config` with the files that make its circuit as the run stored them, for as long as the block lasts; `arrays`
    are a snapshot's.

    So a run can be used where its files are missing, and its circuit stays its own where they were edited since.
    """
    stored = json.loads(open_run(directory).attributes.get("user_code") or "{}")
    with tempfile.TemporaryDirectory(prefix="qmltrain-") as folder:
        for group in ("ansatz", "observable"):
            if f"{group}.path" not in stored:
                continue
            node = getattr(config, group)
            copy = Path(folder, group, Path(node.path).name)  # its name may be that of an observable
            copy.parent.mkdir()
            if group == "observable" and TARGET_STATE in arrays:
                np.save(copy, arrays[TARGET_STATE])
            else:
                copy.write_text(stored[f"{group}.path"].partition("\n")[2], encoding="utf-8", newline="")
            config = dataclasses.replace(config, **{group: dataclasses.replace(node, path=str(copy))})
        yield config
