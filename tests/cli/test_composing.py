"""From overrides to a config: what is printed of it, and groups from a folder of the user."""

from __future__ import annotations

import pytest

from qmltrain.cli.composing import compose_config, composed_yaml, hydra_session
from qmltrain.errors import InputError


def test_composed_yaml_is_resolved_and_leaves_hydra_out():
    assert composed_yaml(["experiment=digits"], "job").startswith("circuit:\n  n_qubits: 8\n")
    assert "hydra:" not in composed_yaml([], "job")
    assert composed_yaml([], "hydra").startswith("hydra:") and "n_qubits: 8" not in composed_yaml([], "hydra")


def test_own_groups_come_from_a_folder_of_the_user(tmp_path):
    folder = tmp_path / "my 'own' configs"
    (folder / "ansatz").mkdir(parents=True)
    (folder / "experiment").mkdir()
    (folder / "ansatz" / "deep.yaml").write_text("name: hea\nlayers: 7\n")
    (folder / "experiment" / "mine.yaml").write_text(
        "# @package _global_\ndefaults:\n  - override /ansatz: deep\n  - _self_\nrun: {name: mine}\n"
    )
    config = compose_config(["experiment=mine"], str(folder))
    assert (config.ansatz.layers, config.run.name) == (7, "mine")
    with pytest.raises(InputError, match=r"ansatz: found 'deep'; allowed: .*hea"):
        compose_config(["ansatz=deep"])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name: hea\nlayer: 7\n", "ansatz.layer: unknown key; did you mean ansatz.layers"),
        ("name: hea\nlayers: many\n", "ansatz.layers: .*integer"),
        ("name: [\n", "bad.yaml"),
    ],
)
def test_mistakes_in_a_file_of_the_user_are_told_in_one_line(tmp_path, text, words):
    (tmp_path / "ansatz").mkdir()
    (tmp_path / "ansatz" / "bad.yaml").write_text(text)
    with pytest.raises(InputError, match=words) as refused:
        compose_config(["ansatz=bad"], str(tmp_path))
    assert "\n" not in str(refused.value)


def test_a_file_of_the_user_that_ours_would_hide_is_refused(tmp_path):
    (tmp_path / "ansatz").mkdir()
    (tmp_path / "ansatz" / "hea.yaml").write_text("name: hea\n")
    with pytest.raises(InputError, match=r"ansatz/hea.yaml ships with qmltrain already"):
        compose_config([], str(tmp_path))
    with pytest.raises(InputError, match="not a folder"):
        compose_config([], str(tmp_path / "none"))


def test_composing_within_a_session_leaves_it_as_it_was():
    from hydra.core.global_hydra import GlobalHydra

    with hydra_session():
        outer = GlobalHydra.instance().hydra
        assert compose_config(["run.seed=3"]).run.seed == 3
        assert GlobalHydra.instance().hydra is outer
