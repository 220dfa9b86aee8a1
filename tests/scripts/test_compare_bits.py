"""The comparison of `scripts/compare_bits`: it finds every kind of difference, and none where there is none."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts" / "bits"


@pytest.fixture
def compare(monkeypatch, tmp_path) -> Callable[..., tuple[list[str], list[str]]]:
    """The comparison of two folders in which `change` has changed the second."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import differences

    def found(change: Callable[[h5py.File], None] | None = None, **texts: str) -> tuple[list[str], list[str]]:
        folders = tmp_path / "old", tmp_path / "new"
        for folder in folders:
            folder.mkdir()
            write(folder / "run.h5")
            (folder / "status.json").write_text(json.dumps({"steps": 3, "updated_utc": folder.name}))
            (folder / "000.txt").write_text("done in 1.5 s\n")
            (folder / "metrics.jsonl").write_text(f'{{"loss": 0.5}} {folder}\n')
        if change is not None:
            with h5py.File(folders[1] / "run.h5", "r+") as file:
                change(file)
        for name, text in texts.items():
            (folders[1] / name.replace("_", ".")).write_text(text)
        return differences.compare_folders(*folders)

    yield found
    for name in ("differences", "jobs"):
        sys.modules.pop(name, None)


def write(path: Path) -> None:
    """A file with what run files have: scales, texts, references, an attribute of JSON."""
    with h5py.File(path, "w") as file:
        file["metrics/step"] = np.arange(4)
        file["metrics/loss"] = np.array([1.0, np.nan, 0.0, 0.25])
        file["metrics/step"].make_scale("step")
        file["metrics/loss"].dims[0].attach_scale(file["metrics/step"])
        file["names"] = np.array(["a", "b"], dtype=object)
        file.attrs["seeds"] = np.arange(3)
        file.attrs["run_id"] = path.parent.name
        file.attrs["sessions"] = json.dumps([{"command_line": str(path), "step": 0}])


def test_equal(compare):
    """Also where what may differ does: the run's id, the clock, a side's own folder, seconds that are printed."""
    assert compare(**{"000_txt": "done in 2 s\n"}) == ([], [])


def replace(file: h5py.File, name: str, values: np.ndarray) -> None:
    del file[name]
    file[name] = values


CHANGES = {
    "/metrics/loss: [2] is": lambda file: file["metrics/loss"].write_direct(np.array([1.0, np.nan, -0.0, 0.25])),
    "/names: [1] is": lambda file: file["names"].__setitem__(1, "c"),
    "/names: only in OLD": lambda file: file.__delitem__("names"),
    "/extra: only in NEW": lambda file: file.create_group("extra"),
    "/metrics/step: type int64 and int32": lambda file: replace(file, "metrics/step", np.arange(4, dtype=np.int32)),
    "/names: shape (2,) and (1,)": lambda file: replace(file, "names", np.array(["a"], dtype=object)),
    "/: attribute seeds: b'": lambda file: file.attrs.modify("seeds", np.array([0, 1, 3])),
    "/: attribute seeds: type": lambda file: file.attrs.create("seeds", np.arange(3.0)),
    "/: attribute seeds: only in OLD": lambda file: file.attrs.__delitem__("seeds"),
    "/: attribute run_id: only in OLD": lambda file: file.attrs.__delitem__("run_id"),
    "/: attribute sessions: ": lambda file: file.attrs.modify("sessions", '[{"command_line": "", "step": 1}]'),
    "/metrics/loss: attribute DIMENSION_LIST": lambda file: (
        file["metrics/loss"].dims[0].detach_scale(file["metrics/step"])
    ),
}


@pytest.mark.parametrize("expected", CHANGES)
def test_a_difference_in_hdf5(compare, expected):
    results, texts = compare(CHANGES[expected])
    assert len(results) == 1 and texts == []
    assert results[0].startswith(f"run.h5: {expected}")


def test_differences_in_other_files(compare):
    """Bytes, entries of status.json, a file that only one side has; printed text is told apart."""
    texts = {"metrics_jsonl": '{"loss": 0.25}\n', "000_txt": "done\n", "more_csv": "", "status_json": '{"steps": 3}'}
    results, printed = compare(**texts)
    assert [line.split(":")[0] for line in results] == ["more.csv", "metrics.jsonl", "status.json"]
    assert len(printed) == 1 and printed[0].startswith("000.txt: line 1")


def test_jobs_take_every_entry_of_the_registries(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import jobs

    words = [command.words.split() for job in jobs.make_jobs(SCRIPTS.parents[1]) for command in job.commands]
    used = {word for command in words for word in command}
    for group in ("encoding", "ansatz", "observable", "loss", "optimizer", "head", "schedule", "engine", "gradient"):
        for path in (SCRIPTS.parents[1] / "configs" / group).glob("*.yaml"):
            default = {"head": "linear", "engine": "auto"}.get(group)  # taken where nothing is said
            assert f"{group}={path.stem}" in used or path.stem == default, f"{group}={path.stem}"
    sys.modules.pop("jobs", None)
