"""The command line's words: which verb, which flags, which overrides. Imports nothing heavy: `--help` stays fast."""

from __future__ import annotations

import argparse
import difflib
import textwrap
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

from qmltrain.errors import InputError

COMPOSED_VERBS = {
    "train": "train a model (the default verb)",
    "gradient": "loss, expectations and gradients at given parameters, to HDF5",
    "plan": "what would run: passes, operations, bytes, memory; executes nothing",
    "circuit": "draw the circuit, count gates, name the parameters in order",
}
PATH_VERBS = {
    "evaluate": "metrics of a run's best parameters on its own splits, or on other data: dataset=..., shots=1000",
    "resume": "go on with a run that was stopped, from its own stored config",
    "repeat": "train a run's config again in a fresh directory and say whether it came out equal to the bit",
    "compare": "RUN RUN: what differs between two runs, in their configs and in their results",
    "collect": "FOLDER: one table (CSV) of all runs in it, or of a sweep; --over run.seed: mean and spread over seeds",
    "export": "the trained circuit for other programs: --to qasm3, pennylane or qiskit",
    "plot": "draw a run's curves (extra: plot)",
}
# what may stand before the = in a path verb's overrides
OVERRIDES_OF = {"evaluate": ("dataset", "engine", "shots", "seed"), "repeat": ("run.dir",)}
RUNS_OF = {"compare": 2}  # words of a path verb that are runs; else 1
# flags that take a value, the verbs that read them, and what they mean
VALUE_FLAGS = {
    "predictions": (("evaluate",), "FILE", "label, prediction and scores of every sample, to .csv or .npz"),
    "over": (("collect",), "KEY,...", "mean, deviation and 95 % interval over runs that differ in these keys alone"),
    "from": (("train",), "RUN", "repeat RUN instead of composing a config: the same as `qmltrain repeat RUN`"),
    "to": (("export",), "FORMAT", "qasm3, pennylane or qiskit"),
    "output": (("collect", "export"), "FILE", "the new file to write (default: standard output)"),
}
PLAIN_VERBS = {"info": "versions, devices, what is missing and how to get it"}
VERBS = (*COMPOSED_VERBS, *PATH_VERBS, *PLAIN_VERBS)
CONFIG_KINDS = ("job", "hydra", "all")
EXAMPLES = (
    "qmltrain experiment=digits",
    "qmltrain experiment=digits ansatz=strongly_entangling optimizer.learning_rate=0.02 run.seed=1",
    "qmltrain dataset=make_moons dataset.n_samples=500 preprocess=angles circuit.n_qubits=4 encoding.repeats=3",
    "qmltrain -m experiment=digits encoding.repeats=2,4,6 run.seed=0,1,2",
    "qmltrain circuit circuit.n_qubits=4 preprocess.pca=4 encoding=angle ansatz.layers=2",
    "qmltrain plan circuit.n_qubits=20 encoding=none ansatz.layers=1000",
    "qmltrain gradient experiment=digits study.rows=64 study.per_sample=true study.output=gradient.h5",
    "qmltrain --cfg job experiment=digits_amplitude",
    "qmltrain resume runs/digits-1a2b3c4d",
    "qmltrain evaluate runs/digits-1a2b3c4d dataset=npz dataset.path=new.npz --predictions new.csv",
    "qmltrain collect runs --over run.seed --output table.csv",
    "qmltrain repeat runs/digits-1a2b3c4d",
    "qmltrain compare runs/digits-1a2b3c4d runs/digits-5e6f7a8b",
    "qmltrain export runs/digits-1a2b3c4d --to qiskit --output digits_qiskit.py",
    "qmltrain plot runs/digits-1a2b3c4d",
    "qmltrain info",
)

