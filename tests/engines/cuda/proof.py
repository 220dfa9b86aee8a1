"""Fixed cases through the emulator, for the checks that need a process of their own (sanitizers, planted faults).

    python -m tests.engines.cuda.proof [--variant plain|address|races] [--kernels FOLDER] [--ptx] [--quick] [--stop]
        [--orders forward,reverse,random] [--named START]

Prints one line a case; exit code 1 where an answer is wrong, bits differ between orders of threads, or races are found.
"""

from __future__ import annotations

import argparse
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from qmltrain.circuit.angle import feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cuda import CudaEngine
from qmltrain.engines.protocol import EngineOptions, GradientOptions
from qmltrain.engines.reference import ReferenceEngine
from tests.circuit.strategies import random_inputs, random_states
from tests.engines.cases import hea
from tests.engines.comparison import TOLERANCE, Outputs, run
from tests.engines.cuda.emulator_device import ORDERS, VARIANTS, EmulatorDevice
from tests.engines.cuda.ptx.device import PtxDevice


@dataclass(frozen=True)
class Case:
    name: str
    circuit: Circuit
    batch: int
    tile: tuple[int, int] | None = None
    fusion: bool = True
    gradient: GradientOptions = GradientOptions()
    precision: str = "complex64"
    two_samples: bool = False


def layers_alone(n_qubits: int, layers: int, entangler: str = "cz") -> Circuit:
    """`hea` without its encoding: passes for the lean kernel."""
    whole = hea(n_qubits, layers, entangler)
    return Circuit(n_qubits, whole.gates[n_qubits:], whole.parameter_names)


def signs_far_and_near(n_qubits: int) -> Circuit:
    """CZ between qubits one, two and three apart: more kinds of pairs than a pattern of signs holds at once."""
    gates, count = [], 0
    for _ in range(2):
        gates += [Gate("ry", (q,), (parameter(count + q),)) for q in range(n_qubits)]
        gates += [Gate("cz", (q, q + apart)) for apart in (1, 2, 3) for q in range(n_qubits - apart)]
        count += n_qubits
    gates += [Gate("rx", (q,), (feature(q),)) for q in range(n_qubits)]
    return Circuit(n_qubits, tuple(gates), tuple(f"theta.{k}" for k in range(count)), n_features=n_qubits)


def phases_everywhere(n_qubits: int) -> Circuit:
    """Trainable and per-sample phases on near and far qubits between rotations: every kind of diagonal record."""
    gates = [Gate("ry", (q,), (feature(q % 3),)) for q in range(n_qubits)]
    count = 0
    for layer in range(2):
        for q in range(n_qubits):
            gates.append(Gate("rzz", (q, (q + 1 + layer) % n_qubits), (parameter(count),)))
            gates.append(Gate("ry", (q,), (parameter(count + 1),)))
            count += 2
        gates.append(Gate("rz", (0,), (feature(1, weight=0),)))
        gates.append(Gate("ccz", (0, 1, n_qubits - 1)))
        gates.append(Gate("cx", (n_qubits - 1, 0)))
    return Circuit(n_qubits, tuple(gates), tuple(f"theta.{k}" for k in range(count)), n_features=3)


