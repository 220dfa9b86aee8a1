"""qmltrain: exact batch training of parametrised quantum circuits, fused forward and backward.

In Python: ``qmltrain.load(run)`` is a trained model, ``qmltrain.open_run(run)`` what a run stored,
``qmltrain.open_scan(scan)`` what a scan drew, ``qmltrain.kernel(x)`` a quantum kernel of samples.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # as typing's, which the command need not wait for (`qmltrain.cluster.signals`)
if TYPE_CHECKING:
    from typing import Any

    from qmltrain.models.trained import TrainedModel, load
    from qmltrain.quantum_kernels.notebook import kernel
    from qmltrain.runs.views import open_run
    from qmltrain.scans.views import open_scan

__all__ = ["TrainedModel", "__version__", "kernel", "load", "open_run", "open_scan"]
__version__ = "0.1.0"

_HOMES = {
    "TrainedModel": "qmltrain.models.trained",
    "kernel": "qmltrain.quantum_kernels.notebook",
    "load": "qmltrain.models.trained",
    "open_run": "qmltrain.runs.views",
    "open_scan": "qmltrain.scans.views",
}


def __getattr__(name: str) -> Any:
    """Imported when first used, so that the command starts without what it does not need."""
    if name not in _HOMES:
        raise AttributeError(f"module 'qmltrain' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
