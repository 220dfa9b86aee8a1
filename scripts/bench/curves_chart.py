"""Curves of accuracy from tables that `qmltrain collect --over run.seed` wrote: docs/images/mnist_curves.png.

    python scripts/bench/curves_chart.py OUT.png KEY=TABLE.csv [KEY=TABLE.csv ...]      (needs matplotlib)

One picture for each table: the validation accuracy, mean and deviation over seeds, against the column KEY.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

LABELS = {
    "ansatz.layers": "layers",
    "circuit.n_qubits": "qubits",
    "encoding.repeats": "encodings, 10 of 60 components each",
    "observable.max_weight": "Z of up to so many qubits",
}
METRIC = "val/accuracy"


def points(path: Path, key: str) -> list[tuple[float, float, float]]:
    """Value of the key, mean, deviation; upwards."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return sorted((float(row[key]), float(row[f"{METRIC} mean"]), float(row[f"{METRIC} std"] or 0)) for row in rows)


def main(target: str, *tables: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(1, len(tables), figsize=(3.2 * len(tables), 3.2), sharey=True, layout="constrained")
    for axes, table in zip(all_axes, tables, strict=True):
        key, _, path = table.partition("=")
        values, means, deviations = zip(*points(Path(path), key), strict=True)
        axes.errorbar(values, means, deviations, marker="o", color="#1b5e9b", capsize=3)
        if values[-1] > 8 * values[0]:
            axes.set_xscale("log")
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.set_xlabel(LABELS.get(key, key))
        axes.grid(alpha=0.3)
    all_axes[0].set_ylabel("validation accuracy")
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
