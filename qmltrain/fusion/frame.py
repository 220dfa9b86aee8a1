"""The frame: what CX, X and SWAP become, a linear map over GF(2) from addresses to basis states.

Data never moves. Logical bit q of the state stored at address z is ``parity(z & rows[q]) ^ offset[q]``; flipping
logical bit q alone is ``z ^ masks[q]``, so rows and masks are inverse to each other:
``parity(rows[p] & masks[q]) == (p == q)``.
"""

from __future__ import annotations


class Frame:
    """Starts as the identity: qubit q is address bit q."""

    def __init__(self, n_qubits: int) -> None:
        self.rows = [1 << q for q in range(n_qubits)]
        self.masks = [1 << q for q in range(n_qubits)]
        self.offsets = [0] * n_qubits

    def cx(self, control: int, target: int) -> None:
        """Logical target bit ^= control bit: the target's row takes the control's, the control's mask the target's."""
        self.rows[target] ^= self.rows[control]
        self.masks[control] ^= self.masks[target]
        self.offsets[target] ^= self.offsets[control]

    def x(self, qubit: int) -> None:
        self.offsets[qubit] ^= 1

    def swap(self, a: int, b: int) -> None:
        for column in (self.rows, self.masks, self.offsets):
            column[a], column[b] = column[b], column[a]

    def address_of_zero(self) -> int:
        """Where the basis state lies whose logical bits are all 0."""
        return self.physical_flip(sum(offset << q for q, offset in enumerate(self.offsets)))

    def physical_parity(self, logical_mask: int) -> tuple[int, int]:
        """(mask, sign bit): parity of the logical bits in `logical_mask` is parity(z & mask) ^ sign bit."""
        mask = sign = 0
        while logical_mask:
            q = (logical_mask & -logical_mask).bit_length() - 1
            mask ^= self.rows[q]
            sign ^= self.offsets[q]
            logical_mask &= logical_mask - 1
        return mask, sign

    def physical_flip(self, logical_mask: int) -> int:
        """The address mask that flips exactly the logical bits in `logical_mask`."""
        mask = 0
        while logical_mask:
            q = (logical_mask & -logical_mask).bit_length() - 1
            mask ^= self.masks[q]
            logical_mask &= logical_mask - 1
        return mask
