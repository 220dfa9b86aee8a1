"""A training step on the device: chunks queued without waiting, repeated ones recorded and replayed as CUDA graphs.

For each chunk: inputs through `Staging`; angles, the way forward, the caller's function (head, loss, sums) with the
way back in it; its results packed into one array and copied to pinned memory. `results` waits once for all.

Where launches would take longer than what they launch, the work of a chunk is captured as a CUDA graph the second
time it comes with the same function and shapes, and replayed from then on: a step is then two copies and one launch.
Graphs save time and nothing else: where one cannot be had, for whatever reason, there are none from then on.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.device import Buffer, Device, Graph, Pinned, what_failed
from qmltrain.engines.cuda.device_plan import DevicePlan
from qmltrain.engines.cuda.execution import Execution
from qmltrain.engines.cuda.geometry import blocks
from qmltrain.engines.cuda.staging import Staged, Staging
from qmltrain.engines.cuda.tapes import DeviceTape, HostTape, states
from qmltrain.engines.protocol import BLOCK, ChunkFunction, FloatArray, Forecast, check_states
from qmltrain.errors import InputError, MemoryLimitError

_GRAPHS = 16  # kept at most, the oldest is dropped
_GRAPH_SECONDS = 0.05  # by the estimate for a slow card: longer chunks gain nothing from a graph
# a graph keeps its states: one may take 1/8 of the memory, all together 1/4 and what the largest other chunk leaves
_GRAPH_SHARE, _GRAPHS_SHARE = 8, 4


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
        self.make_room(key, n_bytes)
        self._graphs[key] = (graph, n_bytes)

    def make_room(self, key: Hashable, n_bytes: int) -> None:
        """Give back what a graph of so many bytes at `key` will take the place of."""
        self._graphs.pop(key, None)
        while self._graphs and (
            len(self._graphs) >= _GRAPHS or n_bytes + sum(size for _, size in self._graphs.values()) > self.memory_bytes
        ):
            del self._graphs[next(iter(self._graphs))]

    @property
    def held(self) -> bool:
        """Whether graphs take memory."""
        return any(graph is not None for graph, _ in self._graphs.values())

    def clear(self) -> None:
        """Give the memory of all graphs back."""
        self._graphs.clear()


class StepMemory:
    """What the steps of a program use one after another: stages of inputs, graphs, pinned memory for results."""

    def __init__(self, device: Device, forecast: Forecast) -> None:
        self.device, self.forecast = device, forecast
        self.staging, self.graphs = Staging(device), GraphCache(forecast.memory_bytes // _GRAPHS_SHARE)
        self.unfinished = False  # chunks are queued whose results nobody has waited for
        self._results: list[Pinned] = []

    def settle(self) -> None:
        """Wait for what an abandoned step has left: its results may still be on their way to pinned memory."""
        if self.unfinished:
            self.device.synchronize()
            self.unfinished = False

    def leave_room_for(self, n_bytes: int) -> None:
        """Chunks of so many bytes are launched one by one: graphs have what is left beside them."""
        left = self.forecast.memory_bytes - self.forecast.fixed_bytes - n_bytes
        if left < self.graphs.memory_bytes:
            self.graphs.memory_bytes = max(0, left)
            self.graphs.make_room(None, 0)

    def without_graphs(self, why: Exception) -> None:
        """From now on everything is launched one by one; said once."""
        self.device.has_graphs = False
        self.graphs.clear()
        warnings.warn(f"engine cuda: no CUDA graphs from here on, {what_failed(why)}", stacklevel=2)

    def result_memory(self, number: int, n_bytes: int) -> Pinned:
        """Pinned memory for the results of chunk `number` of a step; the same for the next step."""
        if number == len(self._results):
            self._results.append(self.device.pinned(n_bytes))
        elif self._results[number].array.nbytes < n_bytes:
            self._results[number] = self.device.pinned(n_bytes)
        return self._results[number]


class CudaStep:
    """See `qmltrain.engines.protocol.Step`."""

    def __init__(self, plan: DevicePlan, memory: StepMemory, shared_S: FloatArray) -> None:
        memory.settle()
        self.plan, self.memory = plan, memory
        self.angles = plan.schedule.plan_values.shared_angles(shared_S)
        self.shared_arrays = plan.schedule.shared_arrays(self.angles)
        self._fetched: list[tuple[Pinned, list[tuple[int, ...]]]] = []
        self.pending_bytes = 0

    def _arrays(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None) -> tuple[NDArray[Any], ...]:
        """Everything about angles that goes to the device for a chunk. Raises InputError for a wrong start."""
        if self.plan.schedule.plan.amplitude_encoded != (initial_BN is not None):
            raise InputError("initial states are needed exactly where the circuit is amplitude encoded")
        return (*self.shared_arrays, *self.plan.schedule.sample_arrays(self.angles, per_sample_BS))

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> HostTape:
        return HostTape(self._execution(per_sample_BS, initial_BN), self.slot_gradient)

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> NDArray[np.complexfloating]:
        check_states(self.plan.vectors.n_strings)
        return states(self._execution(per_sample_BS, initial_BN))

    def _execution(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None) -> Execution:
        plan, device = self.plan, self.plan.device
        arrays = self._arrays(per_sample_BS, initial_BN)
        batch, initial = len(per_sample_BS), None
        values = plan.schedule.prepare([device.upload(array) for array in arrays], batch)
        if initial_BN is not None:
            initial = device.upload(np.ascontiguousarray(initial_BN, dtype=plan.real))
        return Execution(plan, values, initial, batch)

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        schedule = self.plan.schedule
        return schedule.plan_values.slot_gradient(schedule.completed(total_R, self.angles), self.angles)

    def chunk(
        self,
        function: ChunkFunction,
        per_sample_bS: FloatArray,
        initial_bN: FloatArray | None,
        inputs: tuple[NDArray[Any], ...],
        *,
        backward: bool = True,
    ) -> None:
        memory, batch = self.memory, len(per_sample_bS)
        angles = self._arrays(per_sample_bS, initial_bN)
        arrays: list[tuple[NDArray[Any], Any]] = [(array, array.dtype) for array in (*angles, *inputs)]
        if initial_bN is not None:
            arrays.append((initial_bN, self.plan.real))
        staged = memory.staging.stage(arrays)

        def queue() -> Queued:
            return self._queue(function, staged, len(angles), inputs, batch)

        stage = staged.views[0].pointer if staged.views else 0  # a graph reads from the stage it was captured with
        memory.unfinished = True
        queued = self._run(queue, (function, stage, tuple(array.shape for array, _ in arrays)), batch)
        memory.staging.release(staged)
        size = 8 * sum(int(np.prod(shape)) for shape in queued.shapes)
        pinned = memory.result_memory(len(self._fetched), size)
        self.plan.device.fetch(pinned, queued.flat, size)
        self._fetched.append((pinned, queued.shapes))
        self.pending_bytes += size

    def _run(self, queue: Callable[[], Queued], key: Hashable, batch: int) -> Queued:
        """The work of a chunk: launched one by one, or as a graph."""
        device, schedule = self.plan.device, self.plan.schedule
        forecast, graphs = self.memory.forecast, self.memory.graphs
        n_bytes = forecast.block_bytes * blocks(batch, BLOCK)
        long = schedule.seconds(schedule.padded(batch)) > _GRAPH_SECONDS
        if not device.has_graphs or long or _GRAPH_SHARE * n_bytes > forecast.memory_bytes:
            self.memory.leave_room_for(n_bytes)
            return self._one_by_one(queue)
        if n_bytes > graphs.memory_bytes or not graphs.seen(key):
            return self._one_by_one(queue)
        graph = graphs.get(key)
        if graph is not None:
            graph.launch()
        else:
            graphs.make_room(key, n_bytes)
            graph = self._captured(queue)
            if graph is None:
                return queue()
            graphs.put(key, graph, n_bytes)
        result: Queued = graph.result
        return result

    def _captured(self, queue: Callable[[], Queued]) -> Graph | None:
        """The work as a graph, launched; None where that cannot be. What is wrong with the work itself it will say."""
        try:
            graph = self.plan.device.capture(queue)
            graph.launch()
        except Exception as error:
            self.memory.without_graphs(error)
            return None
        return graph

    def _one_by_one(self, queue: Callable[[], Queued]) -> Queued:
        """Launch the work; once more where what graphs hold was missing."""
        try:
            return queue()
        except MemoryLimitError as error:
            if not self.memory.graphs.held:
                raise
            self.memory.without_graphs(error)
        return queue()

    def _queue(
        self, function: ChunkFunction, staged: Staged, n_angles: int, inputs: tuple[NDArray[Any], ...], batch: int
    ) -> Queued:
        plan, device, xp = self.plan, self.plan.device, self.plan.device.arrays
        views = staged.views
        with device.queueing():
            values = plan.schedule.prepare(views[:n_angles], batch)
            initial = views[n_angles + len(inputs)] if plan.schedule.plan.amplitude_encoded else None
            given = [
                device.array(view, array.dtype, array.shape)
                for view, array in zip(views[n_angles : n_angles + len(inputs)], inputs, strict=True)
            ]
            found = function(DeviceTape(Execution(plan, values, initial, batch)), *given)
            parts = [xp.reshape(xp.asarray(array, dtype=np.float64), (-1,)) for array in found]
            flat = device.memory_of(xp.concat(parts))
        return Queued(flat, [tuple(array.shape) for array in found])

    def results(self) -> list[tuple[FloatArray, ...]]:
        self.plan.device.synchronize()
        self.memory.unfinished = False
        found = []
        for pinned, shapes in self._fetched:
            flat = pinned.array.view(np.float64)
            ends = np.cumsum([0, *(int(np.prod(shape)) for shape in shapes)]).tolist()
            pieces = zip(ends, ends[1:], shapes, strict=False)
            found.append(tuple(flat[start:end].reshape(shape).copy() for start, end, shape in pieces))
        self._fetched, self.pending_bytes = [], 0
        return found
