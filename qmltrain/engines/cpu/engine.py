"""`engine.name=cpu`: plans in the fused C++ kernels."""

from __future__ import annotations

from typing import Literal

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.checkpointing import choose
from qmltrain.engines.cpu.extension import chosen_set, kernels_of, load
from qmltrain.engines.cpu.program import CpuProgram
from qmltrain.engines.cpu.setting import (
    KernelSetting,
    Overrides,
    Reported,
    amplitude_bytes,
    kept_states,
    most_in_unit,
)
from qmltrain.engines.cpu.training_steps import CpuTrainingSteps, joint_steps
from qmltrain.engines.protocol import (
    DEFAULT_GRADIENT,
    DEFAULT_OPTIONS,
    EngineOptions,
    Forecast,
    GradientOptions,
    Precision,
)
from qmltrain.engines.step_recipe import JointPart, StepRecipe
from qmltrain.errors import InputError
from qmltrain.job_limits import available_bytes, usable_cpus
from qmltrain.units import gib
from qmltrain.wording import plural

MAX_QUBITS = 32
KEPT_QUBITS = 8  # circuits of so few may keep psi of every moment
KEPT_BYTES = 3 << 20  # states of all moments of a unit: kept, not un-applied, where they stay near the second cache


def thread_count(requested: int) -> int:
    """`requested`, else as many as this process may keep busy (`qmltrain.job_limits`)."""
    if requested < 0:
        raise InputError(f"engine.threads: {requested} is not possible; choose 0 (automatic) or more")
    return requested or usable_cpus()


class CpuEngine:
    """`tile_row_bits`, `lane_bits` and `share_row_bits` override what the engine would choose, for tests: of tiled
    plans, of qubits in the lanes, of states whose rows are shared out between threads."""

    name = "cpu"
    has_baseline = False
    reductions = ("light_cones", "real_states", "sample_angles", "product_start", "shared_blocks")

    def __init__(
        self, tile_row_bits: int | None = None, lane_bits: int | None = None, share_row_bits: int | None = None
    ) -> None:
        self.extension = load()
        chosen_set(self.extension)  # another word in QMLTRAIN_SIMD is refused before anything is compiled
        self.overrides = Overrides(tile_row_bits, lane_bits, share_row_bits)
        self._threads = 0  # of the last program: the option, 0 where it is automatic

    @property
    def instruction_set(self) -> str:
        return chosen_set(self.extension)

    def describe(self) -> str:
        threads = thread_count(self._threads)
        return f"cpu: {self.instruction_set}, {threads} {'thread' if threads == 1 else 'threads'}"

    def joint_training_steps(
        self, parts: list[JointPart], sizes: tuple[int, int, int], forecast: Forecast, recipe: StepRecipe
    ) -> CpuTrainingSteps:
        """Spans of whole training steps of a circuit in parts; see `Engine`."""
        return joint_steps(self.extension, parts, sizes, forecast, recipe, thread_count(self._threads))

    def compile(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision = "complex64",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> CpuProgram:
        """Raises InputError above 32 qubits and MemoryLimitError where one sample does not fit."""
        n = circuit.n_qubits
        if n > MAX_QUBITS:
            raise InputError(f"engine.name=cpu: {n} qubits; at most {MAX_QUBITS} are possible")
        plan = options.planner(circuit, strings)
        self._threads = options.threads
        memory = options.memory_bytes or available_bytes()
        state_bytes = amplitude_bytes(plan, precision) << n
        lanes = self.extension.lanes(kernels_of(self.instruction_set), precision)
        unit = most_in_unit(n, lanes, plan.sample_angles)
        mode, interval, reason = choose(gradient, plan.depth, unit * state_bytes, memory, plural(unit, "sample"))
        kernel_mode: Literal["keep", "reversible", "checkpoint"] = mode
        kept = kept_states(plan)
        may_keep = options.fusion and n <= KEPT_QUBITS and kept * lanes * state_bytes <= KEPT_BYTES
        if may_keep and (gradient == GradientOptions("auto") or (mode == "checkpoint" and interval == 1)):
            mode, interval, kernel_mode = "checkpoint", 1, "keep"
            size = gib(kept * unit * state_bytes)
            reason = f"psi of every moment stays in the cache: {kept} states of {plural(unit, 'sample')}, {size}"
        kernels = KernelSetting(
            precision=precision,
            instruction_set=self.instruction_set,
            lanes=lanes,
            mode=kernel_mode,
            interval=0 if kernel_mode == "keep" else interval or 0,
            threads=1 if options.shared_out else thread_count(options.threads),
            fusion=options.fusion,
        )
        reported = Reported(mode=mode, interval=interval, reason=reason, memory_bytes=memory)
        return CpuProgram(self.extension, plan, kernels, reported, self.overrides)
