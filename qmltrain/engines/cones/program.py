"""ConesProgram: a circuit cut along its light cones as one Program, over the Programs of its parts on any host engine.

The parts' shared and per-sample slots are gathered by number, their raw sums stand side by side, their slot gradients
are added: the chain rule, the tree of sums, heads and optimisers see one circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.circuit import Circuit
from qmltrain.engines.host_step import HostStep
from qmltrain.engines.protocol import (
    BLOCK,
    Backward,
    Engine,
    EngineOptions,
    FloatArray,
    Forecast,
    GradientOptions,
    Precision,
    Program,
    Step,
    Tape,
    Traffic,
    check_states,
)
from qmltrain.engines.step_recipe import IntArray, JointPart, StepRecipe, TrainingSteps
from qmltrain.errors import InputError, MemoryLimitError
from qmltrain.fusion.reductions.light_cones import Cut, Part
from qmltrain.job_limits import usable_cpus
from qmltrain.wording import plural, shortened

SHARED_OUT_FROM = 1_000  # angles of samples: fewer are sooner done by one thread
PARTS_WITH_THREADS = 12  # qubits of the largest part from which on a part has all threads, one after the other


def compile_cones(
    engine: Engine, cut: Cut, whole: Circuit, precision: Precision, gradient: GradientOptions, options: EngineOptions
) -> ConesProgram:
    """The parts of `cut` on `engine`; `whole` is the circuit that was cut.

    The largest part chooses the gradient mode for all, so that what is stored with a run makes the same parts again.
    Raises InputError and MemoryLimitError as the engine does, with the cone that does not fit.
    """
    if cut.n_qubits < PARTS_WITH_THREADS:
        options = replace(options, shared_out=True)
    order = sorted(range(len(cut.parts)), key=lambda k: -cut.parts[k].circuit.n_qubits)
    programs: dict[int, Program] = {}
    for k in order:
        part = cut.parts[k]
        try:
            programs[k] = engine.compile(part.circuit, part.strings, precision, gradient, options)
        except (InputError, MemoryLimitError) as error:
            raise type(error)(f"{describe(part)}: {error}") from None
        if k == order[0]:
            chosen = programs[k].forecast
            gradient = GradientOptions(chosen.mode, chosen.checkpoint_interval)
    of_cones = ConesProgram(engine, cut, [programs[k] for k in range(len(order))], whole)
    if options.shared_out and engine.joint_training_steps is not None:  # (NumPy's engines would wait for each other)
        of_cones.workers = min(len(order), options.threads or usable_cpus())
    return of_cones


def describe(part: Part) -> str:
    """A part in words: its qubits, and a string of it."""
    n, shown = len(part.qubits), ", ".join(map(str, part.qubits[:4]))
    qubits = f"{plural(n, 'qubit')} ({shown}{', ...' * (n > 4)})"
    others = f" and {len(part.strings) - 1} others" * (len(part.strings) > 1)
    return f"the light cone of {shortened(part.text)}{others} has {qubits}"


class ConesProgram:
    """See this module's docstring."""

    def __init__(self, engine: Engine, cut: Cut, programs: list[Program], whole: Circuit) -> None:
        self.engine, self.cut, self.programs = engine, cut, programs
        self.workers = 1  # threads, a part each, where many samples are evaluated
        self.n_strings = sum(len(part.members) for part in cut.parts)
        self.n_shared, self.n_per_sample = len(whole.slots.shared), len(whole.slots.per_sample)
        self.parts = [
            JointPart(program, _numbers(part.shared), _numbers(part.per_sample), _numbers(part.members))
            for program, part in zip(programs, cut.parts, strict=True)
        ]
        forecasts = [program.forecast for program in programs]
        first = max(forecasts, key=lambda one: one.block_bytes)
        n = cut.n_qubits
        what = f"{plural(len(programs), 'cone')} of at most {plural(n, 'qubit')}; {first.reason}"
        few = [one.few for one in forecasts]
        self.forecast = Forecast(
            sum(one.fixed_bytes for one in forecasts),
            sum(one.block_bytes for one in forecasts),
            first.mode,
            first.checkpoint_interval,
            what,
            first.memory_bytes,
            None if None in few else (sum(one[0] for one in few if one), sum(one[1] for one in few if one)),
        )

    @property
    def training_steps(self) -> Callable[[StepRecipe], TrainingSteps] | None:
        """Of the engine's programs joined, where it can."""
        joint = self.engine.joint_training_steps
        if joint is None:
            return None
        sizes = self.n_shared, self.n_per_sample, self.n_strings
        return lambda recipe: joint(self.parts, sizes, self.forecast, recipe)

    def traffic(self) -> Traffic:
        """Passes of all parts; tiles as large as the largest of a part."""
        every = [program.traffic() for program in self.programs]
        real = all(one.real for one in every)
        return Traffic(sum(one.passes for one in every), max(one.tile_bits for one in every), real)

    def begin_step(self, shared_S: FloatArray) -> ConesStep:
        return ConesStep(self, shared_S)


