"""CZ signs in a block basis as the numbers that kernels/cuda/diagonals.cuh reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from qmltrain.engines.cuda.tiling.block_basis import REGISTER_BITS, BlockBasis
from qmltrain.engines.cuda.tiling.items import Sign

ALIGN = 4  # integers that are read at once
_BIT_31 = -(1 << 31)
_REGISTER_PATTERN = (0xAAAA, 0xCCCC, 0xF0F0, 0xFF00)


@dataclass(frozen=True)
class SignPattern:
    """`numbers`: what sign_bits in kernels/cuda/diagonals.cuh reads. `joint`: the signs left, a bit for each of the 16
    register indices, which no sign of a register bit or of two neighbours can say."""

    numbers: tuple[int, ...]
    joint: int


def sign_pattern(signs: Sequence[Sign], basis: BlockBasis) -> SignPattern:
    """Bit a of an address is its value at register 0 (x_a) xor a parity of registers, so u v = x_a x_b + x_a r_b +
    x_b r_a + r_a r_b modulo 2: signs of threads, of register bits in a thread, and of registers alone."""
    joint = 0
    one = [0] * REGISTER_BITS
    shifts: dict[int, int] = {}
    moving = 0
    for vector in basis.vectors[REGISTER_BITS:]:
        moving |= vector
    for sign in signs:
        registers = [basis.coordinates(1 << bit) & 15 for bit in (sign.a, sign.b)]
        joint ^= _register_parity(registers[0]) & _register_parity(registers[1])
        for mine, bit in ((registers[0], sign.b), (registers[1], sign.a)):
            for register in range(REGISTER_BITS):
                if mine >> register & 1 and moving >> bit & 1:
                    one[register] ^= 1 << bit
        if moving >> sign.a & moving >> sign.b & 1:
            distance = abs(sign.a - sign.b)
            shifts[distance] = shifts.get(distance, 0) ^ 1 << min(sign.a, sign.b)
    both = []
    for register in range(REGISTER_BITS - 1):
        pair, alone = 3 << register, (1 << register, 2 << register)
        both.append((joint >> pair ^ joint >> alone[0] ^ joint >> alone[1]) & 1)
    for register, has in enumerate(both):
        if has:
            joint ^= _REGISTER_PATTERN[register] & _REGISTER_PATTERN[register + 1]
    pairs = [(shift, mask) for shift, mask in sorted(shifts.items()) if mask]
    pairs += [(0, 0)] * (2 - len(pairs))
    numbers = [*(_BIT_31 * has for has in both), len(pairs) - 2, *one, *(value for pair in pairs for value in pair)]
    return SignPattern(tuple(numbers), joint)


def _register_parity(registers: int) -> int:
    """16 bits: parity(j & registers) for register index j."""
    bits = 0
    for register in range(REGISTER_BITS):
        if registers >> register & 1:
            bits ^= _REGISTER_PATTERN[register]
    return bits
