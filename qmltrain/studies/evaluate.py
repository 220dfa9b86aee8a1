"""`qmltrain evaluate RUN`: the best parameters of a run on its own splits, with its own preprocessing."""

from __future__ import annotations

from pathlib import Path

from qmltrain.config import CommandContext
from qmltrain.errors import InputError
from qmltrain.runs.snapshots import SnapshotFolder
from qmltrain.studies.report import result_lines
from qmltrain.studies.resume import stored_config
from qmltrain.studies.setup import build_problem, compile_model
from qmltrain.studies.train import SNAPSHOTS, check_same_data
from qmltrain.training.trainer import split_metrics


def run(path: Path, context: CommandContext) -> int:
    """Print the metrics of validation and test at the best parameters so far; writes nothing."""
    config, directory = stored_config(path)
    folder = SnapshotFolder(directory / SNAPSHOTS, config.run.keep)
    snapshot = folder.load_best() or folder.load_latest()
    if snapshot is None:
        raise InputError(f"{directory}: no snapshot was saved yet; let the run go on for run.save_every steps")
    problem = build_problem(config, snapshot.arrays)
    check_same_data(problem, snapshot, directory)
    compiled = compile_model(config, problem.model)
    best_P = snapshot.arrays.get("best_theta", snapshot.arrays["theta"])
    summary: dict[str, float] = {}
    for split, rows in (("val", problem.split.validation), ("test", problem.split.test)):
        if len(rows):
            outputs_BC = compiled.evaluator.outputs(best_P, problem.data.features(rows))
            summary |= split_metrics(problem.model.loss, split, outputs_BC, problem.data.labels(rows), problem.unscale)
    print(f"run        {directory}, epoch {snapshot.state['training']['best_epoch'] or snapshot.epoch}")
    for name, value in summary.items():
        if name.startswith("val/"):
            print(f"{name:<24}{value:.4f}")
    for line in result_lines(summary):
        print(line)
    return 0