def measured_before_exchange(n_qubits: int) -> Circuit:
    """Phases measured in a record without rotations, then rotations that need an exchange."""
    gates = [Gate("ry", (q,), (parameter(q),)) for q in range(n_qubits)]
    count = n_qubits
    for moved in (0, n_qubits - 1, n_qubits // 2):
        for q in range(n_qubits - 1):
            gates.append(Gate("rzz", (q, q + 1), (parameter(count),)))
            count += 1
        gates.append(Gate("ry", (moved,), (parameter(count),)))
        count += 1
    return Circuit(n_qubits, tuple(gates), tuple(f"theta.{k}" for k in range(count)))


def stored_elsewhere() -> Circuit:
    """On tiles of 6 bits: the last pass stores at other places than it loads from, with no exchange in between."""
    turns = Gate("rx", (0,), (parameter(0),)), Gate("ry", (0,), (parameter(1),))
    gates = (Gate("cy", (0, 6)), turns[0], Gate("cy", (0, 6)), turns[1])
    return Circuit(7, gates, ("theta.0", "theta.1"))


def cases(quick: bool) -> Iterator[Case]:
    yield Case("packed, CZ", hea(4, 2), 19)
    yield Case("one warp, CX", hea(9, 1, "cx"), 2)
    yield Case("two warps, CZ far and near", signs_far_and_near(10), 2)
    yield Case("two warps, CZ", hea(10, 2), 2)
    yield Case("two warps, phases", phases_everywhere(10), 1)
    yield Case("two warps, measured early", measured_before_exchange(10), 1)
    yield Case("tiled, CZ", hea(8, 3), 2, (6, 2))
    yield Case("tiled, CX", hea(8, 3, "cx"), 2, (6, 2))
    yield Case("tiled, phases", phases_everywhere(8), 2, (6, 2))
    yield Case("tiled, stored elsewhere", stored_elsewhere(), 2, (6, 2))
    yield Case("fusion off", phases_everywhere(5), 3, fusion=False)
    yield Case("fusion off, several warps", hea(10, 1, "cx"), 1, fusion=False)
    yield Case("lean, packed, CZ", layers_alone(4, 2), 19)
    yield Case("lean, two warps, CX", layers_alone(10, 2, "cx"), 1)
    yield Case("two samples a thread, tiled", hea(8, 5), 5, (6, 2), two_samples=True)
    yield Case("two samples a thread, packed", layers_alone(8, 2, "cx"), 9, two_samples=True)
    if quick:
        return
    yield Case("lean, eight warps, CZ", layers_alone(12, 2), 2)
    yield Case("lean, double", layers_alone(10, 2, "cx"), 2, precision="complex128", two_samples=True)
    yield Case("two samples a thread, eight warps", layers_alone(12, 2, "cx"), 3, two_samples=True)
    yield Case("four warps, CZ", hea(11, 2), 1)
    yield Case("eight warps, phases", phases_everywhere(12), 1)
    yield Case("tiled, two warps", hea(11, 3), 1, (10, 3))
    yield Case("tiled, checkpoints", hea(8, 6), 2, (6, 2), gradient=GradientOptions("checkpoint", 2))
    yield Case("double", phases_everywhere(8), 2, (6, 2), precision="complex128")
    yield Case("long vectors", hea(13, 1), 1, (9, 3))


def named(start: str, quick: bool) -> list[Case]:
    found = [case for case in cases(quick) if case.name.startswith(start)]
    assert found, f"no case is named {start} ..."
    return found


def strings(n_qubits: int) -> tuple[PauliString, ...]:
    full = (1 << n_qubits) - 1
    return (PauliString(0, 1), PauliString(0, full), PauliString(1, 0), PauliString(full, 1))


def outputs(case: Case, device: EmulatorDevice) -> Outputs:
    theta, x = random_inputs(case.circuit, case.batch)
    initial = random_states(case.circuit.n_qubits, case.batch) if case.circuit.amplitude_encoded else None
    options = EngineOptions(fusion=case.fusion)
    engine = CudaEngine(device, *(case.tile or (None, None)), two_samples=case.two_samples)
    return run(
        engine, case.circuit, strings(case.circuit.n_qubits), theta, x, initial,
        precision=case.precision, gradient=case.gradient, engine_options=options,
    )  # fmt: skip


def largest_error(case: Case, found: Outputs) -> float:
    """Over expectations and all gradients, NaN counted as infinite."""
    theta, x = random_inputs(case.circuit, case.batch)
    expected = run(ReferenceEngine(), case.circuit, strings(case.circuit.n_qubits), theta, x)
    worst = np.nan_to_num(found.drift)  # NaN: not measured
    for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS"):
        difference = np.abs(getattr(found, name) - getattr(expected, name)).max(initial=0.0)
        worst = max(worst, difference if np.isfinite(difference) else np.inf)
    return float(worst if np.isfinite(worst) else np.inf)


def checksum(found: Outputs) -> int:
    total = 0
    for name in ("expectations_BM", "slots_S", "per_sample_BS", "shared_BS", "initial_BN"):
        total = zlib.crc32(np.ascontiguousarray(getattr(found, name)).tobytes(), total)
    return total


def check(
    case: Case,
    variant: str,
    orders: list[str],
    kernels: Path | None,
    device_type: type[EmulatorDevice] = EmulatorDevice,
) -> bool:
    start = time.perf_counter()
    sums, worst, races = set(), 0.0, 0
    for seed, order in enumerate(orders):
        device = device_type(order, variant, seed + 1, kernels=kernels)
        found = outputs(case, device)
        races = device.races()  # of the whole process so far: none is allowed at all
        worst = max(worst, largest_error(case, found))
        sums.add(checksum(found))
    good = worst <= TOLERANCE[case.precision] * case.batch and len(sums) == 1 and not races
    verdict = "ok  " if good else "FAIL"
    print(
        f"{verdict} {case.name:26s} n={case.circuit.n_qubits:2d} {case.precision}: error {worst:.1e}, "
        f"{'equal bits' if len(sums) == 1 else 'BITS DIFFER'} in {len(orders)} orders, {races} races, "
        f"{time.perf_counter() - start:.1f} s",
        flush=True,
    )
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", choices=VARIANTS, default="plain")
    parser.add_argument("--kernels", type=Path)
    parser.add_argument("--ptx", action="store_true", help="what NVRTC makes of the kernels: plain and races alone")
    parser.add_argument("--orders", default="forward,reverse,random")
    parser.add_argument("--quick", action="store_true", help="small cases only")
    parser.add_argument("--stop", action="store_true", help="stop at the first failure")
    parser.add_argument("--named", default="", help="cases whose name starts so only")
    arguments = parser.parse_args()
    orders = arguments.orders.split(",")
    assert set(orders) <= set(ORDERS)
    failed = 0
    for case in named(arguments.named, arguments.quick):
        device_type = PtxDevice if arguments.ptx else EmulatorDevice
        failed += not check(case, arguments.variant, orders, arguments.kernels, device_type)
        if failed and arguments.stop:
            break
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
