"""A small deterministic training that writes through the run store, for tests that stop it in the middle.

It computes nothing useful, but like a real one: every step depends on all before it and on a random generator, so a
resumed session can equal an uninterrupted one only if everything was brought back.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from qmltrain.runs.lock import RunLock
from qmltrain.runs.reading import open_for_reading, run_status
from qmltrain.runs.snapshots import Snapshot, SnapshotFolder
from qmltrain.runs.store import RunStore

N_STEPS, STEPS_PER_EPOCH, SAVE_EVERY, KEEP = 5, 3, 2, 2
HELD = {"n_steps": 7, "steps_per_epoch": 3, "save_every": 5, "held": True}
SPANS = {"n_steps": 7, "steps_per_epoch": 5, "save_every": 4, "spans": True}  # 1 to 4, 5, and 6 to 7
PARAMETER_NAMES = ["theta[0]", "theta[1]", "theta[2]", "theta[3]", "bias"]


def _nothing(kind: str, number: int) -> None:
    """Nobody wants to know."""


def run_session(
    directory: Path,
    acknowledge: Callable[[str, int], None] = _nothing,
    stop_after: int | None = None,
    n_steps: int = N_STEPS,
    steps_per_epoch: int = STEPS_PER_EPOCH,
    save_every: int = SAVE_EVERY,
    spans: bool = False,
    held: bool = False,
) -> str:
    """Trains in ``directory`` from wherever it is: new, resumed or complete; returns the status it leaves.

    acknowledge(kind, number) is called when a step, epoch or snapshot has been stored. ``stop_after``: be interrupted
    after this step. ``spans``: steps are stored together up to the next end of an epoch or snapshot, parameters of
    every second one with them. ``held``: rows wait until two steps after an epoch, or what else writes them.
    """
    with RunLock(directory):
        if run_status(directory) == "completed":
            return "completed"
        snapshots = SnapshotFolder(directory / "snapshots", KEEP)
        snapshot = snapshots.load_latest()
        if run_status(directory) is None:
            assert snapshot is None
            n_epochs = n_steps // steps_per_epoch
            store = RunStore.create(
                directory,
                {"run_id": "test", "config_yaml": "run:\n  seed: 3\n", "seed": 3},
                metrics=["loss", "gradient_norm"],
                epoch_metrics=["train/loss", "val/loss"],
                n_steps=n_steps,
                n_epochs=n_epochs,
                n_layers=2,
                parameter_names=PARAMETER_NAMES,
                gradients="full",
                gradients_every=2,
                parameters_every=2 if spans else None,
            )
        elif snapshot is None:
            store = RunStore.reopen(directory, steps=0, epochs=0)
        else:
            store = RunStore.reopen(directory, steps=snapshot.step, epochs=snapshot.epoch, known=snapshot.state["rows"])
        acknowledge("created", 1)

        rng = np.random.default_rng(3)
        theta = rng.standard_normal(len(PARAMETER_NAMES))
        losses: list[float] = []
        if snapshot is not None:
            theta = snapshot.arrays["theta"]
            rng.bit_generator.state = snapshot.state["rng"]
            losses = list(snapshot.state["losses"])
        else:
            store.write_parameters_row(0, theta)
        best = min(losses, default=np.inf)

        def saved(epoch: int) -> Snapshot:
            state = {"rng": rng.bit_generator.state, "losses": losses, "rows": store.stored_rows()}
            return Snapshot(store.steps, epoch, {"theta": theta}, state)

        if held:
            store.hold()
        waiting: dict[str, int] = {}  # what is acknowledged with the next flush

        def stored(kind: str, number: int) -> None:
            if held:
                waiting[kind] = number
            else:
                acknowledge(kind, number)

        def written() -> None:
            for kind, number in waiting.items():
                acknowledge(kind, number)
            waiting.clear()

        rows: list[tuple[int, dict[str, float], list[float], np.ndarray, np.ndarray]] = []
        with store:
            for step in range(store.steps + 1, n_steps + 1):
                gradient = np.sin(3 * theta) + 0.1 * rng.standard_normal(theta.shape)
                theta = theta - 0.1 * gradient
                loss = float(np.sum(theta**2))
                norms = [float(np.linalg.norm(gradient[:2])), float(np.linalg.norm(gradient[2:]))]
                row = {"loss": loss, "gradient_norm": float(np.linalg.norm(gradient))}
                rows.append((step, row, norms, gradient, theta))
                is_saved = step % save_every == 0 or step in (n_steps, stop_after)
                if not spans or is_saved or step % steps_per_epoch == 0:
                    if spans:
                        _append_span(store, rows)
                    else:
                        store.append_step(*rows[0])
                    rows.clear()
                    stored("steps", step)
                if held and step % steps_per_epoch == 2:
                    store.flush()
                    written()
                if step % steps_per_epoch == 0:
                    epoch = step // steps_per_epoch
                    losses.append(loss)
                    validation = float("nan") if epoch == 1 else loss + 1
                    store.append_epoch(epoch, step, {"train/loss": loss, "val/loss": validation}, 0.5)
                    stored("epochs", epoch)
                    if not spans:
                        store.write_parameters_row(step, theta)
                    if loss < best:
                        best = loss
                        snapshots.save_best(saved(epoch))
                if is_saved:
                    store.sync()
                    written()
                    snapshots.save(saved(store.epochs))
                    acknowledge("snapshots", step)
                if step == stop_after:
                    store.close("interrupted")
                    return "interrupted"
            store.write_parameters_row(n_steps, theta)
            scores = np.stack([theta[:3], 1 - theta[:3]], axis=1)
            store.write_evaluation("test", [5, 0, 2], [1, 0, 1], scores.argmax(axis=1), scores)
            store.set_attributes(engine="none")
            store.close()
            return "completed"


def _append_span(
    store: RunStore, rows: list[tuple[int, dict[str, float], list[float], np.ndarray, np.ndarray]]
) -> None:
    steps, metrics, norms, gradients, parameters = zip(*rows, strict=True)
    first, last = steps[0], steps[-1]
    columns = {name: [row[name] for row in metrics] for name in metrics[0]}
    wanted = [gradients[step - first] for step in store.gradients_of(first, last)]
    after = [parameters[step - first] for step in store.parameters_of(first, last)]
    store.append_steps(first, columns, norms, wanted or None, after or None)


def contents(directory: Path) -> dict[str, Any]:
    """Everything that must not depend on where a run was stopped: valid rows and arrays of run.h5 as bytes, by path;
    metrics.jsonl and snapshots as bytes."""
    import h5py

    found: dict[str, Any] = {}
    with open_for_reading(directory / "run.h5") as file:
        tables_in_order = file["valid_rows"].attrs["tables"]
        valid = dict(zip(tables_in_order, file["valid_rows"][: len(tables_in_order)].tolist(), strict=True))
        tables = {"metrics": "metrics", "epochs": "epochs", "parameters": "parameters", "gradients": "gradients"}

        def visit(path: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                table = "layer_norms" if "layer_norms" in path else tables.get(path.split("/")[0])
                rows = item[()] if table is None or path == "parameters/names" else item[: valid[table]]
                found[path] = (rows.shape, rows.dtype.str, rows.tolist() if rows.dtype == object else rows.tobytes())

        file.visititems(visit)
        found["attributes"] = {
            name: str(value)
            for name, value in file.attrs.items()
            if name not in ("sessions", "ended_utc", "started_utc")
        }
    found["metrics.jsonl"] = (directory / "metrics.jsonl").read_bytes()
    for path in sorted((directory / "snapshots").glob("*.snapshot")):
        found[path.name] = path.read_bytes()
    return found
