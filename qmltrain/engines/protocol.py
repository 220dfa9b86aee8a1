"""What every engine offers. Shape letters: B batch (of a chunk), N = 2^n, M Pauli strings, S shared slots,
S' per-sample slots, R raw gradient sums (in the engine's own order), G blocks of `BLOCK` samples.

    engine.compile(circuit, strings, precision, gradient, options) -> Program    once per run
    program.begin_step(shared_S) -> Step                                        once per step; the step owns its angles
    step.forward(per_sample_BS, initial_BN) -> Tape                             once per chunk
    tape.expectations_BM; tape.backward(cotangent_BM) -> Backward               once per chunk
    step.slot_gradient(total_R) -> gradient_S                                   once per step

A program compiled without strings is one for its states: `step.states(per_sample_BS, initial_BN) -> states_BN`.

Training takes `step.chunk(function, ...)` and `step.results()` instead of `forward`: what the function does to a tape
stays where the states are, on NumPy arrays (`qmltrain.engines.host_step`) or on a device's.

Raw sums are linear in the gradient and come one row per block of 16 samples (by index in the batch), so that the
caller can add blocks in one fixed order whatever the chunks, threads or ranks (`qmltrain.training.reduction`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.compile import compile_plan
from qmltrain.fusion.plan import Plan

BLOCK = 16  # samples whose gradients are summed inside an engine; chunks are multiples of it

Precision = Literal["complex64", "complex128"]
GradientMode = Literal["auto", "reversible", "checkpoint"]
FloatArray = NDArray[np.float64]
Planner = Callable[[Circuit, tuple[PauliString, ...]], Plan]
Array = Any  # an array of the array API standard: NumPy's, CuPy's, ...


@dataclass(frozen=True)
class GradientOptions:
    """`mode` and `checkpoint_interval` (moments of the plan; None: none for reversible, about sqrt(L) for checkpoint).

    Gradient checkpointing, not to be confused with snapshots of the training state (`run.save_every`).
    """

    mode: GradientMode = "auto"
    checkpoint_interval: int | None = None


@dataclass(frozen=True)
class EngineOptions:
    """`threads` 0: as many as SLURM, affinity and quotas allow. `memory_bytes` None: what the device has.
    `fusion` False: a pass per gate, the baseline of a benchmark (see `Engine.has_baseline`). `planner` makes the plan
    of a circuit: another one leaves out what the answer does not need (`qmltrain.fusion.reductions`). `shared_out`: the
    caller gives the threads one program each, so that a program has one."""

    threads: int = 0
    memory_bytes: int | None = None
    fusion: bool = True
    planner: Planner = compile_plan
    shared_out: bool = False


DEFAULT_GRADIENT = GradientOptions()
DEFAULT_OPTIONS = EngineOptions()


@dataclass(frozen=True)
class Forecast:
    """Memory before anything is allocated: `fixed_bytes` once and `block_bytes` for each block of 16 in flight.

    `few`: fixed bytes, and those of each sample, where fewer than 16 are in flight; None where a sample's bits depend
    on how many these are, so that only whole blocks may be.

    `mode` and `checkpoint_interval` are what `auto` became; `reason` says why in one line. `memory_bytes` is what
    the engine may use (`engine.memory_gib`, else what its device has).
    """

    fixed_bytes: int
    block_bytes: int
    mode: Literal["reversible", "checkpoint"]
    checkpoint_interval: int | None
    reason: str
    memory_bytes: int
    few: tuple[int, int] | None = None

    def bytes(self, samples: int) -> int:
        """Memory of so many samples in flight."""
        if self.few and samples < BLOCK:
            return self.few[0] + samples * self.few[1]
        return self.fixed_bytes + -(-samples // BLOCK) * self.block_bytes


@dataclass(frozen=True)
class Traffic:
    """How the states of a full block go through memory: `passes` forward and as many back, each over tiles of
    2^tile_bits amplitudes, of one real number each where `real`."""

    passes: int
    tile_bits: int
    real: bool = False


ChunkFunction = Callable[..., tuple[Array, ...]]  # (tape, *inputs) -> arrays of float64, see Step.chunk


@dataclass
class Backward:
    """Gradients of ``sum_bm cotangent_bm * expectation_bm``.

    `block_sums_GR` raw sums (float64); `per_sample_BS` d/d(per-sample slot); `shared_BS` d/d(shared slot) of each
    sample where asked for, else None; `initial_BN` the gradient bra at the start, U^dagger O U psi_0 (complex;
    where asked for); `drift_B` the distance of the un-applied state from the input state, a free estimate of the
    rounding error of a state; NaN where states are kept on the way, so that none is un-applied through all moments.
    """

    block_sums_GR: FloatArray
    per_sample_BS: FloatArray
    drift_B: FloatArray
    shared_BS: FloatArray | None = None
    initial_BN: NDArray[np.complexfloating] | None = None


def check_states(n_strings: int) -> None:
    """Raise ValueError where a program was compiled for strings: `Step.states` may not be asked of it."""
    if n_strings:
        raise ValueError("states are of programs compiled without strings")


class Tape(Protocol):
    """The states of one chunk on the way back; `backward` may be called once."""

    expectations_BM: FloatArray

    def backward(
        self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False
    ) -> Backward: ...


class Step(Protocol):
    """One step over a batch in chunks, at fixed values of the shared slots.

    Steps of a program may overlap, but the angles of one are ready at a time: going back and forth costs time.
    `pending_bytes`: of results that were not fetched yet.
    """

    @property
    def pending_bytes(self) -> int: ...

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> Tape:
        """`per_sample_BS` (float64, radians) are the angles of a chunk of B samples. `initial_BN` (real, float64) for
        amplitude-encoded circuits, normalised by the caller; else None."""
        ...

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> NDArray[np.complexfloating]:
        """Final states (B, N), complex of the program's precision, amplitudes by basis index (qubit q is bit q), each
        up to a phase. Of programs compiled without strings alone (ValueError), in which nothing is left out that
        strings do not see. A sample's bits depend on its place in the batch alone: not on chunks, nor on threads."""
        ...

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        """Raw sums over the batch -> gradient of the shared slots (S,)."""
        ...

    def chunk(
        self,
        function: ChunkFunction,
        per_sample_bS: FloatArray,
        initial_bN: FloatArray | None,
        inputs: tuple[NDArray[Any], ...],
        *,
        backward: bool = True,
    ) -> None:
        """Queue ``function(tape, *inputs)`` for a chunk of b samples. Without `backward` the function takes of the tape
        its expectations alone, and the engine need not keep the states.

        `inputs` (float64 or int64, from the host) reach the function as arrays of the namespace where the states are,
        and so do the tape's expectations, what `tape.backward` takes and what it gives. The function must be pure: no
        values on the host, no branches on values. It may be recorded and replayed for later chunks of the same shapes,
        told apart by the identity of the function alone.
        """
        ...

    def results(self) -> list[tuple[FloatArray, ...]]:
        """What the function gave for each chunk since the last call, on the host. Waits once for all of it."""
        ...


