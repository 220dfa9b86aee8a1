"""CZ signs in a block basis as the numbers that kernels/cuda/diagonals.cuh reads."""

from __future__ import annotations

from collections.abc import Sequence

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS, BlockBasis
from qmltrain.engines.cuda.tiling.items import Sign

_REGISTER_PATTERN = (0xAAAA, 0xCCCC, 0xF0F0, 0xFF00)


def sign_pattern(signs: Sequence[Sign], basis: BlockBasis) -> list[int]:
    """What kernels/cuda/diagonals.cuh sign_bits reads. Bit a of an address is its value at register 0 (x_a) xor a
    parity of registers, so u v = x_a x_b + x_a r_b + x_b r_a + r_a r_b modulo 2."""
    fixed = 0
    neighbours = [0] * REGISTER_BITS
    shifts: dict[int, int] = {}
    moving = 0
    for vector in basis.vectors[REGISTER_BITS:]:
        moving |= vector
    for sign in signs:
        registers = [basis.coordinates(1 << bit) & 15 for bit in (sign.a, sign.b)]
        fixed ^= _register_parity(registers[0]) & _register_parity(registers[1])
        for mine, bit in ((registers[0], sign.b), (registers[1], sign.a)):
            for register in range(REGISTER_BITS):
                if mine >> register & 1 and moving >> bit & 1:
                    neighbours[register] ^= 1 << bit
        if moving >> sign.a & moving >> sign.b & 1:
            distance = abs(sign.a - sign.b)
            shifts[distance] = shifts.get(distance, 0) ^ 1 << min(sign.a, sign.b)
    pairs = [value for shift, mask in sorted(shifts.items()) if mask for value in (shift, mask)]
    return [len(pairs) // 2, fixed, *neighbours, *pairs]


def _register_parity(registers: int) -> int:
    """16 bits: parity(j & registers) for register index j."""
    bits = 0
    for register in range(REGISTER_BITS):
        if registers >> register & 1:
            bits ^= _REGISTER_PATTERN[register]
    return bits
