"""The command: what a verb is called with, streams, signals, exit codes."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import qmltrain.cli
from qmltrain import __version__, cli
from qmltrain.config.schema import CommandContext, Config
from qmltrain.errors import InputError, InterruptedRun, NonFiniteError, QmltrainError
from qmltrain.runs.views import open_run

COMMAND = [sys.executable, "-m", "qmltrain"]
ROOT = Path(qmltrain.cli.__file__).parents[2]


def start(*words: str, **options) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **options.pop("env", {})}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, env=environment, **options)


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> list:
    """Verbs are recorded instead of run; what the list `called.answers` holds is returned or raised in turn."""

    class Calls(list):
        answers: list = []

    calls = Calls()
    calls.answers = []

    def verb_function(verb):
        def run(given, context):
            calls.append((verb, given, context))
            answer = calls.answers.pop(0) if calls.answers else None
            if isinstance(answer, BaseException):
                raise answer
            return answer

        return run

    monkeypatch.setattr(cli.dispatch, "verb_function", verb_function)
    return calls


@pytest.mark.parametrize("verb", [None, "plan"])
def test_a_composed_verb_gets_config_and_context(qmltrain, called, verb):
    words = [*([verb] if verb else []), "circuit.n_qubits=5", "-v"]
    assert qmltrain(*words).code == 0
    [(name, config, context)] = called
    assert name == verb or (verb is None and name == "train")
    assert isinstance(config, Config) and config.circuit.n_qubits == 5
    assert context == CommandContext(["qmltrain", *words], ["circuit.n_qubits=5"], verbose=True)


@pytest.mark.parametrize("verb", ["evaluate", "resume", "plot"])
def test_a_path_verb_gets_the_path(qmltrain, called, verb):
    assert qmltrain(verb, "runs/my run").code == 0
    assert called == [(verb, Path("runs/my run"), CommandContext(["qmltrain", verb, "runs/my run"], []))]


@pytest.mark.parametrize(
    ("answer", "code", "line"),
    [
        (0, 0, None),
        (None, 0, None),
        (75, 75, None),
        (InputError("train.x: no\nnot so"), 2, "qmltrain: error: train.x: no not so"),
        (NonFiniteError("loss is nan at step 3"), 1, "qmltrain: error: loss is nan at step 3"),
        (InterruptedRun("stopped; run it again"), 75, "qmltrain: stopped; run it again"),
        (QmltrainError("no"), 1, "qmltrain: error: no"),
        (KeyboardInterrupt(), 130, "qmltrain: interrupted"),
        (
            PermissionError(errno.EACCES, "Permission denied", "/root/x"),
            2,
            "qmltrain: error: /root/x: Permission denied",
        ),
        (
            OSError(errno.EROFS, "Read-only file system", "multirun"),
            2,
            "qmltrain: error: multirun: Read-only file system",
        ),
        (OSError(errno.ENOSPC, "No space left on device"), 1, "qmltrain: error: No space left on device"),
        (MemoryError("Unable to allocate 4 TiB"), 1, "qmltrain: error: out of memory: Unable to allocate 4 TiB"),
        (ZeroDivisionError("x"), 1, "qmltrain: error: internal: ZeroDivisionError: x (-v shows where)"),
    ],
    ids=repr,
)
def test_exit_codes_and_the_one_line(qmltrain, called, answer, code, line):
    called.answers.append(answer)
    training = isinstance(answer, InterruptedRun | KeyboardInterrupt)
    ended = qmltrain(*(["train"] if training else ["plot", "runs/a"]))  # nothing is composed for a run
    assert (ended.code, ended.err) == (code, f"{line}\n" if line else "")


def test_version(qmltrain):
    assert qmltrain("--version").out == f"qmltrain {__version__}\n"


def test_cfg_job_prints_a_config_that_composes_to_the_same(qmltrain, called):
    text = qmltrain("--cfg", "job", "experiment=digits").out
    assert "n_qubits: 8" in text and not called
    Path("again/experiment").mkdir(parents=True)
    Path("again/experiment/same.yaml").write_text("# @package _global_\n" + text)
    assert qmltrain("--cfg", "job", "--config-dir", "again", "experiment=same").out == text


def test_info_says_what_is_here_and_what_is_missing(qmltrain):
    ended = qmltrain("info")
    assert ended.code == 0 and ended.err == ""
    for word in (__version__, "numpy", "h5py", "HDF5", "hydra-core", "cpu engine", "gpu", "memory", "cores"):
        assert word in ended.out
    assert "unknown" not in ended.out


@pytest.mark.parametrize(
    ("number", "words"),
    [
        *((getattr(signal, name), ["train", "train.epochs=1"]) for name in ("SIGTERM", "SIGUSR1", "SIGUSR2", "SIGHUP")),
        (signal.SIGUSR1, ["-m", "train.epochs=1,2"]),
    ],
)
def test_a_signal_that_comes_while_the_command_imports_stops_the_run_with_a_snapshot(
    qmltrain, monkeypatch, number, words
):
    import_verb = cli.dispatch.verb_function

    def interrupted_import(verb):
        os.kill(os.getpid(), number)
        return import_verb(verb)

    monkeypatch.setattr(cli.dispatch, "verb_function", interrupted_import)
    small = ["dataset=iris", "preprocess.pca=2", "circuit.n_qubits=2", "run.progress=none"]
    ended = qmltrain(*words, *small)
    assert ended.code == 75 and f"stopped by {number.name} after step 0, snapshot saved" in ended.err, ended.err
    [directory] = Path("runs").iterdir()
    assert [path.name for path in directory.glob("snapshots/step-*")]
    assert signal.getsignal(number) == signal.SIG_DFL


def test_a_module_beside_the_user_is_found_and_hides_nothing(qmltrain, called, monkeypatch):
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    assert qmltrain("train").code == 0
    assert sys.path[-1] == os.getcwd()


def test_a_working_directory_that_is_gone(qmltrain, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    ended = qmltrain("circuit")
    monkeypatch.chdir(tmp_path)
    assert ended.code == 2 and "is no longer there; change to another" in ended.err and ended.err.count("\n") == 1


def test_nothing_is_written_by_composing(qmltrain, called):
    qmltrain("experiment=digits")
    assert not list(Path().iterdir())


# In a process of its own: what only the operating system can do to the command.


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, pytest.param({"LC_ALL": "C"}, marks=pytest.mark.slow)])
def test_ascii_terminal(tmp_path, env):
    words = ["circuit", "circuit.n_qubits=2", "preprocess.pca=2"]
    done = start(*words, cwd=tmp_path, env=env)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "RY" in done.stdout


def test_reader_that_goes_away(tmp_path):
    words = ["plan", "circuit.n_qubits=3", "preprocess.pca=3"]
    command = f"{shlex.join([*COMMAND, *words])} | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.stderr == "" and done.returncode == 0


TRAINING = ["dataset=iris", "preprocess.pca=2", "circuit.n_qubits=2", "encoding=angle", "train.epochs=2",
            "train.baseline=false", "engine=interpreter", "run.progress=lines", "run.log_seconds=1e-6"]  # fmt: skip


@pytest.mark.parametrize("pipe", ["2>&1 | head -1", pytest.param("2>&1 | true", marks=pytest.mark.slow)])
def test_a_training_goes_on_when_its_reader_goes_away(tmp_path, pipe):
    command = f"{shlex.join([*COMMAND, *TRAINING, 'run.dir=run'])} {pipe}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0
    assert open_run(tmp_path / "run").status == "completed"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_lines_come_when_they_are_written(tmp_path, unbuffered):
    command = "import sys; from qmltrain.cli.streams import prepare_streams; prepare_streams()\n"
    command += "print('out'); print('err', file=sys.stderr); print('out')"
    done = subprocess.run([sys.executable, "-c", command], cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=True,
                          stderr=subprocess.STDOUT,
                          env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": unbuffered})  # fmt: skip
    assert done.stdout.split() == (["out", "err", "out"] if unbuffered else ["err", "out", "out"])


@pytest.mark.parametrize(("words", "code"), [(["train", *TRAINING], 75), (["plan", *TRAINING], -signal.SIGUSR1)])
def test_a_signal_before_the_command_is_imported(tmp_path, words, code):
    (tmp_path / "early.py").write_text(
        "import os, signal, sys\n"
        "import qmltrain.__main__\n\n"
        "class Finder:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'qmltrain.cli':\n"
        "            os.kill(os.getpid(), signal.SIGUSR1)\n\n"
        "sys.meta_path.insert(0, Finder())\n"
        "sys.exit(qmltrain.__main__.main())\n"
    )
    done = subprocess.run([sys.executable, "early.py", *words], cwd=tmp_path, capture_output=True, text=True,
                          check=False, env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == code
    assert (code != 75) or "stopped by SIGUSR1 after step 0, snapshot saved" in done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams(tmp_path, closed):
    command = f"{shlex.join([*COMMAND, 'plan', 'circuit.n_qubits=3', 'preprocess.pca=3'])} {closed}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0 and done.stderr == ""


def test_interrupt_outside_a_run(tmp_path):
    (tmp_path / "slow.py").write_text(
        "import os, signal\n\ndef data():\n    os.kill(os.getpid(), signal.SIGINT)\n    import time; time.sleep(60)\n"
    )
    done = start("circuit", "dataset=python", "dataset.function=slow:data", cwd=tmp_path)
    assert done.returncode == 130 and done.stderr == "qmltrain: interrupted\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("given", [None, "26"])
def test_idle_threads_of_blas_sleep_unless_the_user_says_otherwise(tmp_path, given):
    name = "OPENBLAS_THREAD_TIMEOUT"
    environment = {key: value for key, value in os.environ.items() if key != name} | {"PYTHONPATH": str(ROOT)}
    code = "import os, sys; import qmltrain.__main__ as start; sys.argv[1:] = ['--version']; assert not start.main(); "
    code += f"print(os.environ['{name}'], 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True,
                          env=environment | ({name: given} if given else {}))  # fmt: skip
    assert done.stdout.split()[-2:] == [given or "18", "False"]  # OpenBLAS reads it when it is loaded


@pytest.mark.parametrize(("times", "said"), [(1, "qmltrain: interrupted\n"), (2, "")])
def test_ctrl_c_while_the_command_is_imported(times, said):
    """A line, not the traceback of some module; the second one leaves at once."""
    program = (
        "import os, signal, sys\nimport qmltrain.__main__ as command\nearlier = command.import_module\n"
        f"def imported(name):\n    for _ in range({times}):\n        os.kill(os.getpid(), signal.SIGINT)\n"
        "    return earlier(name)\n"
        "command.import_module = imported\nsys.argv = ['qmltrain', 'info']\nsys.exit(command.main())"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr, done.stdout) == (cli.EXIT_KEYBOARD, said, "")


def test_ctrl_c_again_while_the_command_ends_is_no_traceback(called, capsys, monkeypatch):
    abort = cli.Launched.abort

    def interrupted(launched, code):
        signal.raise_signal(signal.SIGINT)
        abort(launched, code)

    monkeypatch.setattr(cli.Launched, "abort", interrupted)
    called.answers = [KeyboardInterrupt()]
    assert cli.main(["plan", "circuit.n_qubits=3"]) == cli.EXIT_KEYBOARD
    assert capsys.readouterr().err == "qmltrain: interrupted\n"
