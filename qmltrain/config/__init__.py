"""The config: its schema, what is refused, and how it is stored.

Hydra composes into the dataclasses of `schema` (see `qmltrain.cli.composing`), which refuse unknown keys and wrong
types; `validate` refuses values that cannot be. `docs/config.md` opens with the same keys, defaults and comments.
"""

from qmltrain.config.reference import allowed_values, commented_yaml, known_keys, nearest_key
from qmltrain.config.schema import (
    GROUPS,
    AnsatzConfig,
    CircuitConfig,
    CommandContext,
    Config,
    DatasetConfig,
    EncodingConfig,
    EngineConfig,
    GradientConfig,
    HeadConfig,
    LossConfig,
    ObservableConfig,
    OptimizerConfig,
    PreprocessConfig,
    RunConfig,
    ScheduleConfig,
    StudyConfig,
    TrainConfig,
    options,
)
from qmltrain.config.storage import from_yaml, to_dict, to_yaml
from qmltrain.config.validation import validate

__all__ = [
    "GROUPS",
    "AnsatzConfig",
    "CircuitConfig",
    "CommandContext",
    "Config",
    "DatasetConfig",
    "EncodingConfig",
    "EngineConfig",
    "GradientConfig",
    "HeadConfig",
    "LossConfig",
    "ObservableConfig",
    "OptimizerConfig",
    "PreprocessConfig",
    "RunConfig",
    "ScheduleConfig",
    "StudyConfig",
    "TrainConfig",
    "allowed_values",
    "commented_yaml",
    "from_yaml",
    "known_keys",
    "nearest_key",
    "options",
    "to_dict",
    "to_yaml",
    "validate",
]
