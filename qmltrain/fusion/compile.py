"""compile_plan: Circuit and observables to Plan, in one call."""

from __future__ import annotations

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.lowering import lower
from qmltrain.fusion.plan import PhysicalString, Plan, Readout


def compile_plan(circuit: Circuit, strings: tuple[PauliString, ...], *, sample_angles: bool = False) -> Plan:
    """The Plan of `circuit`, measured in `strings`. Deterministic; 20 qubits x 1,000 layers take a few seconds.
    `sample_angles` as in Plan."""
    lowered = lower(circuit, merges=sample_angles)
    return Plan(
        n_qubits=circuit.n_qubits,
        amplitude_encoded=circuit.amplitude_encoded,
        gate_runs=lowered.gate_runs,
        moments=lowered.moments,
        strings=tuple(physical_string(string, lowered.frame) for string in strings),
        readout=readout(lowered.frame),
        n_shared_slots=len(circuit.slots.shared),
        n_per_sample_slots=len(circuit.slots.per_sample),
        sample_angles=sample_angles,
    )


def readout(frame: Frame) -> Readout:
    """Where basis states lie in this frame: flipping bit q of an index moves by its mask."""
    return Readout(frame.address_of_zero(), tuple(frame.masks))


def physical_string(string: PauliString, frame: Frame) -> PhysicalString:
    """A logical Pauli string as address masks: flips through the masks, parities through the rows."""
    z_mask, flipped = frame.physical_parity(string.z_mask)
    return PhysicalString(
        x_mask=frame.physical_flip(string.x_mask),
        z_mask=z_mask,
        sign=-1 if flipped else 1,
        n_y=(string.x_mask & string.z_mask).bit_count(),
    )
