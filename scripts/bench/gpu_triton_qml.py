#!/usr/bin/env python
"""The same training step as gpu_step.py with triton-qml 0.1.0, the implementation by the authors of the paper.

    python scripts/bench/gpu_triton_qml.py --qubits 12 --layers 100 --batch 256 --segment 10

Needs torch, triton and triton-qml; nothing of qmltrain but the inputs of gpu_step.py. Rotations go through its fused
block kernel (--block qubits at once, 4 at most), CZs through its fused CZ kernel, as in its own examples; --segment
layers run under torch.utils.checkpoint. Prints one JSON line.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from typing import Any

import numpy as np
from gpu_inputs import inputs, parser_of, timed

AXES = ("rx", "ry", "rz")


def training_step(arguments: argparse.Namespace, theta, x, weights) -> Callable[[], tuple[float, Any]]:  # noqa: ANN001
    """A function that returns loss and gradient."""
    import torch
    from torch.utils.checkpoint import checkpoint
    from triton_qml.simulator import FunctionalQuantumSimulator

    n, layers, batch = arguments.qubits, arguments.layers, arguments.batch
    simulator = FunctionalQuantumSimulator(n, device="cuda:0", backend_type="triton", dtype_str="complex64")
    parameters = torch.tensor(theta, dtype=torch.float32, device="cuda:0", requires_grad=True)
    features = torch.tensor(x, dtype=torch.float32, device="cuda:0")
    edges = [[q, (q + 1) % n] for q in range(n)]
    # the first letter is qubit 0
    observables = ["I" * q + "Z" + "I" * (n - 1 - q) for q in range(len(weights))]
    blocks = [range(first, min(first + arguments.block, n)) for first in range(0, n, arguments.block)]
    segment = arguments.segment or layers

    def some_layers(state, first: int, end: int):  # noqa: ANN001, ANN202
        for layer in range(first, end):
            for block in blocks:
                gates = [[axis, q, parameters[layer, q, k]] for q in block for k, axis in enumerate(AXES)]
                state = simulator.apply_1q2q_pauli_rotation_gate_sequence(state, gates)
            state = simulator.apply_fused_cz_gate(state, edges)
        return state

    def chunk_loss(rows):  # noqa: ANN001, ANN202
        state = simulator.create_initial_state(rows.shape[0])
        for q in range(n):
            state = simulator.apply_Ry_gate(state, rows[:, q].contiguous(), q)
        for first in range(0, layers, segment):
            end = min(first + segment, layers)
            if arguments.segment:
                state = checkpoint(some_layers, state, first, end, use_reentrant=False)
            else:
                state = some_layers(state, first, end)
        values = [float(w) * simulator.calc_exp_val(state, p) for w, p in zip(weights, observables, strict=True)]
        return sum(values).sum() / batch

    def step() -> tuple[float, Any]:
        parameters.grad = None
        total = 0.0
        for rows in features.split(arguments.chunk or batch):
            loss = chunk_loss(rows)
            loss.backward()
            total += loss.item()
        torch.cuda.synchronize()
        return total, parameters.grad.detach().cpu().numpy()

    return step


def main() -> None:
    parser = parser_of(__doc__, chunk=64)
    parser.add_argument("--block", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    theta, x, weights = inputs(arguments.qubits, arguments.layers, arguments.batch, arguments.seed)
    import torch

    step = training_step(arguments, theta, x, weights)
    first, times, loss, gradient = timed(step, arguments.repeats - 1)
    seconds = statistics.median(times) if times else first
    result = {
        "tool": "triton-qml",
        "gpu": torch.cuda.get_device_name(),
        **{name: getattr(arguments, name) for name in ("qubits", "layers", "batch", "block", "segment", "chunk")},
        "first_s": first,
        "step_s": seconds,
        "samples_per_s": arguments.batch / seconds,
        "loss": loss,
        "grad_norm": float(np.linalg.norm(gradient)),
        "peak_gib": torch.cuda.max_memory_allocated() / 2**30,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
