"""What a user's mistake gets: one line on stderr that names the key, exit code 2, nothing written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

MISTAKES = [
    # words, what the line must hold
    (["ansatz=foo"], ["ansatz", "'foo'", "hea"]),
    (["ansatz.name=foo"], ["ansatz.name", "'foo'", "hea"]),
    (["encoding.name=foo"], ["encoding.name", "'foo'", "angle"]),
    (["observable.name=foo"], ["observable.name", "'foo'", "projector"]),
    (["head.name=foo"], ["head.name", "'foo'", "linear"]),
    (["loss.name=foo"], ["loss.name", "'foo'", "cross_entropy"]),
    (["dataset.name=foo"], ["dataset.name", "'foo'", "digits"]),
    (["experiment=foo"], ["experiment", "'foo'", "digits_amplitude"]),
    (["ansatz.layer=3"], ["ansatz.layer:", "ansatz.layers"]),
    (["+ansatz.layer=3"], ["ansatz.layer:", "ansatz.layers"]),
    (["n_qubits=3"], ["n_qubits", "circuit.n_qubits"]),
    (["quantum=3"], ["quantum", "ansatz", "experiment"]),
    (["ansatz.layers=many"], ["ansatz.layers", "'many'", "integers"]),
    (["ansatz.layers=1.5"], ["ansatz.layers", "'1.5'", "integers"]),
    (["engine.fusion=perhaps"], ["engine.fusion", "'perhaps'", "true or false"]),
    (["encoding.gates=ry"], ["encoding.gates", "'ry'", "list"]),
    (["circuit.n_qubits=1001"], ["circuit.n_qubits", "1001", "1 to 1000"]),
    (["circuit.n_qubits=0"], ["circuit.n_qubits", "0", "1 to 1000"]),
    (["circuit.n_qubits=null"], ["circuit.n_qubits", "null"]),
    (["circuit.n_qubits=2,3"], ["circuit.n_qubits", "2,3", "-m"]),
    (["circuit.n_qubits"], ["circuit.n_qubits", "key=value"]),
    (["circuit.n_qubits=${nothing}"], ["circuit.n_qubits", "nothing"]),
    (["train.epochs=-1"], ["train.epochs", "-1"]),
    (["train.epochs=99999999999999999999"], ["train.epochs", "99999999999999999999"]),
    (["train.batch_size=1e30"], ["train.batch_size", "1e30"]),
    (["train.epochs=3", "train.epochs=1e3"], ["train.epochs", "'1e3'"]),
    (["preprocess=standard", "preprocess.range=[0,1]"], ["preprocess.range", "preprocess.scale=min_max"]),
    (
        ["engine=reference", "gradient.mode=checkpoint"],
        ["gradient.mode", "reference", "gradient.mode=auto"],
    ),
    (
        ["engine=reference", "gradient.checkpoint_interval=2"],
        ["gradient.checkpoint_interval", "reference", "null"],
    ),
    (["optimizer.learning_rate=-0.1"], ["optimizer.learning_rate", "-0.1"]),
    (["optimizer.learning_rate=inf"], ["optimizer.learning_rate", "inf"]),
    (["encoding=angle", "encoding.repeats=3"], ["encoding.repeats", "angle"]),
    (["encoding=python"], ["encoding.function"]),
    (["encoding=python", "encoding.function=no.such:thing"], ["encoding.function", "no"]),
    (["ansatz.rotations=[rx,ry"], ["ansatz.rotations=[rx,ry", "a list [a, b, ...]"]),
    (["run.dir='a=b"], ["not understood; write \"run.dir='a=b'\""]),
    (["run.dir=a,b"], ["-m", "write the text as \"run.dir='a,b'\""]),
    (["run.dir=None"], ["null", "\"run.dir='None'\""]),
    (["preprocess.pca=None"], ["'None'", "integers", "or null"]),
    (["lr=0.1"], ["lr: unknown key; did you mean optimizer.learning_rate?"]),
    (["optimizer.lr=0.1"], ["optimizer.lr: unknown key; did you mean optimizer.learning_rate?"]),
    (["loss=mse"], ["'mse'; did you mean loss=mean_squared_error?"]),
    (["dataset=mnist"], ["did you mean experiment=mnist?"]),
    (["loss.name=mse"], ["'mse' is not known; did you mean mean_squared_error?"]),
    (["encoding=AngleEmbedding"], ["did you mean encoding=angle?"]),
    (["experiment=[{a:1}]"], ["experiment: found '[{a:1}]'", "digits"]),
    (["study=[1]"], ["study: found '[1]'", "default"]),
    (["schedule=float(1)"], ["schedule: found 'float(1)'", "cosine"]),
    (["run=int(3.7)"], ["run: found 'int(3.7)'", "default"]),
    (["schedule=${run.name}${run.name}"], ["schedule: found '${run.name}${run.name}'", "cosine"]),
    (["trian"], ["'trian'", "train"]),
    (["+experiment=digits"], ["experiment=digits", "without +"]),
    (["circuit=4"], ["circuit", "'4'", "default"]),
    (["dataset=null"], ["dataset", "'null'", "digits"]),
    (["experiment=qml_benchmarks/_protocol"], ["experiment: found 'qml_benchmarks/_protocol'", "digits"]),
    (["preprocess.clip=3"], ["preprocess.clip: found '3'; allowed: true or false"]),
    (["experiment=null"], ["experiment: found 'null'; for none leave the word out"]),
    (["experiment=[digits,null]"], ["experiment: found '[digits,null]'; for none leave the word out"]),
    (["-m", "experiment=null,digits"], ["experiment: found 'null,digits'; for none leave the word out"]),
    (["experiment=nan"], ["experiment", "'nan'", "digits_amplitude"]),
    (["=3"], ["=3", "key=value"]),
    (["~train.epochs"], ["~train.epochs", "leave the word out"]),
    (["ansatz=größe"], ["ansatz: found 'größe'", "hea"]),
    (["engine.memory_gib=1e300"], ["engine.memory_gib", "1e+300", "2^30"]),
    (["train.initial_scale=1e308"], ["train.initial_scale", "1e+308", "1e6"]),
    (["run.dir=" + 300 * "a"], ["run.dir", "name too long"]),
    (["encoding.repeats=2000000000"], ["encoding.repeats", "2000000000", "1000000"]),
    (["run.dir=''"], ["run.dir", "''", "not empty"]),
    (["dataset=make_moons", "dataset.n_samples=2000000000"], ["dataset.n_samples", "2000000000", "GiB"]),
    (["dataset=make_blobs", "dataset.n_features=2000000000"], ["2000000000 features", "GiB"]),
    (["-m", "ansatz=foo,hea"], ["ansatz", "'foo'"]),
    (["-m", "ansatz.layers=1,many"], ["ansatz.layers", "many"]),
    (["--config-dir", "nowhere"], ["--config-dir", "nowhere"]),
    (["--config"], ["--config"]),
    (["--cfg", "all", "-m"], ["-m", "--cfg"]),
    (["--cfg", "everything"], ["everything", "job"]),
    (["train", "--warm-up"], ["--warm-up", "info"]),
    (["resume", "--warm-up", "runs/a"], ["--warm-up", "info"]),
    (["evaluate"], ["evaluate", "run"]),
    (["evaluate", "a", "b"], ["evaluate", "2"]),
    (["evaluate", "nowhere"], ["nowhere"]),
    (["resume", "nowhere"], ["nowhere"]),
    (["plot", "nowhere"], ["nowhere"]),
    (["plot", "-m", "runs/a"], ["-m", "plot"]),
    (["info", "all"], ["info", "all"]),
    (["head=raw"], ["head", "raw"]),
    (["dataset=npz"], ["dataset.path"]),
    (["dataset=npz", "dataset.path=nowhere.npz"], ["nowhere.npz"]),
    (["dataset.classes=[3]"], ["dataset.classes", "3"]),
    (["dataset.samples=3"], ["dataset.samples", "3"]),
]


@pytest.mark.parametrize(("words", "holds"), MISTAKES, ids=lambda value: " ".join(value))
def test_a_mistake_gets_one_line_and_exit_code_2(qmltrain, words, holds):
    ended = qmltrain(*words)
    assert ended.code == 2
    assert ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1, ended.err
    assert "Traceback" not in ended.err and ended.out == ""
    for text in holds:
        assert text in ended.err, ended.err
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["gradient", "circuit.n_qubits=1001"], ["plan", "ansatz.name=foo"],
                                   ["circuit", "ansatz.name=foo"]], ids=" ".join)  # fmt: skip
def test_every_verb_refuses_alike(qmltrain, words):
    ended = qmltrain(*words)
    assert ended.code == 2 and ended.err.startswith("qmltrain: error: ") and ended.err.count("\n") == 1
    assert not list(Path().iterdir())


def test_more_memory_than_there_is_refused_with_the_numbers(qmltrain):
    ended = qmltrain("circuit.n_qubits=32", "preprocess.pca=4", "run.progress=none", "engine.reductions=[]")
    assert ended.code == 2 and ended.err.count("\n") == 1 and "GiB" in ended.err, ended.err


def test_nan_features_are_refused(qmltrain):
    x = np.zeros((40, 4))
    x[7, 2] = np.nan
    np.savez("nan.npz", x=x, y=np.arange(40) % 2)
    ended = qmltrain("dataset=npz", "dataset.path=nan.npz", "preprocess=angles", "circuit.n_qubits=4")
    assert ended.code == 2 and ended.err.count("\n") == 1 and "nan.npz" in ended.err


def test_a_row_of_zeros_cannot_be_amplitudes(qmltrain):
    x = np.ones((40, 4))
    x[7] = 0
    np.savez("zeros.npz", x=x, y=np.arange(40) % 2)
    words = [
        "dataset=npz",
        "dataset.path=zeros.npz",
        "preprocess=amplitudes",
        "encoding=amplitude",
        "circuit.n_qubits=2",
    ]
    ended = qmltrain(*words, "run.progress=none", "train.epochs=1", "train.batch_size=4")
    assert ended.code == 2 and ended.err.count("\n") == 1, ended.err
    assert "encoding.name: amplitude: row 7 of the data set is all zero" in ended.err
    assert not Path("runs").exists()


def test_rows_of_another_norm_are_refused_before_anything_is_written(qmltrain):
    x = np.full((40, 4), 0.5)
    x[0], x[9] = 0.5 + 1e-8, 0.625
    np.savez("norms.npz", x=x, y=np.arange(40) % 2)
    words = ["dataset=npz", "dataset.path=norms.npz", "preprocess=amplitudes", "preprocess.normalize=false"]
    ended = qmltrain(*words, "encoding=amplitude", "encoding.normalize=false", "circuit.n_qubits=2")
    assert ended.code == 2 and ended.err.count("\n") == 1, ended.err
    assert "row 9 of the data set has norm 1.25 where 1 is needed" in ended.err
    assert not Path("runs").exists()


def test_a_test_file_that_is_not_there_is_named_by_its_own_key(qmltrain):
    np.savez("data.npz", x=np.random.default_rng(0).normal(size=(40, 4)), y=np.arange(40) % 2)
    ended = qmltrain("dataset=npz", "dataset.path=data.npz", "dataset.test_path=gone.npz", "preprocess=angles")
    assert ended.code == 2 and "dataset.test_path: no file" in ended.err and "gone.npz" in ended.err


@pytest.mark.parametrize(
    ("content", "holds"),
    [
        (b"\xff\xfe\x00", "is not UTF-8 text (byte 0)"),
        (b"# @package _global_\ntrain: [1\n", "mine.yaml"),
        (b"# @package _global_\nfoo: !!python/object/apply:os.getcwd []\n", "mine.yaml"),
    ],
)
def test_a_bad_file_of_the_users_own_is_named(qmltrain, content, holds):
    Path("own/experiment").mkdir(parents=True)
    Path("own/experiment/mine.yaml").write_bytes(content)
    ended = qmltrain("--config-dir", "own", "experiment=mine")
    assert ended.code == 2 and ended.err.count("\n") == 1 and holds in ended.err, ended.err
    assert "mine.yaml" in ended.err and not Path("runs").exists()


DIGITS = 5000 * "9"


@pytest.mark.parametrize(
    ("words", "holds"),
    [
        ([f"train.epochs={DIGITS}"], ": not understood; allowed in train.epochs: integers from 1 to 2147483647\n"),
        ([f"optimizer.learning_rate=-{DIGITS}"], ": not understood; allowed in optimizer.learning_rate: a finite"),
        ([f"optimizer.learning_rate={DIGITS}.5"], "optimizer.learning_rate: found inf; allowed: a finite number"),
        (["-m", f"train.epochs={DIGITS},3"], ": not understood; allowed in train.epochs: integers from 1 to"),
        ([f"ansatz={DIGITS}"], "ansatz: found '999"),
        (["repeat", "a", f"seed={DIGITS}"], "repeat: found 'seed=999"),
        (["evaluate", "a", f"shots={DIGITS}"], "shots: found '999"),
    ],
    ids=lambda value: value[-1][:20],
)
def test_a_number_of_thousands_of_digits_names_its_key(qmltrain, words, holds):
    ended = qmltrain(*words)
    assert ended.code == 2 and ended.err.count("\n") == 1 and holds in ended.err and len(ended.err) < 600, ended.err
    assert "set_int_max_str_digits" not in ended.err and "internal" not in ended.err


def test_digits_are_text_where_text_is_taken(qmltrain):
    shown = qmltrain("--cfg", "job", f"run.name={DIGITS}", f"dataset.classes=[{DIGITS},1]").out
    assert f"name: '{DIGITS}'" in shown and f"- '{DIGITS}'\n  - 1" in shown


@pytest.mark.parametrize("word", ["run.name=" + 5000 * "a/", "ansatz=" + 5000 * "a", 5000 * "a", 5000 * "a" + "=1"])
def test_what_is_very_long_is_shown_in_part(qmltrain, word):
    ended = qmltrain(word)
    assert ended.code == 2 and len(ended.err) < 700 and 30 * "a" in ended.err.replace("/", "")


def test_a_long_line_of_a_file_is_shown_in_part(qmltrain):
    Path("own/experiment").mkdir(parents=True)
    Path("own/experiment/mine.yaml").write_text(f"train: {{epochs: {300_000 * 'a'}}}\n")
    ended = qmltrain("--config-dir", "own", "experiment=mine")
    assert ended.code == 2 and "train.epochs" in ended.err and len(ended.err) < 2500


def test_numbers_that_overflow_in_training_name_the_step_and_what_to_lower(qmltrain):
    ended = qmltrain(
        "dataset=iris", "preprocess.pca=4", "circuit.n_qubits=4", "run.progress=none", "optimizer.learning_rate=1e308"
    )
    assert ended.code == 1 and ended.err.count("\n") == 1, ended.err
    assert "error: step 2: " in ended.err and "optimizer.learning_rate" in ended.err


def test_verbose_shows_the_traceback_before_the_line(qmltrain):
    ended = qmltrain("-v", "circuit.n_qubits=1001")
    assert ended.code == 2 and ended.err.startswith("Traceback")
    assert ended.err.splitlines()[-1].startswith("qmltrain: error: circuit.n_qubits: found 1001")
