"""Where a run comes from: program, versions, machine and job. Nothing heavy is imported to find out."""

from __future__ import annotations

import os
import platform
import shlex
import socket
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

PACKAGES = (
    "qmltrain",
    "numpy",
    "scipy",
    "scikit-learn",
    "h5py",
    "hydra-core",
    "omegaconf",
    "cupy-cuda12x",
    "cupy-cuda13x",
)
SLURM_VARIABLES = (
    "SLURM_JOB_ID",
    "SLURM_JOB_NAME",
    "SLURM_ARRAY_JOB_ID",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_RESTART_COUNT",
    "SLURM_JOB_NODELIST",
    "SLURM_JOB_PARTITION",
    "SLURM_CLUSTER_NAME",
)


def utc_now() -> str:
    """The time as 2026-01-31T12:00:00Z."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def collect_session() -> dict[str, Any]:
    """One session of a run: when, where and under which job it was started or resumed."""
    session: dict[str, Any] = {
        "started_utc": utc_now(),
        "command_line": shlex.join(sys.orig_argv),
        "host": socket.gethostname(),
    }
    for variable in SLURM_VARIABLES:
        if variable in os.environ:
            session[variable.lower()] = os.environ[variable]
    return session


def collect_attributes() -> dict[str, Any]:
    """The root attributes of a run file that the program can find out by itself.

    run_id, command_line, started_utc, host, platform, python_version, cpu_count, ``slurm_*`` of the job,
    ``<package>_version`` of what is installed, and git_commit and git_dirty where the program runs from its checkout.
    The caller adds config_yaml, overrides, seeds and device.
    """
    attributes: dict[str, Any] = {
        "run_id": uuid.uuid4().hex,
        **collect_session(),
        "platform": platform.platform(),
        "python_version": platform.python_version(),
        "cpu_count": os.cpu_count(),
    }
    return {**attributes, **_versions(), **_git_state(Path(__file__).resolve().parents[2])}


@cache  # of what this process has loaded, however many runs it makes
def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[f"{package.replace('-', '_')}_version"] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def _git_state(checkout: Path) -> dict[str, Any]:
    """Commit of the checkout that the package runs from; nothing where it is installed elsewhere or git is missing."""
    if not (checkout / ".git").exists():
        return {}

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(checkout), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()

    try:
        return {
            "git_commit": git("rev-parse", "HEAD"),
            "git_dirty": bool(git("status", "--porcelain", "--untracked-files=no")),
        }
    except (OSError, subprocess.SubprocessError):
        return {}
