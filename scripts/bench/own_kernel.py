"""qmltrain's kernel call alone, `CpuStep.expectation_gradient`: with the same angles again and again, or with new ones.

The circuit is a case of compare.py. New angles in each call are what a training has: sines and cosines of the shared
angles are in the times, and no processor can learn the signs and sizes of angles by heart.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qmltrain.circuit.angle import Angle, Feature, feature, parameter
from qmltrain.circuit.circuit import Circuit, Gate
from qmltrain.circuit.observables import PauliString
from qmltrain.engines.cpu import CpuEngine
from qmltrain.engines.cpu.program import CpuProgram, CpuStep
from qmltrain.engines.protocol import EngineOptions
from qmltrain.training.angles import AngleMap

Array = NDArray[np.float64]
Step = Callable[[], tuple[float, Array]]

DIFFERENT_ANGLES = 64  # sets of angles that calls take in turns


class KernelCall:
    """The program of a case, and what turns the gradient of its slots into that of its parameters."""

    def __init__(self, case: dict, n_parameters: int, weights_M: Array, batch: int) -> None:
        def make(spec: list) -> Angle:
            kind, factor, *index = spec
            if kind == "parameter":
                return parameter(index[0], factor)
            if kind == "feature":
                return feature(index[0], factor)
            return Angle(scale=factor, feature=Feature("product", tuple(index), np.pi))

        gates = tuple(Gate(name, tuple(qubits), tuple(map(make, angles))) for name, qubits, angles in case["gates"])
        names = tuple(f"theta.{k}" for k in range(n_parameters))
        circuit = Circuit(case["qubits"], gates, names, n_features=max(1, case["n_features"]))
        strings = tuple(PauliString(0, 1 << j) for j in range(len(weights_M)))
        program = CpuEngine().compile(circuit, strings, options=EngineOptions(threads=case["threads"]))
        assert isinstance(program, CpuProgram)
        self.program, self.angles = program, AngleMap(circuit)
        self.n_parameters = n_parameters
        shared = [(a.weight, a.scale) for a in circuit.slots.shared]
        self.columns, self.scales = np.array([c for c, _ in shared]), np.array([s for _, s in shared])
        self.cotangent_M = weights_M / batch
        self.cotangents = np.tile(self.cotangent_M, batch)
        self.in_order = np.array_equal(self.columns, np.arange(n_parameters)) and bool(np.all(self.scales == 1))

    def run(self, begun: CpuStep, per_sample_BS: Array) -> tuple[float, Array]:
        """The loss, and its gradient (P,)."""
        expectations, gradient, _ = begun.expectation_gradient(per_sample_BS, self.cotangent_M, per_sample=False)
        # one slot per parameter, as in most circuits, else the chain rule's sums
        loss = float(expectations.ravel() @ self.cotangents)
        if self.in_order:
            return loss, gradient
        total = np.bincount(self.columns, self.scales * gradient, minlength=self.n_parameters)
        return loss, total.astype(np.float64)


def repeated(case: dict, theta_P: Array, x_BF: Array, weights_M: Array) -> Step:
    """Begun once: sines and cosines of the shared angles are not in the times, 0.003 ms at 4 qubits, 0.04 ms at 12."""
    call = KernelCall(case, len(theta_P), weights_M, len(x_BF))
    begun, per_sample_BS = call.program.begin_step(call.angles.shared(theta_P)), call.angles.per_sample(theta_P, x_BF)
    return lambda: call.run(begun, per_sample_BS)


def renewed(case: dict, theta_P: Array, x_BF: Array, weights_M: Array) -> Step:
    """The first call has the angles given, those after it others near them."""
    call = KernelCall(case, len(theta_P), weights_M, len(x_BF))
    generator = np.random.default_rng(0)
    ready = []
    for k in range(DIFFERENT_ANGLES):
        theta = theta_P + generator.normal(scale=0.1, size=theta_P.shape) if k else theta_P
        x = generator.permuted(x_BF) if k else x_BF
        ready.append((call.angles.shared(theta), call.angles.per_sample(theta, x)))
    calls = 0

    def step() -> tuple[float, Array]:
        nonlocal calls
        shared_S, per_sample_BS = ready[calls % DIFFERENT_ANGLES]
        calls += 1
        return call.run(call.program.begin_step(shared_S), per_sample_BS)

    return step
