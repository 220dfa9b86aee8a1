"""One process per run directory, or per shard of a scan, which has a lock of its own name.

The lock is ``flock`` on ``run.lock``: the kernel lets go of it when its process dies, however it dies, so a stale lock
cannot stay behind. The file's text says who holds it, for the message to whoever comes second. It stays when the lock
is released (removing it would race with the next one to open it), emptied.

Between hosts: flock is shared by all clients of Linux NFS, GPFS, and Lustre mounted with ``flock``. Lustre with
``localflock`` and NFS with ``local_lock`` keep it to one host: there jobs on two hosts cannot be told apart, and one
directory must not be given to two jobs at once. Where flock does not work at all (Lustre's default) the lock is a
second file, ``run.lock.exclusive``, made with O_EXCL: one of a dead process of this host is noticed and taken over; of
another host nothing can be known, so its lock is refused, with the words how to remove it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from qmltrain.errors import InputError
from qmltrain.runs.atomic import storage_errors

LOCK_NAME = "run.lock"
EXCLUSIVE_SUFFIX = ".exclusive"
EXCLUSIVE_NAME = LOCK_NAME + EXCLUSIVE_SUFFIX
GUARD_SUFFIX = ".guard"

_HELD = {errno.EWOULDBLOCK, errno.EACCES}
_NO_FLOCK = {errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}


class RunLock:
    """Holds ``directory`` (made where missing), or what `name` stands for there, for this process, as a context manager
    or by `acquire` and `release`.

    Raises InputError naming the holder where another process, or this one by another RunLock, has it.
    """

    def __init__(self, directory: str | os.PathLike[str], name: str = LOCK_NAME) -> None:
        self.directory, self.name = Path(directory), name
        self._descriptor: int | None = None
        self._exclusive: Path | None = None
        self._process: int | None = None

    def acquire(self) -> None:
        """Takes the lock."""
        if self._descriptor is not None:
            raise InputError(f"{self.directory}: this lock is held already")
        path = self.directory / self.name
        with storage_errors("open", path):
            self.directory.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in _HELD:
                    raise InputError(self._refusal(_read_holder(path))) from None
                if error.errno not in _NO_FLOCK:
                    raise
                self._acquire_exclusive(self.directory / (self.name + EXCLUSIVE_SUFFIX))
            else:
                with storage_errors("write", path):
                    os.ftruncate(descriptor, 0)
                    os.write(descriptor, json.dumps(_this_process()).encode())
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor, self._process = descriptor, os.getpid()

    def release(self) -> None:
        """Gives the lock back; in a forked child it only forgets it, since it is the parent's."""
        if self._descriptor is None:
            return
        if self._process == os.getpid():
            if self._exclusive is None:
                os.ftruncate(self._descriptor, 0)
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # also of copies that forked children still hold
            else:
                self._exclusive.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = self._exclusive = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()

    def _acquire_exclusive(self, path: Path) -> None:
        with storage_errors("write", path):
            for _ in range(2):
                try:
                    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
                except FileExistsError:
                    self._remove_stale(path)
                    continue
                try:
                    os.write(descriptor, json.dumps(_this_process()).encode())
                finally:
                    os.close(descriptor)
                self._exclusive = path
                return
        raise InputError(self._refusal(_read_holder(path)))

    def _remove_stale(self, path: Path) -> None:
        """Removes the lock of a dead process of this host; raises InputError for any other.

        Only the process that made the guard file looks again and removes, so of several that come at once none can
        remove the lock that another has just made.
        """
        guard = path.with_name(path.name + GUARD_SUFFIX)
        try:
            os.close(os.open(guard, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            raise InputError(
                f"{path}: another process is taking over this lock; wait for it (if there is none, remove {guard})"
            ) from None
        try:
            holder = _read_holder(path)
            if holder and not _is_dead(holder):
                raise InputError(self._refusal(holder, path))
            if not holder and path.exists():
                raise InputError(
                    f"{path}: a lock without a holder; if no process uses this run, remove it and start again"
                )
            path.unlink(missing_ok=True)
        finally:
            guard.unlink(missing_ok=True)

    def _refusal(self, holder: dict[str, Any], remove: Path | None = None) -> str:
        if not holder:
            return f"{self.directory}: another process has just taken this run; wait for it, or choose another run.dir"
        job = f", SLURM job {holder['slurm_job_id']}" if holder.get("slurm_job_id") else ""
        hint = ""
        if remove is not None and holder.get("host") != socket.gethostname():
            hint = f"; if that process is gone, remove {remove} (flock does not work here, so only you can know)"
        return (
            f"{self.directory}: in use by process {holder.get('pid')} on {holder.get('host')}{job}; "
            f"wait for it, stop it, or choose another run.dir{hint}"
        )


def _this_process() -> dict[str, Any]:
    return {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": _process_start(os.getpid()),
        "boot": _boot(),
        "slurm_job_id": os.environ.get("SLURM_JOB_ID"),
    }


def _read_holder(path: Path) -> dict[str, Any]:
    """Who the lock's text names; empty where it names nobody (released, or not written yet)."""
    try:
        holder = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _is_dead(holder: dict[str, Any]) -> bool:
    """Whether the holder is a process of this host that has ended; its number may belong to another by now."""
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    if holder.get("boot") != _boot():
        return True
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return bool(holder.get("process_start") != _process_start(holder["pid"]))


def _process_start(pid: int) -> str | None:
    """When the process started, in clock ticks since boot (proc(5), stat field 22); None where there is no /proc."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return status.rpartition(")")[2].split()[19]


def _boot() -> str | None:
    """A name for this boot of the machine; None where there is no /proc."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
