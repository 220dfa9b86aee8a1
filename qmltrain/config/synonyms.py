"""Common names of other programs for our keys and entries: what an error line suggests. None of them is an alias."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

# short or other names -> the key, or the group where an entry is chosen
KEYS = {
    "lr": "optimizer.learning_rate",
    "step_size": "optimizer.learning_rate",
    "optim": "optimizer",
    "scheduler": "schedule",
    "lr_scheduler": "schedule",
    "criterion": "loss",
    "loss_fn": "loss",
    "data": "dataset",
    "model": "ansatz",
    "feature_map": "encoding",
    "embedding": "encoding",
    "hamiltonian": "observable",
    "measurement": "observable",
    "qubits": "circuit.n_qubits",
    "num_qubits": "circuit.n_qubits",
    "wires": "circuit.n_qubits",
    "n_wires": "circuit.n_qubits",
    "depth": "ansatz.layers",
    "n_layers": "ansatz.layers",
    "num_layers": "ansatz.layers",
    "reps": "ansatz.layers",
    "n_epochs": "train.epochs",
    "num_epochs": "train.epochs",
    "steps": "train.max_steps",
    "n_steps": "train.max_steps",
    "maxiter": "train.max_steps",
    "max_iter": "train.max_steps",
    "bs": "train.batch_size",
    "batch": "train.batch_size",
    "early_stopping": "train.patience",
    "random_state": "run.seed",
    "random_seed": "run.seed",
    "output_dir": "run.dir",
    "out_dir": "run.dir",
    "device": "engine",
    "backend": "engine",
    "simulator": "engine",
    "dtype": "engine.precision",
    "n_jobs": "engine.threads",
    "num_threads": "engine.threads",
    "sep": "dataset.delimiter",
    "label": "dataset.target",
    "file": "dataset.path",
    "n_components": "preprocess.pca",
    "diff_method": "gradient.mode",
}

# group -> other names of its entries, small letters without separators
ENTRIES = {
    "loss": {
        "mse": "mean_squared_error",
        "l2": "mean_squared_error",
        "bce": "binary_cross_entropy",
        "logloss": "cross_entropy",
        "ce": "cross_entropy",
        "nll": "cross_entropy",
        "energy": "expectation",
        "smoothl1": "huber",
        "vqe": "expectation",
    },
    "optimizer": {"gd": "sgd", "gradientdescent": "sgd", "momentum": "sgd", "bfgs": "lbfgs"},
    "ansatz": {
        "hardwareefficient": "hea",
        "hardwareefficientansatz": "hea",
        "sel": "strongly_entangling",
        "cnn": "qcnn",
        "treetensornetwork": "ttn",
    },
    "encoding": {
        "datareuploading": "reuploading",
        "rotation": "angle",
        "havlicek": "zz_feature_map",
    },
    "dataset": {
        "fashionmnist": "idx",
        "kmnist": "idx",
        "moons": "make_moons",
        "circles": "make_circles",
        "blobs": "make_blobs",
        "h5": "hdf5",
        "numpy": "npz",
        "npy": "npz",
        "tsv": "csv",
    },
    "observable": {"pauliz": "z", "tfim": "ising", "xxz": "heisenberg", "qubo": "maxcut"},
    "engine": {"gpu": "cuda", "cupy": "cuda", "numpy": "interpreter", "statevector": "cpu"},
    "schedule": {"none": "constant", "cosineannealing": "cosine"},
    "preprocess": {"pca": "pca_angles", "minmax": "angles", "standardize": "standard", "normalize": "amplitudes"},
    "head": {"none": "raw", "identity": "raw", "dense": "linear"},
}


def known_key(key: str) -> str | None:
    """The key that another program calls `key`, with or without a group of ours before it."""
    return KEYS.get(key.rpartition(".")[2].lower())


def nearest_entry(group: str, found: str, entries: Iterable[str]) -> str | None:
    """The one of `entries` that is meant by `found`: another program's name, or one spelt nearly so; None: neither."""
    plain = {_plain(entry): entry for entry in entries}
    wanted = _plain(found)
    known = plain | ENTRIES.get(group, {})
    for ending in ("", "layers", "embedding", "encoding", "ansatz", "loss"):
        if (named := wanted.removesuffix(ending)) in known:
            return known[named]
    near = difflib.get_close_matches(wanted, plain, n=1, cutoff=0.75)
    return plain[near[0]] if near else None


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name.lower())
