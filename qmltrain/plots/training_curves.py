"""A run in one picture: loss, accuracy, and how the gradients of the layers vanish or do not."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from qmltrain.errors import InputError
from qmltrain.plots.canvas import check_format, new_figure, save, shades
from qmltrain.runs.views import RunView, open_run

COLOURS = {"train": "tab:blue", "val": "tab:orange", "test": "tab:green"}  # a split has one colour in every panel
OTHERS = {"encoding": "tab:red", "head": "black"}  # groups of parameters that are no layers
SMOOTHED_POINTS = 50  # longer curves of gradient norms are averaged down to about as many windows


def plot_run(path: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Draws the run at ``path`` (finished or not) into ``out``, a .png, .svg or .pdf; returns its path.

    One panel each for the loss and the accuracy of each split (of steps as thin lines, of epochs as lines with
    points), and one for the gradient norm of each layer, where many steps are shown by their moving average; panels
    without data are left out.
    Raises InputError where there is no run, the ending is another, or matplotlib is missing.
    """
    out = Path(out)
    check_format(out)
    run = open_run(path)
    panels = [curves for curves in (_curves(run, "loss"), _curves(run, "accuracy")) if curves]
    norms = run.table("layer_norms")
    n_panels = len(panels) + bool(norms)
    if not n_panels:
        raise InputError(f"{run.path}: nothing to draw: no loss, no accuracy and no gradient norms are stored in it")
    figure = new_figure(5.5 * n_panels, 4)
    all_axes = figure.subplots(1, n_panels, squeeze=False)[0]
    for axes, curves in zip(all_axes, panels, strict=False):
        for label, (steps, values, of_epochs) in curves.items():
            style = {"marker": "o", "markersize": 3} if of_epochs else {"linewidth": 0.6, "alpha": 0.4}
            axes.plot(steps, values, label=label, color=COLOURS.get(label.partition("/")[0]), **style)
        axes.set_ylabel(next(iter(curves)).split(" (")[0].rsplit("/", 1)[-1])
        axes.legend(fontsize="small")
    if norms:
        axes = all_axes[-1]
        window = max(1, len(norms["layer_norms_step"]) // SMOOTHED_POINTS)
        centres, means = _moving_average(norms["layer_norms_step"], norms["layer_norms"], window)
        layers = [name for name in run.layer_names if name.startswith("layer.")]
        colours = dict(zip(layers, shades(len(layers)), strict=True))
        spread = {layers[k] for k in np.linspace(0, len(layers) - 1, 5).round().astype(int)} if layers else set()
        for name, of_layer in zip(run.layer_names, means.T, strict=True):  # of many layers the legend names a few
            is_layer = name in colours
            color = colours[name] if is_layer else OTHERS.get(name, "gray")
            shown = name if name in spread or not is_layer else None
            axes.plot(centres, of_layer, linewidth=1.2, label=shown, color=color, linestyle="-" if is_layer else ":")
        if np.any(means > 0):
            axes.set_yscale("log")
        axes.set_ylabel("gradient norm" + (f", mean of {window} steps" if window > 1 else ""))
        axes.legend(fontsize="small")
    for axes in all_axes:
        axes.set_xlabel("step")
        axes.grid(alpha=0.25)
    figure.suptitle(f"{run.path.parent.name} ({run.status})")
    return save(figure, out)


def _moving_average(
    steps: NDArray[np.int64], values: NDArray[np.float64], window: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Means of `window` neighbouring rows of steps (n,) and values (n, layers): n - window + 1 rows."""
    sums = np.cumsum(np.concatenate([np.zeros((1, values.shape[1] + 1)), np.column_stack([steps, values])]), axis=0)
    means = (sums[window:] - sums[:-window]) / window
    return means[:, 0], means[:, 1:]


def _curves(run: RunView, metric: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64], bool]]:
    """That metric of every split: label -> (steps, values, whether they are of epochs); empty ones left out."""
    curves = {}
    for table in ("metrics", "epochs"):
        columns = run.table(table)
        for name, values in columns.items():
            if name.rpartition("/")[2] == metric and np.any(np.isfinite(values)):
                label = f"{name} (epoch)" if table == "epochs" else f"{name} (step)"
                curves[label] = (columns["step"], values, table == "epochs")
    return curves
