"""A peer of training.py in a process of its own: a question, an answer, a time limit, and its words when it dies."""

from __future__ import annotations

import json
import os
import select
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "JAX_PLATFORMS": "cpu",
}


class PeerProcess:
    """``python -m module`` in this folder, which answers as peers/protocol.py says. The kernel's affinity is inherited.

    Raises SystemExit where `python` cannot be started.
    """

    def __init__(self, name: str, module: str, python: str, limit_seconds: float) -> None:
        self.name, self.limit_seconds = name, limit_seconds
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(HERE.parents[1])}
        try:
            self.process = subprocess.Popen(
                [python, "-m", module], cwd=HERE, env=environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
            )  # fmt: skip
        except OSError as error:
            raise SystemExit(f"--python {name}={python}: cannot be started: {error.strerror}") from None

    def ask(self, request: dict) -> dict:
        """The answer: one of the protocol's, ``{"failed": its last words}``, or ``{"too slow": the limit}``."""
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        try:
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
        except BrokenPipeError:
            return {"failed": self.last_words()}
        ready, _, _ = select.select([stdout], [], [], self.limit_seconds)
        if not ready:
            self.close()
            return {"too slow": f"no answer in {self.limit_seconds:g} s"}
        line = stdout.readline()
        return json.loads(line) if line else {"failed": self.last_words()}

    def last_words(self) -> str:
        code = self.process.wait()
        self.errors.seek(0)
        lines = [line.strip() for line in self.errors if line.strip()]
        return f"exit code {code}: {lines[-1][:300] if lines else 'nothing said'}"

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.errors.close()
