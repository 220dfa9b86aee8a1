"""The schema: every group's module is in it, and every default is a value that it allows."""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil

from qmltrain.config import groups
from qmltrain.config.option import ConfigGroup
from qmltrain.config.schema import GROUPS, Config, options
from qmltrain.config.validation import validate


def test_every_module_of_groups_holds_one_group_of_the_config():
    assert sorted(module.name for module in pkgutil.iter_modules(groups.__path__)) == sorted(GROUPS)
    for name in GROUPS:
        module = importlib.import_module(f"qmltrain.config.groups.{name}")
        [defined] = [
            one for one in vars(module).values() if dataclasses.is_dataclass(one) and one.__module__ == module.__name__
        ]
        assert issubclass(defined, ConfigGroup) and type(getattr(Config(), name)) is defined
        assert module.__doc__.startswith(f"Config group `{name}`: ")


def test_defaults_are_valid_and_of_their_declared_kind():
    config = validate(Config())
    assert config == Config() and config.preprocess.range is not Config().preprocess.range
    for key, value, item in options(config):
        assert (value is None) <= ("None" in str(item.type) or item.type == "Any"), key
        assert item.metadata["meaning"], key
