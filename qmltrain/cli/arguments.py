"""The command line's words: which verb, which flags, which overrides, checked as far as words go."""

from __future__ import annotations

import argparse
import difflib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from qmltrain.cli.known_verbs import default_verb, flags_of, known_verbs
from qmltrain.cli.launched import NEVER
from qmltrain.cli.verb import PATHS, Takes, Verb
from qmltrain.config.reference import is_known
from qmltrain.config.synonyms import known_key
from qmltrain.errors import InputError
from qmltrain.shipped_files import entry_names
from qmltrain.wording import shortened, shown

CONFIG_KINDS = ("job", "hydra", "all")
_OF_VERB = "flag of a verb: "  # how argparse's finds are told apart


@dataclass(frozen=True)
class Arguments:
    """The parsed command line. `verb` is the one that was written, else the default one; None where help or the version
    is asked for without one.

    `words` are overrides for a verb that takes a config, else paths and overrides. `flags` are those of the verb itself
    that were given: their text, True for a switch.
    """

    verb: Verb | None
    words: list[str]
    multirun: bool = False
    show: str | None = None
    config_directory: str | None = None
    verbose: bool = False
    help: bool = False
    version: bool = False
    flags: dict[str, str | bool] = field(default_factory=dict)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _, _, words = message.partition("unrecognized arguments: ")
        key = words.partition("=")[0].split(" ")[0].lstrip("-")
        if words and (is_known(key) or known_key(key)):
            key = key if is_known(key) else str(known_key(key))
            raise InputError(f"found {shown(words)}; keys are written without dashes: {key}=...")
        raise InputError(f"{message if len(message) < 400 else message[:400] + '...'}; qmltrain --help shows the usage")


def parse_arguments(argv: list[str]) -> Arguments:
    """The command line. Raises InputError in one line."""
    found = vars(_parser().parse_intermixed_args(argv))
    flags = {}
    for dest in [dest for dest in found if dest.startswith(_OF_VERB)]:
        value = found.pop(dest)
        if value is not None:
            flags[dest.removeprefix(_OF_VERB)] = value
    words: list[str] = found.pop("words")
    help_alone = found["help"] or found["version"]
    verb = known_verbs().get(words[0]) if words else None
    named = verb is not None
    if named:
        words = words[1:]
    elif not help_alone:
        verb = default_verb()
    for other in known_verbs().values():
        if verb is not None and other.flag_of is not None and other.flag_of[0] == verb.name:
            run = flags.pop(other.flag_of[1].name, None)
            if run is not None:
                verb, words = other, [os.path.join(".", str(run)) if "=" in str(run) else run, *words]
                break
    asked = found["multirun"] or found["show"] or found["config_directory"]
    if verb is not None and not named and not (words or flags or asked):  # `qmltrain` alone
        verb, help_alone, found["help"] = None, True, True
    if verb is not None and verb.takes is not Takes.CONFIG:  # where there is no config it is the launcher's alone
        words = [word for word in words if word != NEVER]
    arguments = Arguments(verb, words, flags=flags, **found)
    if verb is not None and not help_alone:
        _check(verb, arguments)
    return arguments


def _parser() -> _Parser:
    parser = _Parser(prog="qmltrain", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")  # `~key` and `+key=value` are words; so is everything after `--`
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", "-c", dest="show", choices=CONFIG_KINDS)
    parser.add_argument("--config-dir", "-cd", dest="config_directory")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    flags = {flag.name: flag for verb in known_verbs().values() for flag in flags_of(verb).values()}
    for name, flag in flags.items():
        if flag.value is None:
            parser.add_argument(f"--{name}", dest=_OF_VERB + name, action="store_const", const=True)
        else:
            parser.add_argument(f"--{name}", dest=_OF_VERB + name)
    return parser


def _check(verb: Verb, arguments: Arguments) -> None:
    for name in arguments.flags:
        if name not in flags_of(verb):
            owners = [other.name for other in known_verbs().values() if name in flags_of(other)]
            raise InputError(f"--{name}: not used by {verb.name}, but by {', '.join(owners)}")
    if verb.grid and arguments.multirun:
        raise InputError(f"-m: not used by {verb.name}, which takes several values of a key without it")
    if verb.takes is Takes.CONFIG:
        _check_config_words(arguments)
        return
    given = {"-m": arguments.multirun, "--cfg": arguments.show, "--config-dir": arguments.config_directory}
    for flag, value in given.items():
        if value:
            raise InputError(f"{flag}: not used by {verb.name}; it takes {verb.takes.value}")
    if verb.takes is Takes.NOTHING:
        if arguments.words:
            raise InputError(f"{verb.name}: found {shown(arguments.words[0])}; {verb.name} takes nothing")
        return
    _check_path_words(verb, arguments.words)


def _check_config_words(arguments: Arguments) -> None:
    for word, following in zip(arguments.words, [*arguments.words[1:], ""], strict=False):
        if "=" not in word and not word.startswith("~"):
            raise InputError(
                f"found {shown(word)}; {_meant(word, following)}allowed: first a verb ({', '.join(known_verbs())}), "
                "then key=value"
            )
    if arguments.multirun and arguments.show:
        raise InputError("-m and --cfg exclude each other; --cfg shows the config of one point")


def _meant(word: str, following: str) -> str:
    """A question for a word that is neither a verb nor an override: the one that it may be."""
    if is_known(word):
        value = following if following and "=" not in following else "..."
        return f"did you mean {shortened(f'{word}={value}')}? "
    experiments = entry_names("experiment")
    near = difflib.get_close_matches(word, [*known_verbs(), *experiments], n=1)
    if not near:
        return ""
    return f"did you mean the verb {near[0]}? " if near[0] in known_verbs() else f"did you mean experiment={near[0]}? "


def paths_and_overrides(verb: Verb, words: list[str]) -> tuple[list[str], list[str]]:
    """The words of a verb that takes paths: what is a path, also one that holds `=`, and what is `key=value`."""
    paths = [word for word in words if not _is_override(verb, word)]
    return paths, [word for word in words if _is_override(verb, word)]


def _is_override(verb: Verb, word: str) -> bool:
    key, equals, _ = word.partition("=")
    key = key.lstrip("+")
    if not (verb.overrides and equals) or "/" in key:
        return False
    keys = {override.key for override in verb.overrides}
    return bool({key, key.partition(".")[0]} & keys) or not _is_there(word)


def _is_there(path: str) -> bool:
    try:
        return Path(path).exists()
    except OSError:  # too long a name
        return False


def _check_path_words(verb: Verb, words: list[str]) -> None:
    paths, overrides = paths_and_overrides(verb, words)
    if len(paths) != len(PATHS[verb.takes]):
        raise InputError(f"{verb.name}: found {len(paths)} words; allowed: {_ALLOWED_PATHS[verb.takes]}")
    keys = [override.key for override in verb.overrides]
    for word in overrides:
        key = word.partition("=")[0].lstrip("+")
        if not {key, key.partition(".")[0]} & set(keys):
            raise InputError(f"{verb.name}: found {shown(word)}; beside the run it takes {', '.join(keys)}")


_ALLOWED_PATHS = {
    Takes.RUN: "one, the run's directory or its run.h5",
    Takes.TWO_RUNS: "two runs",
    Takes.FOLDER: "one, a folder",
}
