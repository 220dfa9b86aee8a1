"""The loader that composes each choice of groups once gives what Hydra's own gives, and sees files that change."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from qmltrain.cli import config_loader
from qmltrain.cli.composing import CONFIG_NAME, compose_config, hydra_session
from qmltrain.cli.user_configs import search_path

SAME = [
    [],
    ["run.seed=3", "optimizer.learning_rate=0.1"],
    ["experiment=digits", "encoding.repeats=2", "run.seed=3"],
    ["experiment=digits", "ansatz=strongly_entangling", "hydra.job.name=mine", "run.name='a b'"],
    ["ansatz.layers=2", "ansatz=basic_entangler"],
    ["circuit.n_qubits=3", "ansatz.layers=${circuit.n_qubits}"],
    ["hydra.sweep.dir=there", "+hydra.job.env_set.A=b", "dataset.classes=[3,6]"],
    ["run.seed=3", "run.seed=4", "hydra.job.config.override_dirname.exclude_keys=[run.seed]", "run.name=a"],
]
REFUSED = [
    ["~train.epochs"],
    ["run.nothing=1"],
    ["+run.seed=1"],
    ["run.seed=text"],
    ["~run.nothing"],
    ["ansatz=nothing"],
    ["ansatz@run=hea"],
    ["ansatz.layers={a:1}"],
]


def loaded(loader, words, directory=None):
    words = [*words, *search_path(directory)]
    return loader.load_configuration(CONFIG_NAME, words, RunMode.RUN)


@pytest.fixture
def loaders(monkeypatch):
    """Ours with nothing kept, and Hydra's own."""
    monkeypatch.setattr(config_loader, "_kept", {})
    with hydra_session():
        ours = GlobalHydra.instance().hydra.config_loader
        assert isinstance(ours, config_loader.ConfigLoader)
        yield ours, ConfigLoaderImpl(ours.get_search_path())


@pytest.mark.parametrize("words", SAME, ids=" ".join)
def test_the_config_is_hydras(words, loaders):
    ours, hydras = loaders
    expected = loaded(hydras, words)
    for _ in range(2):  # composed, and kept
        found = loaded(ours, words)
        assert OmegaConf.to_container(found, resolve=False) == OmegaConf.to_container(expected, resolve=False)
        assert OmegaConf.to_yaml(found) == OmegaConf.to_yaml(expected)
        for group in ("run", "train", "hydra"):
            assert OmegaConf.get_type(found[group]) is OmegaConf.get_type(expected[group])
        assert OmegaConf.is_struct(found)


@pytest.mark.parametrize("words", REFUSED, ids=" ".join)
def test_the_errors_are_hydras(words, loaders):
    ours, hydras = loaders
    with pytest.raises(HydraException) as expected:
        loaded(hydras, words)
    for _ in range(2):
        with pytest.raises(HydraException) as found:
            loaded(ours, words)
        assert (type(found.value), str(found.value)) == (type(expected.value), str(expected.value))


def test_nobody_changes_what_is_kept(loaders):
    ours, _ = loaders
    loaded(ours, ["run.seed=1"]).train.epochs = 77
    found = loaded(ours, ["optimizer.learning_rate=0.5"])
    assert (found.train.epochs, found.run.seed) != (77, 1)
    assert found.hydra.overrides.task == ["optimizer.learning_rate=0.5"]
    assert len(config_loader._kept) == 1


def test_the_directory_is_that_of_now(loaders, tmp_path, monkeypatch):
    ours, _ = loaders
    loaded(ours, [])
    monkeypatch.chdir(tmp_path)
    assert loaded(ours, []).hydra.runtime.cwd == os.getcwd()


def test_files_that_change_are_read_again(tmp_path):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    words = ["experiment=rates", "run.seed=1"]

    def rate(text: str) -> float:
        (folder / "rates.yaml").write_text(text)
        return compose_config(words, str(tmp_path / "mine")).optimizer.learning_rate

    assert rate("optimizer:\n  learning_rate: 0.25\n") == 0.25
    state = (folder / "rates.yaml").stat()
    assert rate("optimizer:\n  learning_rate: 0.125\n") == 0.125
    os.utime(folder / "rates.yaml", ns=(state.st_atime_ns, state.st_mtime_ns))  # another size is seen as well
    assert rate("optimizer:\n  learning_rate: 0.5\n") == 0.5


def test_two_folders_are_two_configs(tmp_path):
    found = []
    for name, rate in (("one", 0.25), ("other", 0.5)):
        folder = Path(tmp_path, name, "experiment")
        folder.mkdir(parents=True)
        (folder / "rates.yaml").write_text(f"optimizer:\n  learning_rate: {rate}\n")
        found.append(compose_config(["experiment=rates"], str(tmp_path / name)).optimizer.learning_rate)
    assert found == [0.25, 0.5]


def test_no_more_are_kept_than_there_is_room_for(loaders, monkeypatch):
    ours, _ = loaders
    monkeypatch.setattr(config_loader, "MOST_KEPT", 2)
    for name in ("adam", "sgd", "lbfgs"):
        assert loaded(ours, [f"optimizer={name}"]).optimizer.name == name
    assert 1 <= len(config_loader._kept) <= 2


@pytest.mark.parametrize("defaults", ["defaults:\n  - override /ansatz: ${oc.env:WHICH}\n  - _self_\n",
                                      "defaults: [override /ansatz: '${oc.env:WHICH}', _self_]\n"])  # fmt: skip
def test_a_choice_made_of_the_environment_is_that_of_now(defaults, tmp_path, monkeypatch):
    folder = tmp_path / "mine" / "experiment"
    folder.mkdir(parents=True)
    (folder / "chosen.yaml").write_text(f"# @package _global_\n{defaults}run:\n  name: chosen\n")
    for name in ("hea", "real_amplitudes"):
        monkeypatch.setenv("WHICH", name)
        assert compose_config(["experiment=chosen"], str(tmp_path / "mine")).ansatz.name == name
