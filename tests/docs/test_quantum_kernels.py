"""docs/quantum-kernels.md: its commands and its Python run, in order, in an empty directory."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from qmltrain.cli import main

DOCUMENT = (Path(__file__).parents[2] / "docs" / "quantum-kernels.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCUMENT, flags=re.M | re.S)


def test_the_examples_run_in_order(in_empty_directory, capsys):
    space: dict = {}
    commands = 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, "docs/quantum-kernels.md", "exec"), space)
            continue
        assert language == "bash"
        for line in text.splitlines():
            name, *words = shlex.split(line)
            assert name == "qmltrain"
            few = ["dataset.samples=200"] if "experiment=kernel_digits" in words else []
            assert main([*words, *few]) == 0, f"{line}: {capsys.readouterr().err}"
            commands += 1
    assert commands == 6
    assert "test accuracy" in capsys.readouterr().out
    assert space["K"].shape == (200, 200) and space["trained"].shape == (200, 200)
    np.testing.assert_allclose(space["K_new"], space["K"][:5], atol=1e-12)


def test_lines_are_not_too_long():
    assert all(len(line) <= 120 for line in DOCUMENT.splitlines() if not line.startswith("|"))


@pytest.mark.parametrize("name", ["tiles", "train", "test", "test_predictions", "train_rows", "parameter_names"])
def test_every_dataset_is_described(name):
    assert f"`{name}`" in DOCUMENT
