"""`qmltrain info`: each line is found out on its own, and what is missing comes with the way to get it."""

from __future__ import annotations

import importlib
import importlib.machinery
import importlib.metadata
import sys
from types import ModuleType, SimpleNamespace

import pytest

from qmltrain.verbs import info


def lines(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    info.print_info()
    return {line[:12].strip(): line[13:] for line in capsys.readouterr().out.splitlines()}


def fake_engine(monkeypatch: pytest.MonkeyPatch, name: str, **content: object) -> None:
    module = ModuleType(f"qmltrain.engines.{name}")
    vars(module).update(content)
    module.__spec__ = importlib.machinery.ModuleSpec(module.__name__, None)
    monkeypatch.setitem(sys.modules, module.__name__, module)


def test_a_part_that_breaks_does_not_hide_the_others(monkeypatch, capsys):
    def broken():
        raise RuntimeError("driver\nis ill")

    monkeypatch.setitem(info._PARTS, "gpu", broken)
    found = lines(capsys)
    assert found["gpu"] == "unknown: RuntimeError: driver is ill"
    assert set(found) == set(info._PARTS) and found["python"].startswith(sys.version.split()[0])


def test_missing_packages_come_with_the_command_that_installs_them(monkeypatch, capsys):
    def version(name):
        if name in ("pandas", "matplotlib", "mpi4py"):
            raise importlib.metadata.PackageNotFoundError(name)
        return "1.2"

    monkeypatch.setattr(importlib.metadata, "version", version)
    extras = lines(capsys)["extras"]
    assert "pandas missing (pip install 'qmltrain[analysis]')" in extras
    assert "mpi4py missing (pip install 'qmltrain[mpi]')" in extras
    assert "matplotlib missing (pip install 'qmltrain[plot]')" in extras and "xarray 1.2" in extras


def test_the_cpu_engine_describes_itself_or_says_how_to_get_it(monkeypatch, capsys):
    built = {"describe_extension": lambda: "C++ extension: avx512, avx2", "unavailable_reason": lambda: None}
    fake_engine(monkeypatch, "cpu", **built)
    assert lines(capsys)["cpu engine"] == "C++ extension: avx512, avx2"
    fake_engine(monkeypatch, "cpu", unavailable_reason=lambda: "not built; install a compiler")
    assert lines(capsys)["cpu engine"] == "missing: not built; install a compiler"


def test_the_gpu_engine_describes_itself_or_says_how_to_get_it(monkeypatch, capsys):
    engine = SimpleNamespace(describe=lambda: "cuda: H200, compute capability 9.0")
    fake_engine(monkeypatch, "cuda", unavailable_reason=lambda: None, CudaEngine=lambda: engine)
    assert lines(capsys)["gpu"] == "cuda: H200, compute capability 9.0"
    fake_engine(monkeypatch, "cuda", unavailable_reason=lambda: "CuPy is not installed; pip install it")
    assert lines(capsys)["gpu"].startswith("missing: CuPy is not installed; pip install it")


def test_cores_name_what_slurm_gave(monkeypatch, capsys):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "7")
    cores = lines(capsys)["cores"]
    assert cores.endswith(", SLURM 7)") and " usable of " in cores
