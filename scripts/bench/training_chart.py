"""The chart of docs/performance.md from a file that training.py wrote.

python scripts/bench/training_chart.py RESULTS.json OUT.png      (needs matplotlib)
"""

from __future__ import annotations

import json
import sys

NAMES = {
    "qmltrain": "qmltrain train",
    "jax": "JAX, written by hand",
    "tensorcircuit": "TensorCircuit-NG, JAX",
    "catalyst": "Catalyst, lightning",
    "lightning": "PennyLane lightning",
    "tutorial": "PennyLane as in tutorials",
}
COLOURS = ["#1b5e9b", "#e08a1e", "#4f9d5b", "#a05195", "#8c8c8c", "#c9c9c9"]


def main(source: str, target: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    with open(source) as file:
        record = json.load(file)
    cases = {name: found for name, found in record["results"].items() if "kernel" in found}
    figure, axes = plt.subplots(figsize=(10, 4.2), layout="constrained")
    for k, (name, label) in enumerate(NAMES.items()):
        places, heights = [], []
        for place, found in enumerate(cases.values()):
            if "step_seconds" in found.get(name, {}):
                places.append(place + (k - 2.5) * 0.14)
                heights.append(1e6 * found[name]["step_seconds"])
        axes.bar(places, heights, 0.13, label=label, color=COLOURS[k])
    axes.set_yscale("log")
    axes.set_ylabel("one training step, µs")
    axes.set_xticks(range(len(cases)), [name.replace(" 10 classes", "\n10 classes") for name in cases])
    axes.set_xlabel("qubits, layers, batch")
    axes.grid(axis="y", alpha=0.3)
    axes.set_axisbelow(True)
    axes.legend(ncols=3, fontsize=8, loc="upper left")
    axes.set_ylim(1, 2e9)
    axes.set_title(f"Whole training steps, one core of {record['cpu']}, {record['date']}", fontsize=10)
    figure.savefig(target, dpi=130)


if __name__ == "__main__":
    main(*sys.argv[1:])
