"""A scan in its directory: started, or gone on with from the draws that are there."""

from __future__ import annotations

import dataclasses
import json
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from qmltrain.cluster.signals import StopRequest
from qmltrain.config.grid import Grid, GridPoint
from qmltrain.config.schema import CommandContext, Config
from qmltrain.config.storage import from_yaml, to_yaml
from qmltrain.errors import InputError, InterruptedRun, StorageError
from qmltrain.runs.attributes import collect_attributes, collect_session, utc_now
from qmltrain.runs.directory import default_directory
from qmltrain.runs.file_layout import FILE_NAME as RUN_FILE_NAME
from qmltrain.runs.lock import LOCK_NAME, RunLock
from qmltrain.runs.scan_files import holds_kernel
from qmltrain.runs.status_file import STATUS_NAME, read_status_file, write_status_file
from qmltrain.runs.store import COMPLETED
from qmltrain.scans.file_layout import PointLayout, Shard, as_json, check_shards
from qmltrain.scans.identity import check_same_scan, check_swept, common_settings, digest, scan_hash
from qmltrain.scans.point import Built, build_point, changes, span_of
from qmltrain.scans.reading import ScanHeader, read_header, read_scan
from qmltrain.scans.rows import ScanRows, are_sound, create, grow
from qmltrain.scans.shared_draws import OwnPortions, Portions, SharedPortions, follow
from qmltrain.scans.summary import summary_lines
from qmltrain.sessions.together import SAME_FILES, Together, check_device
from qmltrain.sessions.training_run import check_directory, make_directory
from qmltrain.training.gradients import StepAbandoned
from qmltrain.training.progress import make_progress
from qmltrain.units import gib
from qmltrain.wording import plural

SYNC_SECONDS = 30.0
KEPT_BYTES = 256 << 20  # of points that stay built between the check of all and their turn


@dataclass
class Planned:
    """A point of the grid, checked. `built` is kept where there is memory for it, else made again by `build`."""

    values: dict[str, Any]
    config: Config
    identity: str
    settings: dict[str, Any]
    layout: PointLayout  # its attributes are added when it is stored
    work: float
    memory: float  # bytes, at most
    device: str
    reason: str
    build: Callable[[], Built]
    built: Built | None

    def take(self) -> Built:
        """The built point, no longer kept here."""
        built, self.built = self.built, None
        return built or self.build()

    @property
    def name(self) -> str:
        """``n_qubits=4 layers=2``, for people."""
        return " ".join(f"{key.rpartition('.')[2]}={_word(value)}" for key, value in self.values.items())


def scan(grid: Grid, context: CommandContext) -> int:
    """Draw what is missing of the points of `grid`, or of the shard that the config names; exit code 0.

    Of the ranks in `context` all call this; the first one alone reads and writes the directory. Raises InterruptedRun
    (75) where a signal stopped it, InputError before anything is written, StorageError.
    """
    ranks: Together | None = context.ranks
    with StopRequest(speaks=ranks is None or ranks.is_first) as stop:
        check_swept(grid)
        points = plan_points(grid, context)
        if ranks is not None:
            check_device(ranks, points[0].device)
            ranks.check_same("scan", digest([point.identity for point in points]), SAME_FILES)
            if not ranks.is_first:
                follow([point.take for point in points], lambda: stop.requested is not None, ranks)
                return 0
        config = points[0].config
        shard = Shard.of(config.scan.shard)
        common = common_settings(grid, points[0].settings)
        directory = scan_directory(config, common, grid.swept)
        check_directory(directory)
        check_shards(directory, shard)
        portions: Portions = OwnPortions() if ranks is None else SharedPortions(ranks)
        job = Job(directory, shard, points, common, grid.swept, context, stop, portions)
        if job.existing() is not None and job.is_done():
            print(f"{job.path}: this scan is complete; nothing to do")
        else:
            make_directory(directory)
            with RunLock(directory, shard.beside(LOCK_NAME)):
                job.run()
        portions.end()
    job.print_result()
    return 0


def scan_directory(config: Config, common: dict[str, Any], swept: tuple[str, ...]) -> Path:
    """`run.dir`, or a name made of `run.name` and what all points share."""
    if config.run.dir is not None:
        return Path(config.run.dir)
    return default_directory(config.run.root, config.run.name, scan_hash(common, swept))


