"""Options that training would not read, refused where they are set rather than ignored.

Most options are null until set, and the registries refuse those that their entry does not take. The ones here have
defaults of their own: set means another value than the default.
"""

from __future__ import annotations

from collections.abc import Iterator

from qmltrain.config.schema import Config
from qmltrain.errors import UnusedOptionError


def check_unused(config: Config, *, full_batch: bool, has_data: bool) -> None:
    """`full_batch`: the optimiser evaluates all training samples in every step and finds its step sizes itself.

    Raises InputError for the first option that is set and would not be read.
    """
    default = Config()
    reasons = list(_of_full_batch(config)) if full_batch else []
    if not has_data:
        reasons += [(key, "dataset=none, which has no samples") for key in _OF_SAMPLES]
    for key, reason in reasons:
        group, name = key.split(".")
        found, expected = (getattr(getattr(one, group), name) for one in (config, default))
        if found != expected:
            shown = "null" if expected is None else expected
            raise UnusedOptionError(key, f"found {found}; not used by {reason}; leave it at its default, {shown}")
    if full_batch and config.schedule.name not in ("constant", default.schedule.name):
        raise UnusedOptionError(
            "schedule.name",
            f"found {config.schedule.name}; not used by optimizer.name={config.optimizer.name}, which "
            "finds its step sizes itself; choose schedule=constant, or another optimizer",
        )


_OF_SAMPLES = (
    *("train.batch_size", "train.replacement", "dataset.validation", "dataset.test"),
    *("dataset.folds", "dataset.fold", "preprocess.resize"),
    *("preprocess.standardize", "preprocess.clip", "preprocess.normalize"),
)


def _of_full_batch(config: Config) -> Iterator[tuple[str, str]]:
    optimizer = f"optimizer.name={config.optimizer.name}"
    for key in ("optimizer.learning_rate", "schedule.warmup_steps", "schedule.final_fraction"):
        yield key, f"{optimizer}, which finds its step sizes itself"
    yield "optimizer.clip_norm", optimizer
    for key in ("train.batch_size", "train.replacement"):
        yield key, f"{optimizer}, which takes all training samples in every step"
