"""compile_plan: Circuit and observables to Plan, in one call."""

from __future__ import annotations

from qmltrain.circuit.circuit import Circuit
from qmltrain.circuit.observables import PauliString
from qmltrain.fusion.frame import Frame
from qmltrain.fusion.lowering import lower
from qmltrain.fusion.passes import schedule
from qmltrain.fusion.plan import PhysicalString, Plan


def compile_plan(circuit: Circuit, strings: tuple[PauliString, ...], *, tile_bits: int = 64, low_bits: int = 0) -> Plan:
    """The Plan of `circuit`, measured in `strings`, for tiles of 2^tile_bits amplitudes.

    `low_bits` address bits are in every tile (contiguous access; the lane bits of a vector engine). Deterministic;
    20 qubits x 1,000 layers take a few seconds.
    """
    lowered = lower(circuit)
    frame = lowered.frame
    flips = sum(offset << q for q, offset in enumerate(frame.offsets))
    return Plan(
        n_qubits=circuit.n_qubits,
        amplitude_encoded=circuit.amplitude_encoded,
        runs=lowered.runs,
        passes=schedule(lowered.steps, circuit.n_qubits, tile_bits, low_bits),
        strings=tuple(physical_string(string, frame) for string in strings),
        source_strings=tuple(strings),
        final_rows=tuple(frame.rows),
        final_flips=flips,
        n_shared_slots=len(circuit.slots.shared),
        n_per_sample_slots=len(circuit.slots.per_sample),
        n_steps=len(lowered.steps) - 1,
        tile_bits=min(tile_bits, circuit.n_qubits),
        low_bits=low_bits,
    )


def physical_string(string: PauliString, frame: Frame) -> PhysicalString:
    """A logical Pauli string as address masks: flips through the masks, parities through the rows."""
    z_mask, flipped = frame.physical_parity(string.z_mask)
    return PhysicalString(
        x_mask=frame.physical_flip(string.x_mask),
        z_mask=z_mask,
        sign=-1 if flipped else 1,
        n_y=(string.x_mask & string.z_mask).bit_count(),
    )