class ConesStep(HostStep):
    def __init__(self, program: ConesProgram, shared_S: FloatArray) -> None:
        super().__init__()
        self.program = program
        self.steps: list[Step] = [part.program.begin_step(shared_S[part.shared]) for part in program.parts]

    def _of_part(self, part: JointPart, per_sample_BS: FloatArray) -> FloatArray:
        return np.ascontiguousarray(per_sample_BS[:, part.per_sample])

    def forward(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> ConesTape:
        pairs = zip(self.program.parts, self.steps, strict=True)
        return ConesTape(self.program, [step.forward(self._of_part(part, per_sample_BS)) for part, step in pairs])

    def expectations(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> FloatArray:
        found_BM = np.empty((len(per_sample_BS), self.program.n_strings))

        def of_part(k: int) -> None:
            part, step = self.program.parts[k], self.steps[k]
            assert isinstance(step, HostStep)
            found_BM[:, part.strings] = step.expectations(self._of_part(part, per_sample_BS))

        every = range(len(self.steps))
        if self.program.workers == 1 or per_sample_BS.size < SHARED_OUT_FROM:
            for k in every:
                of_part(k)
        else:
            with ThreadPoolExecutor(self.program.workers) as pool:
                list(pool.map(of_part, every))
        return found_BM

    def states(self, per_sample_BS: FloatArray, initial_BN: FloatArray | None = None) -> NDArray[np.complexfloating]:
        """None of the whole: a circuit without strings is not cut."""
        check_states(self.program.n_strings)
        raise ValueError("a circuit in parts has no state")

    def slot_gradient(self, total_R: FloatArray) -> FloatArray:
        gradient_S, first = np.zeros(self.program.n_shared), 0
        for part, step in zip(self.program.parts, self.steps, strict=True):
            n_raw = part.program.n_raw
            gradient_S[part.shared] += step.slot_gradient(np.ascontiguousarray(total_R[first : first + n_raw]))
            first += n_raw
        return gradient_S


class ConesTape:
    def __init__(self, program: ConesProgram, tapes: list[Tape]) -> None:
        self.program, self.tapes = program, tapes
        self.expectations_BM = np.empty((len(tapes[0].expectations_BM), program.n_strings))
        for part, tape in zip(program.parts, tapes, strict=True):
            self.expectations_BM[:, part.strings] = tape.expectations_BM

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        """`initial` is not given: a circuit that is amplitude-encoded is not cut."""
        program, batch = self.program, len(self.expectations_BM)
        sums: list[FloatArray] = []
        per_sample_BS, drift_B = np.zeros((batch, program.n_per_sample)), np.full(batch, np.nan)
        shared_BS = np.zeros((batch, program.n_shared)) if per_sample_shared else None
        for part, tape in zip(program.parts, self.tapes, strict=True):
            own = np.ascontiguousarray(cotangent_BM[:, part.strings])
            back = tape.backward(own, per_sample_shared=per_sample_shared)
            sums.append(back.block_sums_GR)
            per_sample_BS[:, part.per_sample] += back.per_sample_BS
            drift_B = np.fmax(drift_B, back.drift_B)
            if shared_BS is not None and back.shared_BS is not None:
                shared_BS[:, part.shared] += back.shared_BS
        assert len(sums[0]) == -(-batch // BLOCK)
        return Backward(np.concatenate(sums, axis=1), per_sample_BS, drift_B, shared_BS)


def _numbers(numbers: tuple[int, ...]) -> IntArray:
    return np.array(numbers, dtype=np.int64)