HELP = """\
qmltrain: exact batch training of parametrised quantum circuits

usage:
  qmltrain [VERB] [group=entry] [group.key=value] ... [flags]
  qmltrain {path_verbs} RUN [flags]
  qmltrain info

verbs that take a config:
{composed}

verbs that take a run (its directory or its run.h5):
{paths}

others:
{plain}

flags:
  -m, --multirun         run every combination of comma-separated values, one after the other
  --cfg job              print the composed config and stop (also: hydra, all)
  --config-dir DIR       groups of your own: DIR/ansatz/mine.yaml makes ansatz=mine, DIR/experiment/x.yaml experiment=x
  -v, --verbose          show the traceback of an error
  --version              print the version
  -h, --help             print this; with a verb (qmltrain evaluate --help) what that verb takes

flags of single verbs:
{value_flags}
  --warm-up              info: compile every CUDA kernel for this GPU into the cache, so that jobs start at once

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
{usage}

flags:
{flags}

examples:
{examples}

All verbs, groups and exit codes: qmltrain --help. Every key, its default and what it means: docs/config.md
"""


@dataclass(frozen=True)
class Arguments:
    """The parsed command line. `words` are overrides for a composed verb; for a path verb its paths, then overrides
    (`evaluate` and `repeat` take some). `values` are the given ones of `VALUE_FLAGS`. `verb_named`: the verb was
    written, not taken by default."""

    verb: str
    words: list[str]
    multirun: bool = False
    show: str | None = None
    config_directory: str | None = None
    warm_up: bool = False
    verbose: bool = False
    help: bool = False
    version: bool = False
    verb_named: bool = True
    values: dict[str, str] = field(default_factory=dict)


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message}; qmltrain --help shows the usage")


def parse_arguments(argv: list[str]) -> Arguments:
    """The command line, checked as far as words go. Raises InputError in one line."""
    parser = _Parser(prog="qmltrain", add_help=False, allow_abbrev=False)
    parser.add_argument("words", nargs="*")
    parser.add_argument("-m", "--multirun", action="store_true")
    parser.add_argument("--cfg", "-c", dest="show", choices=CONFIG_KINDS)
    parser.add_argument("--config-dir", "-cd", dest="config_directory")
    parser.add_argument("--warm-up", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="store_true")
    for name in VALUE_FLAGS:
        parser.add_argument(f"--{name}")
    # `~key` and `+key=value` are words; so is everything after `--`.
    found = parser.parse_intermixed_args(argv)
    words: list[str] = found.words
    verb_named = bool(words) and words[0] in VERBS
    verb = words.pop(0) if verb_named else "train"
    repeated = getattr(found, "from") if verb == "train" else None
    if repeated is not None:
        setattr(found, "from", None)
        verb, words = "repeat", [repeated, *words]
    arguments = Arguments(
        verb,
        words,
        multirun=found.multirun,
        show=found.show,
        config_directory=found.config_directory,
        warm_up=found.warm_up,
        verbose=found.verbose,
        help=found.help,
        version=found.version,
        verb_named=verb_named,
        values={name: value for name in VALUE_FLAGS if (value := getattr(found, name)) is not None},
    )
    if not (arguments.help or arguments.version):
        _check(arguments)
    return arguments


def _check(arguments: Arguments) -> None:
    verb, words = arguments.verb, arguments.words
    for name in arguments.values:
        verbs = VALUE_FLAGS[name][0]
        if verb not in verbs:
            raise InputError(f"--{name}: not used by {verb}, but by {', '.join(verbs)}")
    if arguments.warm_up and verb != "info":
        raise InputError(f"--warm-up: not used by {verb}, but by info")
    if verb in COMPOSED_VERBS:
        for word in words:
            if "=" not in word and not word.startswith("~"):
                near = difflib.get_close_matches(word, VERBS, n=1)
                hint = f"did you mean the verb {near[0]}? " if near else ""
                raise InputError(f"found {word!r}; {hint}allowed: first a verb ({', '.join(VERBS)}), then key=value")
        if arguments.multirun and arguments.show:
            raise InputError("-m and --cfg exclude each other; --cfg shows the config of one point")
        return
    flags = {"-m": arguments.multirun, "--cfg": arguments.show, "--config-dir": arguments.config_directory}
    for flag, value in flags.items():
        if value:
            raise InputError(f"{flag}: not used by {verb}; it takes {'a run' if verb in PATH_VERBS else 'nothing'}")
    if verb in PATH_VERBS:
        _check_path_words(verb, words)
    if verb in PLAIN_VERBS and words:
        raise InputError(f"{verb}: found {words[0]!r}; {verb} takes nothing")


