"""Where the files live that are not Python: configs and kernel sources.

Installed from a wheel they lie inside the package (`qmltrain/configs`, `qmltrain/kernels`); in a checkout, editable
install included, beside it.
"""

from __future__ import annotations

from pathlib import Path

from qmltrain.errors import QmltrainError

PACKAGE = Path(__file__).resolve().parent


def configs_directory() -> Path:
    """Folder of `config.yaml` and the config groups."""
    return _shipped("configs", "config.yaml")


def entry_names(group: str) -> list[str]:
    """Entries of a config group, of folders in it as ``folder/entry``; names that begin with _ are parts of others."""
    folder = configs_directory() / group
    names = [path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.yaml")]
    return sorted(name for name in names if not name.rpartition("/")[2].startswith("_"))


def kernels_directory() -> Path:
    """Folder of the kernel sources, `cpu/` and `cuda/`."""
    return _shipped("kernels", "CMakeLists.txt")


def _shipped(name: str, witness: str) -> Path:
    """`name` in the package, else beside it; `witness` is a file that it must hold."""
    for parent in (PACKAGE, PACKAGE.parent):
        if (parent / name / witness).is_file():
            return parent / name
    raise QmltrainError(
        f"{name}/{witness} is neither in {PACKAGE} nor beside it: the installation is incomplete; install again"
    )