def plan_points(grid: Grid, context: CommandContext) -> list[Planned]:
    """Every point, built once: what is wrong with any is found before anything is written."""
    planned: list[Planned] = []
    kept = 0
    for point in grid.points:
        built = _build(point, context)
        kept += built.kept_bytes
        planned.append(
            Planned(
                point.values,
                built.config,
                built.identity,
                built.settings,
                PointLayout(built.identity, built.n_draws, built.ensemble.columns, {}),
                built.ensemble.work,
                built.ensemble.memory_bytes,
                built.device,
                built.reason,
                lambda point=point: _build(point, context),  # type: ignore[misc]
                built if kept <= KEPT_BYTES else None,
            )
        )
    known: dict[str, Planned] = {}
    for one in planned:
        if one.identity in known:
            raise InputError(
                f"{', '.join(grid.swept)}: {known[one.identity].name} and {one.name} are the same point of a scan; "
                "leave one out"
            )
        known[one.identity] = one
    return planned


def _build(point: GridPoint, context: CommandContext) -> Built:
    built: Built = point.settle(lambda config: build_point(config, context.overrides, context.ranks))
    return built


class Job:
    """One process's share of a scan."""

    def __init__(
        self,
        directory: Path,
        shard: Shard,
        points: Sequence[Planned],
        common: dict[str, Any],
        swept: tuple[str, ...],
        context: CommandContext,
        stop: StopRequest,
        portions: Portions,
    ) -> None:
        self.directory, self.shard, self.stop, self.portions = directory, shard, stop, portions
        self.path = directory / shard.file_name
        self.points, self.own = list(points), shard.share(points)
        self._index = {point.identity: index for index, point in enumerate(points)}
        self.common, self.swept, self.context = common, swept, context
        self.config = points[0].config
        self._live: dict[str, Any] = {}

    def existing(self) -> ScanHeader | None:
        """What there is of this scan. Raises InputError where `run.resume` forbids it, or it is another scan."""
        resume = self.config.run.resume
        if (self.directory / RUN_FILE_NAME).exists():
            raise InputError(f"run.dir: {self.directory} holds a run; choose another")
        if holds_kernel(self.directory):
            raise InputError(f"run.dir: {self.directory} holds a kernel; choose another")
        if not self.path.exists():
            if resume == "must":
                raise InputError(f"run.resume=must: there is no {self.path}; check run.dir, or set run.resume=auto")
            return None
        if resume == "never":
            raise InputError(f"run.resume=never: {self.directory} holds a scan already; choose another run.dir")
        header = read_header(self.path)
        check_same_scan(header.attributes, self.common, self.swept, self.directory)
        return header

    def is_done(self) -> bool:
        """Whether the file holds all that is asked for, undamaged, and status.json says so."""
        header = self.existing()
        status = read_status_file(self.directory, self.shard.beside(STATUS_NAME)).get("status")
        if header is None or status != COMPLETED or self._merged(header) is not None:
            return False
        have = {point.identity: count.rows for point, count in zip(header.points, header.counts, strict=True)}
        return all(have.get(point.identity, 0) >= point.layout.draws for point in self.own) and are_sound(header)

    def run(self) -> None:
        """With the directory's lock held."""
        header = self.existing()
        if header is None:
            create(self.path, self._layouts(None, self._grid(None), self.config), self._grid(None), self._attributes())
        rows = ScanRows(self.path)
        try:
            self._warn_of_another_device(rows.header)
            grid = self._merged(rows.header)
            if grid is not None:
                base = from_yaml(rows.header.attributes["config_yaml"], str(self.path))
                layouts = self._layouts(rows.header, grid, base)
                grow(rows, layouts, grid, rows.header.attributes)
                rows.close()
                rows = ScanRows(self.path)
            self._draw(rows)
        finally:
            rows.close()

    def _warn_of_another_device(self, header: ScanHeader) -> None:
        """Bits are promised for one engine and instruction set; another one is said, unless engines are swept."""
        was, now = header.attributes["device"], self.points[0].device
        if was != now and "engine.name" not in self.swept and "engine" not in self.swept:
            warnings.warn(
                f"{self.path}: the scan began on {was}, goes on with {now}; the last bits of its draws may differ",
                stacklevel=2,
            )

    def _grid(self, header: ScanHeader | None) -> list[str]:
        """Identities of all points, whatever the shard: in the order of the grid where it has all that are there, else
        those that are there first."""
        wanted = [point.identity for point in self.points]
        before = [] if header is None else list(header.grid)
        return wanted if set(before) <= set(wanted) else list(dict.fromkeys(before + wanted))

    def _merged(self, header: ScanHeader) -> list[str] | None:
        """The grid that the file must be laid out anew for; None where it has room for all."""
        stored = {point.identity: point for point in header.points}
        if set(self._grid(header)) == set(header.grid) and all(
            point.identity in stored and stored[point.identity].draws >= point.layout.draws for point in self.own
        ):
            return None
        return self._grid(header)

    def _layouts(self, header: ScanHeader | None, grid: Sequence[str], base: Config) -> list[PointLayout]:
        stored = {} if header is None else {point.identity: point for point in header.points}
        own = {point.identity: point for point in self.own}
        found = []
        for identity in grid:
            if identity in own:
                layout, before = _stored_layout(own[identity], base), stored.get(identity)
                if before is not None:
                    if before.columns != layout.columns:
                        raise InputError(
                            f"{self.path}: the columns of {own[identity].name or 'its point'} are not those that this "
                            "version computes; go on with the version that began the scan, or choose another run.dir"
                        )
                    layout = dataclasses.replace(before, draws=max(before.draws, layout.draws))
                found.append(layout)
            elif identity in stored:
                found.append(stored[identity])
        return found

    def _attributes(self) -> dict[str, Any]:
        return {
            **collect_attributes(),
            "config_yaml": to_yaml(self.config),
            "common": as_json(self.common),
            "swept": list(self.swept),
            "shard": str(self.shard),
            "device": self.points[0].device,
            "overrides": list(self.context.overrides),
            "command_line": " ".join(self.context.command_line),
        }

    def _draw(self, rows: ScanRows) -> None:
        numbers = {point.identity: number for number, point in enumerate(rows.points)}
        todo = [(point, numbers[point.identity]) for point in self.own]
        left = [(point, number) for point, number in todo if rows.rows(number) < point.layout.draws]
        total = sum(point.layout.draws for point, _ in todo)
        done = sum(min(rows.rows(number), point.layout.draws) for point, number in todo)
        work = sum(point.work * (point.layout.draws - rows.rows(number)) for point, number in left)
        run = self.config.run
        progress = make_progress(run.progress, total, done, run.log_seconds, "draw")  # type: ignore[arg-type]
        status = read_status_file(self.directory, self.shard.beside(STATUS_NAME))
        self._live = {"sessions": [*status.get("sessions", []), {**collect_session(), "from_draw": done}]}
        self._write_status("running", done, total)
        share = "" if self.shard.is_whole else f"shard {self.shard}, "
        progress.message(
            f"scan {self.path}: {share}{plural(len(todo), 'point')}, {total - done} of {plural(total, 'draw')} to go, "
            f"{gib(self.path.stat().st_size)} of draws, at most {gib(max((p.memory for p in self.own), default=0))} of "
            f"memory; {self.points[0].reason}"
        )
        worked, synced = 0.0, time.monotonic()
        try:
            for point, number in left:
                built = point.take()
                while rows.rows(number) < point.layout.draws:
                    if self.stop.requested is not None:
                        raise StepAbandoned
                    drawn = self._portion(rows, number, built, point.layout.draws)
                    done, worked = done + drawn, worked + drawn * point.work
                    progress.step(done, {}, worked / work, point.name)
                    if time.monotonic() - synced > SYNC_SECONDS:
                        rows.sync()
                        self._write_status("running", done, total)
                        synced = time.monotonic()
            rows.sync()
            self._write_status(COMPLETED, done, total)
        except StepAbandoned:
            rows.sync()
            self._write_status("interrupted", done, total)
            raise InterruptedRun(
                f"stopped by {self.stop.requested or 'a signal to another rank'} after {done} of {total} draws, stored "
                f"in {self.path}; run the same command again to go on"
            ) from None
        except StorageError:
            raise
        except Exception:
            self._write_status("failed", done, total)
            raise
        finally:
            progress.close()

    def _portion(self, rows: ScanRows, number: int, built: Built, draws: int) -> int:
        """Draw and store the next draws of a point; how many."""
        first = rows.rows(number)
        last = min(draws, first + built.ensemble.draws_at_once * self.portions.size)
        point = self._index[rows.points[number].identity]
        found = self.portions.compute(point, built, first, last, lambda: self.stop.requested is not None)
        rows.append(number, found)
        return last - first

    def _write_status(self, status: str, done: int, total: int) -> None:
        now = utc_now()
        state = {"status": status, "updated_utc": now, "draws": done, "draws_asked_for": total}
        if status != "running":
            state["ended_utc"] = now
        write_status_file(self.directory, {**state, **self._live}, self.shard.beside(STATUS_NAME))

    def print_result(self) -> None:
        print_scan(self.directory, self.shard)


def print_scan(directory: Path, shard: Shard) -> None:
    """What was drawn (of a shard: its share), and where it is."""
    path = directory / shard.file_name
    print(*summary_lines(read_scan(path)), sep="\n")
    print(f"scan       {path}")


def _stored_layout(point: Planned, base: Config) -> PointLayout:
    """A point's layout with what its group says of it (docs/scan-file.md)."""
    attributes: dict[str, Any] = {"values": json.dumps(point.values), "changes": as_json(changes(point.config, base))}
    if point.config.scan.directions:
        attributes |= {"directions": list(point.config.scan.directions), "span": span_of(point.config)}
    return dataclasses.replace(point.layout, attributes=attributes)


def _word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
