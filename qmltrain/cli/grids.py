"""From overrides with several values to the points of a grid, composed by Hydra without a sweeper.

What is swept is written as for `-m` (lists, range, glob, choice), or stands in an experiment under
``hydra.sweeper.params``; a word of the command takes the place of an experiment's. The last key varies fastest.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import Any

from qmltrain.cli.composing import CONFIG_NAME, as_config, hydra_session
from qmltrain.cli.experiment_options import without_unused
from qmltrain.cli.explaining import config_errors
from qmltrain.cli.override_words import as_typed, key_of
from qmltrain.cli.user_configs import search_path
from qmltrain.config.grid import Grid, GridPoint
from qmltrain.config.reference import is_group
from qmltrain.config.schema import GROUPS, Config
from qmltrain.errors import InputError
from qmltrain.wording import shortened

MOST_POINTS = 100_000


def compose_grid(overrides: list[str], config_directory: str | None = None) -> Grid:
    """All points; one where nothing is swept. Raises InputError in one line that names the key."""
    with config_errors(overrides), hydra_session():
        fixed, swept, node_of_fixed = _split(overrides, config_directory)
        n_points = math.prod(len(words) for words in swept.values())
        if n_points > MOST_POINTS:
            raise InputError(f"{', '.join(swept)}: {n_points} points; a grid has at most {MOST_POINTS}")
        of_groups = {key: words for key, words in swept.items() if is_group(key)}
        of_options = {key: words for key, words in swept.items() if not is_group(key)}
        composed = {
            chosen: node_of_fixed
            if not chosen and node_of_fixed is not None
            else _compose([*fixed, *chosen], config_directory)
            for chosen in itertools.product(*of_groups.values())
        }
        points, derived = [], dict[str, None]()
        for words in itertools.product(*swept.values()):
            by_key = dict(zip(swept, words, strict=True))
            node = composed[tuple(by_key[key] for key in of_groups)]
            _apply([by_key[key] for key in of_options], node)  # all of them each time: nothing of another point stays
            derived |= dict.fromkeys(_derived(node))
            config = as_config(node, validated=False)
            values = {key: _value(config, key, word) for key, word in by_key.items()}
            points.append(GridPoint(values, _settled(config, [*fixed, *words], config_directory)))
        return Grid(tuple(points), tuple(swept), tuple(key for key in derived if key not in swept))


def first_point(overrides: list[str], config_directory: str | None = None) -> list[str]:
    """The overrides of the first point, to show its config."""
    with config_errors(overrides), hydra_session():
        fixed, swept, _ = _split(overrides, config_directory)
        return [*fixed, *(words[0] for words in swept.values())]


def _split(overrides: list[str], config_directory: str | None) -> tuple[list[str], dict[str, list[str]], Any]:
    """Overrides of all points, for each swept key one override a value, and the config composed of the first, where
    that is what was composed to find what an experiment sweeps; else None."""
    from hydra.core.global_hydra import GlobalHydra
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from omegaconf import OmegaConf

    hydra = GlobalHydra.instance().hydra
    assert hydra is not None
    parser = OverridesParser.create(config_loader=hydra.config_loader)
    words = as_typed(overrides, sweep=True)
    first = [word for word, parsed in zip(words, parser.parse_overrides(words), strict=True) if not _sweeps(parsed)]
    node = _compose(first, config_directory)
    experiment = node.hydra.sweeper.params
    params = {} if experiment is None else dict[Any, Any](OmegaConf.to_container(experiment))  # type: ignore[arg-type]
    given = {key_of(word) for word in words}
    experiments = [f"{key}={value}" for key, value in params.items() if key_of(f"{key}=") not in given]
    words = [*as_typed(experiments, sweep=True), *words]
    swept: dict[str, list[str]] = {}
    fixed = []
    for word, parsed in zip(words, parser.parse_overrides(words), strict=True):
        if not _sweeps(parsed):
            fixed.append(word)
            continue
        key = key_of(word)
        if key == "experiment" or key.startswith("hydra"):
            raise InputError(f"{shortened(word)}: cannot be swept here; all points have one experiment and one Hydra")
        if not parsed.is_discrete_sweep():
            raise InputError(f"{shortened(word)}: a grid needs values (lists, range, glob, choice), not an interval")
        values = list(dict.fromkeys(parsed.sweep_string_iterator()))
        if not values:
            raise InputError(f"{shortened(word)}: no value; write key=a,b")
        swept[key] = [f"{parsed.get_key_element()}={value}" for value in values]
    fixed = [word for word in fixed if key_of(word) not in swept]
    return fixed, swept, node if fixed == first else None


def _sweeps(parsed: Any) -> bool:
    return bool(parsed.is_sweep_override())


def _compose(words: list[str], config_directory: str | None) -> Any:
    from hydra import compose

    return compose(CONFIG_NAME, [*words, *search_path(config_directory)], return_hydra_config=True)


def _apply(words: list[str], node: Any) -> None:
    """Set options in a composed config, as Hydra itself does at the end of composing."""
    from hydra._internal.config_loader_impl import ConfigLoaderImpl
    from hydra.core.override_parser.overrides_parser import OverridesParser

    ConfigLoaderImpl._apply_overrides_to_config(OverridesParser.create().parse_overrides(words), node)


def _derived(node: Any) -> list[str]:
    """The options whose values, or items of which, are interpolations."""
    from omegaconf import OmegaConf

    plain: dict[str, Any] = {group: OmegaConf.to_container(node[group], resolve=False) for group in GROUPS}
    return [
        f"{group}.{name}"
        for group, options in plain.items()
        for name, value in options.items()
        if any(isinstance(item, str) and "${" in item for item in (value if isinstance(value, list) else [value]))
    ]


def _value(config: Config, key: str, word: str) -> Any:
    group, _, name = key.partition(".")
    return getattr(getattr(config, group), name.partition("[")[0]) if name else word.partition("=")[2].strip("'\"")


def _settled(config: Config, words: list[str], config_directory: str | None) -> Any:
    return functools.partial(without_unused, config, words, config_directory)
