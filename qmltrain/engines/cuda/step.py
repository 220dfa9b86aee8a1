"""A training step on the device: chunks are queued without waiting, heads and losses run there, results come at once.

For each chunk: inputs through `Staging`; angles, forward sweep, the caller's function (head, loss, sums) with the
backward sweep in it; its results packed into one array and copied to pinned memory. `results` waits once for all.

Where launches would take longer than what they launch, the work of a chunk is captured as a CUDA graph the second
time it comes with the same function and shapes, and replayed from then on: a step is then two copies and one launch.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.device import Buffer, Graph, Pinned
from qmltrain.engines.cuda.geometry import blocks
from qmltrain.engines.cuda.schedule import gather_slots
from qmltrain.engines.cuda.staging import Staged
from qmltrain.engines.cuda.sweep import Sums, Sweep
from qmltrain.engines.protocol import BLOCK, Array, ChunkFunction, FloatArray, SlotValues
from qmltrain.errors import InputError

if TYPE_CHECKING:
    from qmltrain.engines.cuda.program import CudaProgram

_GRAPHS = 16  # kept at most, the oldest is dropped
_GRAPH_SECONDS = 0.05  # by the estimate for a slow card: longer chunks gain nothing from a graph
_GRAPH_SHARE = 8  # a graph keeps its states: one may take 1/8 of the memory, all together 1/4


@dataclass
class Queued:
    """What the work of a chunk left behind: one flat float64 array, and the shapes of its parts."""

    flat: Buffer
    shapes: list[tuple[int, ...]]


class GraphCache:
    """Graphs of chunks by function and shapes; the oldest make room for new ones."""

    def __init__(self, memory_bytes: int) -> None:
        self.memory_bytes = memory_bytes  # of all graphs together
        self._graphs: dict[Hashable, tuple[Graph | None, int]] = {}  # no graph: came once, uncaptured

    def seen(self, key: Hashable) -> bool:
        """Whether `key` came before; remembers it."""
        if key in self._graphs:
            return True
        self.put(key, None, 0)
        return False

    def get(self, key: Hashable) -> Graph | None:
        return self._graphs[key][0]

    def put(self, key: Hashable, graph: Graph | None, n_bytes: int) -> None:
        self._graphs.pop(key, None)
        while self._graphs and (
            len(self._graphs) >= _GRAPHS or n_bytes + sum(size for _, size in self._graphs.values()) > self.memory_bytes
        ):
            del self._graphs[next(iter(self._graphs))]
        self._graphs[key] = (graph, n_bytes)


class ArrayTape:
    """`qmltrain.engines.protocol.Tape` on arrays of the device."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        device, shape = sweep.program.device, (sweep.batch, sweep.program.vectors.n_strings)
        self.expectations_BM: Array = device.array(sweep.expectations, np.float64, shape)

    def backward(self, cotangent_BM: Array) -> ArrayBackward:
        device = self._sweep.program.device
        cotangent = device.memory_of(device.arrays.asarray(cotangent_BM, dtype=np.float64))
        return ArrayBackward(self._sweep, self._sweep.backward(cotangent))


class ArrayBackward:
    """The parts of `qmltrain.engines.protocol.Backward` that training takes, on arrays of the device."""

    def __init__(self, sweep: Sweep, sums: Sums) -> None:
        self._sweep, self._sums = sweep, sums
        self.block_sums_GR: Array = self._part("blocks")

    def _part(self, name: str) -> Array:
        device = self._sweep.program.device
        return device.array(self._sums.views[name], np.float64, self._sums.parts[name])

    @property
    def per_sample_BS(self) -> Array:
        program = self._sweep.program
        return gather_slots(program.device.arrays, self._part("slots"), program.placed_slot_columns)

    @property
    def drift_B(self) -> Array:
        return self._sweep.program.device.arrays.sqrt(self._part("drift")[:, 0])


