#!/usr/bin/env python
"""The training step of gpu_step.py in PyTorch as a user would write it by hand, one CUDA graph per step.

    python scripts/bench/gpu_torch.py --qubits 12 --layers 100 --batch 1000

The rotations of a layer are Kronecker products over groups of --group qubits, applied as matrix products; CZs on a ring
are one vector of signs; gradients are autograd's. --segment layers run under torch.utils.checkpoint; --chunk samples at
a time. Needs torch; nothing of qmltrain but the inputs of gpu_step.py. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_inputs import inputs, parser_of, timed


def signs_of_ring(n_qubits: int) -> np.ndarray:
    """(2^n,) of 1 and -1: CZ on every pair of neighbours of a ring."""
    bits = np.arange(1 << n_qubits)[:, None] >> np.arange(n_qubits) & 1
    return 1.0 - 2.0 * ((bits * np.roll(bits, -1, axis=1)).sum(axis=1) % 2)


def signs_of_z(n_qubits: int, count: int) -> np.ndarray:
    """(2^n, count): Z on qubit j."""
    return 1.0 - 2.0 * (np.arange(1 << n_qubits)[:, None] >> np.arange(count) & 1)


class Circuit:
    """RY(x) on every qubit, layers of RX RY RZ and CZs on a ring, loss = mean_b sum_j w_j <Z_j>."""

    def __init__(self, torch: Any, n_qubits: int, weights: np.ndarray, group: int, segment: int, device: str) -> None:
        self.torch, self.n, self.segment = torch, n_qubits, segment
        self.groups = [range(first, min(first + group, n_qubits)) for first in range(0, n_qubits, group)]
        real = {"dtype": torch.float32, "device": device}
        self.cz = torch.tensor(signs_of_ring(n_qubits), **real)
        self.z = torch.tensor(signs_of_z(n_qubits, len(weights)) @ weights, **real)

    def rotations(self, theta_n3: Any) -> Any:
        """(n, 2, 2) complex: RZ RY RX of every qubit of a layer."""
        torch = self.torch
        half = theta_n3 / 2
        (cx, cy, _), (sx, sy, _) = half.cos().unbind(-1), half.sin().unbind(-1)
        phase = torch.polar(torch.ones_like(half[:, 2]), -half[:, 2])
        a, b = torch.complex(cy * cx, sy * sx), torch.complex(-sy * cx, -cy * sx)  # first row of RY RX
        rows = [torch.stack([phase * a, phase * b], -1), torch.stack([-(phase * b).conj(), (phase * a).conj()], -1)]
        return torch.stack(rows, -2)

    def layer(self, state_BN: Any, theta_n3: Any) -> Any:
        torch, batch = self.torch, state_BN.shape[0]
        matrices = self.rotations(theta_n3)
        for qubits in self.groups:
            product = matrices[qubits[-1]]
            for q in reversed(qubits[:-1]):  # the lowest qubit is the last factor
                product = torch.kron(product, matrices[q])
            state_BN = (product @ state_BN.reshape(-1, 1 << len(qubits), 1 << qubits[0])).reshape(batch, -1)
        return state_BN * self.cz

    def layers(self, state_BN: Any, theta_Ln3: Any) -> Any:
        for theta_n3 in theta_Ln3:
            state_BN = self.layer(state_BN, theta_n3)
        return state_BN

    def loss(self, theta_Ln3: Any, x_Bn: Any) -> Any:
        """Summed over the samples."""
        torch, batch = self.torch, x_Bn.shape[0]
        state = torch.ones((batch, 1), dtype=torch.float32, device=x_Bn.device)
        for q in range(self.n):
            one = torch.stack([(x_Bn[:, q] / 2).cos(), (x_Bn[:, q] / 2).sin()], -1)
            state = (one[:, :, None] * state[:, None, :]).reshape(batch, -1)
        state = state.to(torch.complex64)
        segment = self.segment or len(theta_Ln3)
        for first in range(0, len(theta_Ln3), segment):
            part = theta_Ln3[first : first + segment]
            if self.segment:
                run = torch.utils.checkpoint.checkpoint
                state = run(self.layers, state, part, use_reentrant=False, preserve_rng_state=False)
            else:
                state = self.layers(state, part)
        return ((state.real.square() + state.imag.square()) @ self.z).sum()


def training_step(arguments: argparse.Namespace, torch: Any) -> Callable[[], tuple[float, np.ndarray]]:
    """A function that gives loss and gradient; on a GPU a replayed graph."""
    theta, x, weights = inputs(arguments.qubits, arguments.layers, arguments.batch, arguments.seed)
    device = arguments.device
    circuit = Circuit(torch, arguments.qubits, weights, arguments.group, arguments.segment, device)
    parameters = torch.tensor(theta, dtype=torch.float32, device=device, requires_grad=True)
    features = torch.tensor(x, dtype=torch.float32, device=device)
    parameters.grad = torch.zeros_like(parameters)
    total = torch.zeros((), dtype=torch.float32, device=device)

    def work() -> None:
        parameters.grad.zero_()
        total.zero_()
        for rows in features.split(arguments.chunk or arguments.batch):
            loss = circuit.loss(parameters, rows) / arguments.batch
            loss.backward()
            total.add_(loss.detach())

    replay = work
    if device == "cuda":
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):
                work()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        replay = graph.replay

    def step() -> tuple[float, np.ndarray]:
        replay()
        return float(total), parameters.grad.cpu().numpy()

    return step


def main() -> None:
    parser = parser_of(__doc__, chunk=0)
    parser.add_argument("--group", type=int, default=4, help="qubits of a Kronecker product")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    arguments = parser.parse_args()
    import torch
    import torch.utils.checkpoint

    first, times, loss, gradient = timed(training_step(arguments, torch), arguments.repeats)
    seconds = statistics.median(times)
    on_gpu = arguments.device == "cuda"
    result = {
        "tool": "PyTorch by hand",
        "gpu": torch.cuda.get_device_name() if on_gpu else "none",
        "torch": torch.__version__,
        **{name: getattr(arguments, name) for name in ("qubits", "layers", "batch", "group", "segment", "chunk")},
        "first_s": first,
        "step_s": seconds,
        "samples_per_s": arguments.batch / seconds,
        "loss": loss,
        "grad_norm": float(np.linalg.norm(gradient)),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30 if on_gpu else None,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