def _check_path_words(verb: str, words: list[str]) -> None:
    needed = RUNS_OF.get(verb, 1)
    given = words if verb not in OVERRIDES_OF else [word for word in words if "=" not in word]
    if len(given) != needed:
        one = "one, a folder" if verb == "collect" else "one, the run's directory or its run.h5"
        raise InputError(f"{verb}: found {len(given)} words; allowed: {'two runs' if needed == 2 else one}")
    for word in words:
        key = word.partition("=")[0].lstrip("+")
        if "=" in word and verb in OVERRIDES_OF and not {key, key.partition(".")[0]} & set(OVERRIDES_OF[verb]):
            raise InputError(f"{verb}: found {word!r}; beside the run it takes {', '.join(OVERRIDES_OF[verb])}")


def help_text(configs: Path) -> str:
    """The whole help; entries of the groups are listed from `configs`."""
    groups = {
        folder.name: " ".join(sorted(path.stem for path in folder.glob("*.yaml")))
        for folder in sorted(configs.iterdir())
        if folder.is_dir() and any(path.stem != "default" for path in folder.glob("*.yaml"))
    }
    flags = VALUE_FLAGS.items()
    return HELP.format(
        path_verbs="|".join(PATH_VERBS),
        composed=_table(COMPOSED_VERBS),
        paths=_table(PATH_VERBS),
        plain=_table(PLAIN_VERBS),
        value_flags=_table({f"--{name} {shape}": f"{'|'.join(v)}: {text}" for name, (v, shape, text) in flags}),
        groups=_table(groups),
        examples="\n".join(f"  {example}" for example in EXAMPLES),
    )


def verb_help(verb: str) -> str:
    """What one verb takes: its usage, its flags, its examples."""
    meaning = (COMPOSED_VERBS | PATH_VERBS | PLAIN_VERBS)[verb]
    flags = {f"--{name} {shape}": text for name, (verbs, shape, text) in VALUE_FLAGS.items() if verb in verbs}
    if verb in COMPOSED_VERBS:
        usage = f"[{verb}]" if verb == "train" else verb
        usage += " [group=entry] [group.key=value] ..."
        flags |= {
            "-m, --multirun": "run every combination of comma-separated values, one after the other",
            "--cfg job": "print the composed config and stop (also: hydra, all)",
            "--config-dir DIR": "groups of your own: DIR/ansatz/mine.yaml makes ansatz=mine",
        }
    elif verb in PATH_VERBS:
        first, colon, rest = meaning.partition(": ")
        named = bool(colon) and first.isupper()  # the words it takes, where they are not one run
        usage = f"{verb} {first if named else 'RUN'}"
        meaning = rest if named else meaning
        usage += "".join(f" [{key}=...]" for key in OVERRIDES_OF.get(verb, ()))
    else:
        usage = verb
        flags["--warm-up"] = "compile every CUDA kernel for this GPU into the cache, so that jobs start at once"
    flags["-v, --verbose"] = "show the traceback of an error"
    own = [example for example in EXAMPLES if _verb_of(example) == verb]
    return VERB_HELP.format(
        verb=verb,
        meaning=meaning,
        usage=f"  qmltrain {usage} [flags]",
        flags=_table(flags),
        examples="\n".join(f"  {example}" for example in own),
    )


def _verb_of(example: str) -> str:
    return next((word for word in example.split() if word in VERBS), "train")


def _table(rows: dict[str, str]) -> str:
    return "\n".join(
        textwrap.fill(f"{name:<22} {text}", 118, initial_indent="  ", subsequent_indent=" " * 25)
        for name, text in rows.items()
    )
