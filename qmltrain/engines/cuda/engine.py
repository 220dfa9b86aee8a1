"""`engine.name=cuda`: plans on an NVIDIA GPU."""

from __future__ import annotations

from itertools import product

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.checkpointing import default_interval
from qmltrain.engines.cuda.absent_device import AbsentDevice
from qmltrain.engines.cuda.cupy_device import CupyDevice
from qmltrain.engines.cuda.derived import known_gpu
from qmltrain.engines.cuda.device import Device, Kernel
from qmltrain.engines.cuda.fused import FusedSchedule
from qmltrain.engines.cuda.geometry import SMALLEST_TILE, largest_tile, working_tile
from qmltrain.engines.cuda.program import CudaProgram
from qmltrain.engines.cuda.schedule import Schedule
from qmltrain.engines.cuda.unfused.unfused_schedule import UnfusedSchedule
from qmltrain.engines.protocol import DEFAULT_GRADIENT, DEFAULT_OPTIONS, EngineOptions, GradientOptions, Precision
from qmltrain.errors import InputError
from qmltrain.fusion.compile import compile_plan

MAX_QUBITS = 30
LOW_BITS = {"complex64": 3, "complex128": 2}  # 64 contiguous bytes
_ROTATIONS_PER_PASS = 1 << 14


def every_kernel(precision: Precision, largest: int) -> list[Kernel]:
    """All kernels of a precision, tiles up to 2^largest amplitudes."""
    gates = [f"{gate}_{direction}" for gate in ("pair_gate", "phase_gate") for direction in ("forward", "backward")]
    vectors = [
        "prepare_tables",
        "sample_shears",
        "sample_cycles",
        "start_state",
        "expectations",
        "distances",
        "start_bra",
        "sum_rows",
    ]
    kernels = [Kernel("vectors", name, precision) for name in vectors]
    kernels += [Kernel("gates", name, precision) for name in gates]
    for tile_bits in range(SMALLEST_TILE, largest + 1):
        kernels += [
            Kernel(source, f"tile_pass_{direction}", precision, tile_bits)
            for source, direction in product(("tile_pass", "tile_pass_lean"), ("forward", "backward"))
        ]
    return kernels


class CudaEngine:
    """`tile_bits` and `low_bits` override what the device's shared memory allows, for tests of tiled plans.

    `two_samples`: lean passes forward take two samples in a thread, fewer instructions by fewer blocks at once.
    """

    name = "cuda"
    has_baseline = True
    reductions: tuple[str, ...] = ()
    joint_training_steps = None

    def __init__(
        self,
        device: Device | None = None,
        tile_bits: int | None = None,
        low_bits: int | None = None,
        two_samples: bool = False,
    ) -> None:
        if device is None:
            device = CupyDevice()
        self.device = device
        self.tile_bits, self.low_bits, self.two_samples = tile_bits, low_bits, two_samples

    @classmethod
    def planning_for(cls, name: str) -> CudaEngine:
        """An engine that makes plans for a GPU that need not be here. Raises InputError for an unknown name."""
        return cls(AbsentDevice(known_gpu(name)))

    def describe(self) -> str:
        limits = self.device.limits
        return f"cuda: {limits.name}, compute capability {limits.compute_capability}"

    def compile(
        self,
        circuit: Circuit,
        strings: tuple[PauliString, ...],
        precision: Precision = "complex64",
        gradient: GradientOptions = DEFAULT_GRADIENT,
        options: EngineOptions = DEFAULT_OPTIONS,
    ) -> CudaProgram:
        """Raises InputError above 30 qubits and MemoryLimitError where not even 16 samples fit."""
        n = circuit.n_qubits
        if n > MAX_QUBITS:
            raise InputError(f"engine.name=cuda: {n} qubits; at most {MAX_QUBITS} are possible")
        available = self.device.limits.memory_bytes
        memory = options.memory_bytes or available
        if isinstance(self.device, AbsentDevice):  # of a GPU that is here, others may leave more than it had free
            memory = min(memory, available)
        schedule: Schedule
        if options.fusion:
            plan = options.planner(circuit, strings)
            if plan.sample_angles:  # merged runs want Euler angles and v of every sample: not here
                plan = compile_plan(circuit, strings)
            low_bits = LOW_BITS[precision] if self.low_bits is None else self.low_bits
            tile_bits = self.tile_bits or self._tile_bits(n, precision)
            interval = gradient.checkpoint_interval
            if interval is None and gradient.mode == "checkpoint":
                interval = default_interval(plan.depth)
            per_pass = _ROTATIONS_PER_PASS
            if interval:  # a resident circuit is cut where states are kept
                per_pass = min(per_pass, max(1, -(-interval * len(plan.gate_runs) // max(1, plan.depth))))
            schedule = FusedSchedule(self.device, plan, precision, tile_bits, low_bits, per_pass, self.two_samples)
        else:
            schedule = UnfusedSchedule(self.device, circuit, strings, precision)
        return CudaProgram(self.device, schedule, precision, gradient, memory)

    def warm_up(self, precisions: tuple[Precision, ...] = ("complex64", "complex128")) -> int:
        """Compile every kernel this device may need, into the cache on disk; the number of kernels."""
        kernels = [
            kernel
            for precision in precisions
            for kernel in every_kernel(precision, largest_tile(self.device.limits, precision))
        ]
        for kernel in kernels:
            self.device.compile(kernel)
        return len(kernels)

    def _tile_bits(self, n_qubits: int, precision: Precision) -> int:
        """The whole state where it fits into a block, else the tile that leaves room for two blocks."""
        largest = largest_tile(self.device.limits, precision)
        if n_qubits <= largest:
            return max(SMALLEST_TILE, n_qubits)
        return working_tile(self.device.limits, precision)
