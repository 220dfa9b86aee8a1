"""The text of `qmltrain --help` and `qmltrain VERB --help`, put together from what the verbs declare."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from pathlib import Path

from qmltrain.cli.known_verbs import flags_of, known_verbs
from qmltrain.cli.verb import PATHS, Flag, Takes, Verb
from qmltrain.shipped_files import entry_names

HELP = """\
qmltrain: exact batch training of parametrised quantum circuits

usage:
  qmltrain [VERB] group=entry group.key=value ... [flags]     (no verb: train)
  qmltrain VERB RUN [flags]
{usage_of_nothing}

verbs that take a config:
{of_config}

verbs that take a run (its directory or its run.h5):
{of_paths}

others:
{of_nothing}

flags:
  -m, --multirun         run every combination of comma-separated values, one after the other
  --cfg job              print the composed config and stop (also: hydra, all)
  --config-dir DIR       groups of your own: DIR/ansatz/mine.yaml makes ansatz=mine, DIR/experiment/x.yaml experiment=x
  -v, --verbose          show the traceback of an error
  --version              print the version
  -h, --help             print this; with a verb (qmltrain evaluate --help) what that verb takes

flags of single verbs:
{flags_of_verbs}

groups and their entries:
{groups}

examples:
{examples}

exit codes: 0 done, 1 error, 2 bad config or input, 75 stopped by a signal after a snapshot (run it again)
Every key, its default and what it means: docs/config.md
"""

VERB_HELP = """\
qmltrain {verb}: {meaning}

usage:
  qmltrain {usage} [flags]
{overrides}
flags:
{flags}

examples:
{examples}

All verbs, groups and exit codes: qmltrain --help. Every key, its default and what it means: docs/config.md
"""

FLAGS_OF_CONFIG = (
    ("-m, --multirun", "run every combination of comma-separated values, one after the other"),
    ("--cfg job", "print the composed config and stop (also: hydra, all)"),
    ("--config-dir DIR", "groups of your own: DIR/ansatz/mine.yaml makes ansatz=mine"),
)


def help_text(configs: Path) -> str:
    """The whole help; entries of the groups are listed from `configs`."""
    verbs = list(known_verbs().values())
    of_nothing = [verb for verb in verbs if verb.takes is Takes.NOTHING]
    return HELP.format(
        usage_of_nothing="\n".join(f"  qmltrain {verb.name}" for verb in of_nothing),
        of_config=_table((verb.name, verb.meaning) for verb in verbs if verb.takes is Takes.CONFIG),
        of_paths=_table((verb.name, _paths_and_meaning(verb)) for verb in verbs if PATHS[verb.takes]),
        of_nothing=_table((verb.name, verb.meaning) for verb in of_nothing),
        flags_of_verbs=_table(_flags_of_verbs(verbs)),
        groups=_table(_groups(configs)),
        examples=_lines(example for verb in verbs for example in verb.examples),
    )


def verb_help(verb: Verb) -> str:
    """What one verb takes: its usage, its overrides, its flags, its examples."""
    usage = [f"[{verb.name}]" if verb.default else verb.name, *PATHS[verb.takes]]
    if verb.takes is Takes.CONFIG:
        usage.append("[group=entry] [group.key=value] ..." + " [group.key=a,b] ..." * verb.grid)
    usage += [f"[{override.key}=...]" for override in verb.overrides]
    overrides = _table((f"{override.key}=...", override.meaning) for override in verb.overrides)
    flags = [(_spelling(flag), flag.meaning) for flag in flags_of(verb).values()]
    if verb.takes is Takes.CONFIG:
        flags += FLAGS_OF_CONFIG[1:] if verb.grid else FLAGS_OF_CONFIG
    return VERB_HELP.format(
        verb=verb.name,
        meaning=verb.meaning,
        usage=" ".join(usage),
        overrides=f"\nbeside the run:\n{overrides}\n" if overrides else "",
        flags=_table([*flags, ("-v, --verbose", "show the traceback of an error")]),
        examples=_lines(verb.examples),
    )


def _paths_and_meaning(verb: Verb) -> str:
    """The meaning, after the paths where they are not one run."""
    return verb.meaning if verb.takes is Takes.RUN else f"{' '.join(PATHS[verb.takes])}: {verb.meaning}"


def _flags_of_verbs(verbs: list[Verb]) -> Iterator[tuple[str, str]]:
    """One row a flag; verbs that have the same one share it."""
    owners: dict[tuple[str, str], list[str]] = {}
    for verb in verbs:
        for flag in flags_of(verb).values():
            owners.setdefault((_spelling(flag), flag.meaning), []).append(verb.name)
    for (spelling, meaning), names in owners.items():
        yield spelling, f"{'|'.join(names)}: {meaning}"


def _spelling(flag: Flag) -> str:
    return f"--{flag.name}" if flag.value is None else f"--{flag.name} {flag.value}"


def _groups(configs: Path) -> Iterator[tuple[str, str]]:
    """Each group that has more than a default, and its entries."""
    for folder in sorted(configs.iterdir()):
        entries = entry_names(folder.name) if folder.is_dir() else []
        if any(entry != "default" for entry in entries):
            yield folder.name, " ".join(entries)


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(f"  {text}" for text in texts)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(
        textwrap.fill(f"{name:<22} {text}", 118, initial_indent="  ", subsequent_indent=" " * 25) for name, text in rows
    )