@runtime_checkable
class GradientInOneCall(Protocol):
    """What a Step may offer beside: forward and backward in one call, for cotangents known beforehand, so that only a
    few states exist at a time. The same bits as forward and backward."""

    def expectation_gradient(
        self, per_sample_BS: FloatArray, cotangent: FloatArray, initial_BN: FloatArray | None = None
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Expectations (B, M), gradients of the shared slots (S,) and of the per-sample slots (B, S') of
        ``sum_bm cotangent_bm * expectation_bm``; `cotangent` (M,) or (B, M)."""
        ...


class Program(Protocol):
    """A circuit compiled for one engine, precision and gradient mode. `n_raw`: raw sums (R). `training_steps` makes
    `TrainingSteps` of a `StepRecipe` (`qmltrain.engines.step_recipe`); None for an engine that does not run steps by
    itself."""

    forecast: Forecast

    @property
    def training_steps(self) -> Callable[[Any], Any] | None: ...

    @property
    def n_raw(self) -> int: ...

    def traffic(self) -> Traffic: ...

    def begin_step(self, shared_S: FloatArray) -> Step:
        """A step at these values (float64, radians) of the shared slots."""
        ...


class Engine(Protocol):
    """`name` is what `engine.name` selects; `describe()` is one line on device, threads and instruction set.
    `has_baseline`: users may ask for a pass per gate (`engine.fusion=false`), to compare. `reductions`: those
    that save this engine work (`qmltrain.fusion.reductions`). `joint_training_steps` makes `TrainingSteps` of programs
    that are parts of one circuit, from the parts (`qmltrain.engines.step_recipe.JointPart`), the circuit's numbers of
    shared slots, per-sample slots and strings, the forecast of all, and a recipe; None where the engine does not."""

    name: str
    has_baseline: bool
    reductions: tuple[str, ...]
    joint_training_steps: Callable[..., Any] | None

    def describe(self) -> str: ...

    def compile(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision = "complex64",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> Program: ...
