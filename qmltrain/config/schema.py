"""The whole config: one dataclass per group (`qmltrain.config.groups`), composed into `Config`.

Names of encodings, ansaetze, datasets, ... are looked up in their registries by the code that builds them. An option
that the named entry does not take must stay null.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from qmltrain.config.groups.ansatz import AnsatzConfig
from qmltrain.config.groups.circuit import CircuitConfig
from qmltrain.config.groups.dataset import DatasetConfig
from qmltrain.config.groups.encoding import EncodingConfig
from qmltrain.config.groups.engine import EngineConfig
from qmltrain.config.groups.gradient import GradientConfig
from qmltrain.config.groups.head import HeadConfig
from qmltrain.config.groups.input import InputConfig
from qmltrain.config.groups.kernel import KernelConfig
from qmltrain.config.groups.loss import LossConfig
from qmltrain.config.groups.observable import ObservableConfig
from qmltrain.config.groups.optimizer import OptimizerConfig
from qmltrain.config.groups.preprocess import PreprocessConfig
from qmltrain.config.groups.run import RunConfig
from qmltrain.config.groups.scan import ScanConfig
from qmltrain.config.groups.schedule import ScheduleConfig
from qmltrain.config.groups.study import StudyConfig
from qmltrain.config.groups.train import TrainConfig


@dataclass
class Config:
    """A whole config, resolved. `validate` it before use."""

    circuit: CircuitConfig = field(default_factory=CircuitConfig)
    input: InputConfig = field(default_factory=InputConfig)
    encoding: EncodingConfig = field(default_factory=EncodingConfig)
    ansatz: AnsatzConfig = field(default_factory=AnsatzConfig)
    observable: ObservableConfig = field(default_factory=ObservableConfig)
    head: HeadConfig = field(default_factory=HeadConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    dataset: DatasetConfig = field(default_factory=DatasetConfig)
    preprocess: PreprocessConfig = field(default_factory=PreprocessConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    engine: EngineConfig = field(default_factory=EngineConfig)
    gradient: GradientConfig = field(default_factory=GradientConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    run: RunConfig = field(default_factory=RunConfig)
    study: StudyConfig = field(default_factory=StudyConfig)
    scan: ScanConfig = field(default_factory=ScanConfig)
    kernel: KernelConfig = field(default_factory=KernelConfig)


GROUPS: tuple[str, ...] = tuple(item.name for item in dataclasses.fields(Config))


@dataclass(frozen=True)
class CommandContext:
    """What a verb knows of the command that called it: the words typed, the overrides among them, `-v`, and the ranks
    that a launcher started (None: one process; else `qmltrain.sessions.together.Together`)."""

    command_line: list[str]
    overrides: list[str]
    verbose: bool = False
    ranks: Any = None


def options(config: Config) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    """Every option of `config` in order: its key (`group.name`), its value, its field."""
    for group in dataclasses.fields(config):
        node = getattr(config, group.name)
        for item in dataclasses.fields(node):
            yield f"{group.name}.{item.name}", getattr(node, item.name), item
