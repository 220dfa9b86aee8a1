"""Tapes of an execution: with results on the host, and with arrays of the device."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from qmltrain.engines.cuda.execution import Execution, Sums
from qmltrain.engines.cuda.schedule import gather_slots
from qmltrain.engines.protocol import Array, Backward, FloatArray


class HostTape:
    """`qmltrain.engines.protocol.Tape`: waits for its results and brings them to the host."""

    def __init__(self, execution: Execution, slot_gradient: Callable[[FloatArray], FloatArray]) -> None:
        """`slot_gradient` of the step: raw sums to gradients of the shared slots."""
        self._execution, self._slot_gradient = execution, slot_gradient
        plan = execution.plan
        shape = (execution.batch, plan.vectors.n_strings)
        self.expectations_BM: FloatArray = plan.device.read(execution.expectations, np.float64, shape)

    def backward(self, cotangent_BM: FloatArray, *, per_sample_shared: bool = False, initial: bool = False) -> Backward:
        execution, plan = self._execution, self._execution.plan
        cotangent = plan.device.upload(np.ascontiguousarray(cotangent_BM, dtype=np.float64))
        sums = execution.backward(cotangent, per_sample_shared)
        flat = plan.device.read(sums.result, np.float64, (sums.ends[-1],))
        blocks, by_sample, shared, drift = (
            part.reshape(shape)
            for part, shape in zip(np.split(flat, sums.ends[1:-1]), sums.parts.values(), strict=True)
        )
        states = None
        if initial:
            shape = (execution.samples, 1 << plan.schedule.address_bits)
            states = plan.device.read(execution.bra, np.dtype(plan.precision), shape)
            states = states[: execution.batch, : 1 << plan.schedule.plan.n_qubits]
        return Backward(
            block_sums_GR=blocks,
            per_sample_BS=gather_slots(np, by_sample, plan.slot_columns),
            drift_B=np.sqrt(drift[:, 0]) * plan.drift_factor,
            shared_BS=self._slot_gradient(shared) if per_sample_shared else None,
            initial_BN=states,
        )


def states(execution: Execution) -> NDArray[np.complexfloating]:
    """(batch, 2^n) final amplitudes on the host, in the order of the basis states."""
    plan = execution.plan
    assert execution.psi is not None
    shape = (execution.samples, 1 << plan.schedule.address_bits)
    psi = plan.device.read(execution.psi, np.dtype(plan.precision), shape)
    return np.take(psi[: execution.batch], plan.schedule.readout.addresses(), axis=1)


class DeviceTape:
    """`qmltrain.engines.protocol.Tape` on arrays of the device; nothing waits."""

    def __init__(self, execution: Execution) -> None:
        self._execution = execution
        plan, shape = execution.plan, (execution.batch, execution.plan.vectors.n_strings)
        self.expectations_BM: Array = plan.device.array(execution.expectations, np.float64, shape)

    def backward(self, cotangent_BM: Array, *, initial: bool = False) -> DeviceBackward:
        execution, plan = self._execution, self._execution.plan
        device = plan.device
        cotangent = device.memory_of(device.arrays.asarray(cotangent_BM, dtype=np.float64))
        back = DeviceBackward(execution.backward(cotangent))
        if initial:
            shape = (execution.samples, 1 << plan.schedule.address_bits)
            states = device.array(execution.bra, np.dtype(plan.precision), shape)
            back.initial_BN = states[: execution.batch, : 1 << plan.schedule.plan.n_qubits]
        return back


class DeviceBackward:
    """The parts of `qmltrain.engines.protocol.Backward` that training takes, on arrays of the device."""

    def __init__(self, sums: Sums) -> None:
        self._sums, self._plan = sums, sums.plan
        self.initial_BN: Array | None = None
        self.block_sums_GR: Array = self._part("blocks")

    def _part(self, name: str) -> Array:
        return self._plan.device.array(self._sums.views[name], np.float64, self._sums.parts[name])

    @property
    def per_sample_BS(self) -> Array:
        return gather_slots(self._plan.device.arrays, self._part("slots"), self._plan.device_slot_columns)

    @property
    def drift_B(self) -> Array:
        return self._plan.device.arrays.sqrt(self._part("drift")[:, 0]) * self._plan.drift_factor