class CudaStep:
    """See `qmltrain.engines.protocol.Step`."""

    def __init__(self, program: CudaProgram, shared_S: FloatArray) -> None:
        if program.step_unfinished:  # an abandoned step: its results may still be on their way to pinned memory
            program.device.synchronize()
            program.step_unfinished = False
        self.program, self.shared_S = program, shared_S
        self.shared_arrays = program.schedule.shared_arrays(shared_S)
        self._fetched: list[tuple[Pinned, list[tuple[int, ...]]]] = []
        self.pending_bytes = 0

    def chunk(
        self,
        function: ChunkFunction,
        per_sample_bS: FloatArray,
        initial_bN: FloatArray | None,
        inputs: tuple[NDArray[Any], ...],
    ) -> None:
        program = self.program
        device, schedule = program.device, program.schedule
        if program.plan.amplitude_encoded != (initial_bN is not None):
            raise InputError("initial states are needed exactly where the circuit is amplitude encoded")
        batch = len(per_sample_bS)
        angles = (*self.shared_arrays, *schedule.sample_arrays(SlotValues(self.shared_S, per_sample_bS)))
        arrays: list[tuple[NDArray[Any], Any]] = [(array, array.dtype) for array in (*angles, *inputs)]
        if initial_bN is not None:
            arrays.append((initial_bN, program.real))
        staged = program.staging.stage(arrays)

        def queue() -> Queued:
            return self._queue(function, staged, len(angles), inputs, batch)

        place = staged.views[0].pointer if staged.views else 0  # a graph reads from the place it was captured with
        program.step_unfinished = True
        queued = self._run(queue, (function, place, tuple(array.shape for array, _ in arrays)), batch)
        program.staging.release(staged)
        size = 8 * sum(int(np.prod(shape)) for shape in queued.shapes)
        pinned = program.result_place(len(self._fetched), size)
        device.fetch(pinned, queued.flat, size)
        self._fetched.append((pinned, queued.shapes))
        self.pending_bytes += size

    def _run(self, queue: Any, key: Hashable, batch: int) -> Queued:
        """The work of a chunk: launched one by one, or as a graph."""
        program, forecast = self.program, self.program.forecast
        n_bytes = forecast.block_bytes * blocks(batch, BLOCK)
        long = program.schedule.seconds(program.schedule.padded(batch)) > _GRAPH_SECONDS
        if not program.device.has_graphs or long or _GRAPH_SHARE * n_bytes > forecast.memory_bytes:
            return queue()
        if not program.graphs.seen(key):
            return queue()
        graph = program.graphs.get(key)
        if graph is None:
            graph = program.device.capture(queue)
            program.graphs.put(key, graph, n_bytes)
        graph.launch()
        return graph.result

    def _queue(
        self, function: ChunkFunction, staged: Staged, n_angles: int, inputs: tuple[NDArray[Any], ...], batch: int
    ) -> Queued:
        program = self.program
        device, xp = program.device, program.device.arrays
        views = staged.views
        with device.queueing():
            values = program.schedule.place(views[:n_angles], batch)
            initial = views[n_angles + len(inputs)] if program.plan.amplitude_encoded else None
            given = [
                device.array(view, array.dtype, array.shape)
                for view, array in zip(views[n_angles : n_angles + len(inputs)], inputs, strict=True)
            ]
            found = function(ArrayTape(Sweep(program, values, initial, batch)), *given)
            parts = [xp.reshape(xp.asarray(array, dtype=np.float64), (-1,)) for array in found]
            flat = device.memory_of(xp.concat(parts))
        return Queued(flat, [tuple(array.shape) for array in found])

    def results(self) -> list[tuple[FloatArray, ...]]:
        self.program.device.synchronize()
        self.program.step_unfinished = False
        found = []
        for pinned, shapes in self._fetched:
            flat = pinned.array.view(np.float64)
            ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
            pieces = zip(ends, ends[1:], shapes, strict=False)
            found.append(tuple(flat[start:end].reshape(shape).copy() for start, end, shape in pieces))
        self._fetched, self.pending_bytes = [], 0
        return found
