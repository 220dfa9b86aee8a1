"""Random command lines and files of plausible pieces, by a seed."""

from __future__ import annotations

import random

from qmltrain.cli.known_verbs import known_verbs
from qmltrain.config.reference import known_keys
from qmltrain.config.schema import GROUPS
from qmltrain.shipped_files import configs_directory

VALUES = [
    "1", "0", "-1", "3", "1.10", "1e3", "inf", "nan", "true", "False", "null", "None", "", " ", "a", "a b", "a=b",
    "[a]", "[1,2]", "[]", "[[1]]", "[a,1.10,true]", "{a:1}", "{}", "{a: [1,{b:c}]}", "'q'", '"q"', "'", '"', "\\",
    "a\\,b", "$x", "${run.seed}", "${nothing}", "${oc.env:HOME}", "${", "1,2", "a,b", "range(1,3)", "choice(a,b)",
    "interval(0,1)", "glob(*)", "sort(3,1)", "shuffle(1,2)", "int(3.7)", "float(1)", "str(1)", "json_str('1')",
    "tag(a,b)", "extend_list(1)", "???", "größe", "\t", "\n", "\x1b[31m", "🦊", 300 * "a", "0010", "1:30",
    "2024-01-02", "*", ";", "|", "&&", "#c", "~", "@", "a@b", "a:b", "/", "../x", "file:///x", "1_000", "0x10",
    "<<", "=", "==", "!!python/name:os.system",
]  # fmt: skip
ODD_KEYS = [
    "hydra.sweeper.params", "hydra.sweeper._target_", "hydra.launcher", "hydra/sweeper", "hydra/launcher", "hydra",
    "hydra.run.dir", "hydra.sweep.dir", "hydra.mode", "hydra.job.name", "hydra.verbose", "hydra.searchpath",
    "experiment", "lr", "n_qubits", "loss.mse", "a.b.c", "", "run", "_", "defaults", "ansatz.name[0]",
    "observable.terms[0]", "dataset@x", "ansatz@encoding", "circuit.n_qubits.x", "run.", ".run", "config",
]  # fmt: skip
FLAGS = [
    "-m", "-v", "--cfg", "job", "all", "hydra", "--config-dir", ".", "--help", "--version", "--from", "runs/a",
    "--to", "--over", "run.seed", "--output", "--predictions", "p.csv", "--", "-", "-x", "--lr", "-c", "-cd",
]  # fmt: skip


def random_command(seed: int) -> list[str]:
    """One command line of up to six words; the last with as many oddities as the first."""
    draw = random.Random(seed)
    entries = {group: [path.stem for path in (configs_directory() / group).glob("*.yaml")] for group in GROUPS}
    entries["experiment"] = [path.stem for path in (configs_directory() / "experiment").glob("*.yaml")]
    words: list[str] = [draw.choice([*known_verbs(), "plan", "plan", "train"])] if draw.random() < 0.7 else []
    if draw.random() < 0.2:
        words.append("-m")
    for _ in range(draw.choice([1, 1, 1, 2, 3, 5])):  # few: the first mistake hides the others
        kind = draw.random()
        if kind < 0.3:
            group = draw.choice([*entries])
            words.append(f"{group}={draw.choice([*sorted(entries[group]), draw.choice(VALUES)])}")
        elif kind < 0.7:
            words.append(
                f"{draw.choice(['', '', '', '+', '++', '~'])}{draw.choice(known_keys())}={draw.choice(VALUES)}"
            )
        elif kind < 0.85:
            words.append(f"{draw.choice(['', '', '+', '++', '~'])}{draw.choice(ODD_KEYS)}={draw.choice(VALUES)}")
        elif kind < 0.95:
            words.append(draw.choice(FLAGS))
        else:
            words.append(draw.choice([*VALUES, *ODD_KEYS, "~experiment", "~loss", "runs/a=b", "a.csv"]))
    return words


FILE_VALUES = [
    "3", "a", "[a]", "[]", "{}", "{a: 1}", "null", "", "0010", "1:30", "yes", "*x", "&x 3", "!!int a", "!!str 3",
    "!!set {a}", "!!python/name:os.system", "${run.seed}", "${", "???", "|\n  a", "'", '"', "2024-01-02", "[[1]]",
    "{<<: 3}", "<<", "<<: *x", "? a", "- a", "\ta", "a: b: c", "%", "@", "`", "1e400", "0x10", "~", ".nan",
    "999999999999999999999999", "[a, {b: c}]", "{1: 2}", "{[a]: b}", "{null: 1}", "größe", "\x07", "---",
]  # fmt: skip
FILE_KEYS = [
    "defaults", "hydra", "a", "1", "null", "<<", "[a]", "train.epochs", "experiment", "? [a]", "", "hydra/sweeper",
    "override /ansatz", "\ttrain", "_target_", "!!str run", "~", "ansatz@loss",
]  # fmt: skip


def random_file(seed: int) -> str:
    """A file of options, groups and defaults of which some are no such thing."""
    draw = random.Random(seed)
    lines = []
    for _ in range(draw.choice([1, 1, 2, 3])):
        key = draw.choice([*GROUPS, *GROUPS, *FILE_KEYS])
        names = [full.partition(".")[2] for full in known_keys() if full.startswith(f"{key}.")] or ["a", "sweeper"]
        kind = draw.random()
        if key == "defaults" or kind < 0.2:
            item = (
                f"{draw.choice(['', '/', 'override ', 'override /', 'optional '])}{draw.choice([*GROUPS, *FILE_KEYS])}"
            )
            lines += ["defaults:", f"- {item}: {draw.choice([*FILE_VALUES, 'hea', 'csv'])}"]
        elif kind < 0.5:
            lines.append(f"{key}: {draw.choice(FILE_VALUES)}")
        else:
            lines += [f"{key}:", *(f"{draw.choice(['  ', '  ', '    ', chr(9)])}{draw.choice([*names, *FILE_KEYS])}: "
                                   f"{draw.choice(FILE_VALUES)}" for _ in range(draw.choice([1, 1, 2])))]  # fmt: skip
    return "\n".join(lines) + "\n"
