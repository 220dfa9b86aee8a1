"""docs/studies.md: its commands and its Python run, in order; its experiments, pictures and numbers are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from qmltrain.cli import main
from qmltrain.shipped_files import configs_directory

PAGE = Path(__file__).parents[2] / "docs" / "studies.md"
DOCUMENT = PAGE.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, flags=re.M | re.S)


def words_of(line):
    name, *words = shlex.split(line)
    assert name == "qmltrain"
    return words


@pytest.mark.slow
def test_the_examples_run_in_order(in_empty_directory, capsys):
    space: dict = {}
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/studies.md", "exec"), space)
            continue
        assert language == "bash"
        for line in text.splitlines():
            words = words_of(line)
            if "experiment=" in line and words[0] == "scan":
                words += ["scan.draws=2", "circuit.n_qubits=choice(2)", "run.progress=none"]
                words += ["ansatz.layers=choice(2)"] if "starts" in line else []
            elif words[0] == "experiment=vqe_ising":
                words += ["circuit.n_qubits=3", "train.epochs=3", "run.progress=none"]
            assert main(words) == 0, f"{line}: {capsys.readouterr().err}"
    assert Path("local.csv").read_text().count("\n") == 4
    assert Path("local/variances.png").exists() and Path("landscape/landscape.png").exists()
    assert space["scan"].statistics["gradient_variance"].dims == ("circuit.n_qubits",)


def test_experiments_and_pictures_are_there():
    named = set(re.findall(r"qmltrain scan experiment=(\w+)", DOCUMENT))
    shipped = configs_directory() / "experiment"
    assert named == {p.stem for p in shipped.glob("*.yaml") if "hydra:\n" in p.read_text() and "scan:" in p.read_text()}
    for picture in re.findall(r"\]\((images/\w+\.png)\)", DOCUMENT):
        assert (PAGE.parent / picture).is_file()


def numbers_in(line):
    return [float(word) for word in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e-?\d+)?", line)]


def test_what_the_first_command_prints_is_on_the_page(in_empty_directory, capsys):
    """Draws, statistics and exact values follow from the config alone, but for rounding."""
    assert main([*words_of(BLOCKS[0][1].splitlines()[0]), "run.progress=none"]) == 0
    printed = capsys.readouterr().out.splitlines()
    shown = re.search(r"^    variances are over.*?(?=\n\n\S)", DOCUMENT, flags=re.M | re.S)
    assert shown is not None
    lines = [line[4:] for line in shown[0].splitlines() if line.strip()]
    assert lines[0] == printed[0]
    begin = next(k for k, line in enumerate(printed) if line.startswith("gradient "))
    for found, line in zip(printed[begin:], lines[1:], strict=False):
        assert re.sub(r"[\d.e-]+", "", found).split() == re.sub(r"[\d.e-]+", "", line).split()
        assert numbers_in(found) == pytest.approx(numbers_in(line), rel=1e-2, abs=2e-6)


def test_lines_are_not_too_long():
    allowed = ("|", "qmltrain ")
    assert all(len(line) <= 120 for line in DOCUMENT.splitlines() if not line.startswith(allowed))
