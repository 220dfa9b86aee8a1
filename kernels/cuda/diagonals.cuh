// diagonals.cuh - phases on the 16 amplitudes of a thread.
// brings: sign_bits, apply_table, walsh_hadamard, apply_phases
#pragma once
#include "portable.cuh"

// Signs of a set of CZ-like factors (-1)^{u v} as 16 bits, one a register index; `offset` is the address of register 0.
// pattern: {pairs, register-register bits, 4 masks: parity with the address flips the bits of register r, then
// (shift, mask) of pairs of address bits `shift` apart}. All ring edges outside the registers cost one popcount.
__device__ __forceinline__ unsigned sign_bits(const int* __restrict__ pattern, unsigned offset) {
  unsigned both = 0;
#pragma unroll 1
  for (int i = 0; i < __ldg(pattern); ++i)
    both ^= offset & (offset >> __ldg(pattern + 6 + 2 * i)) & (unsigned)__ldg(pattern + 7 + 2 * i);
  unsigned bits = (unsigned)__ldg(pattern + 1) ^ (0u - parity(both));
  bits ^= (0u - parity(offset & __ldg(pattern + 2))) & 0xAAAAu;
  bits ^= (0u - parity(offset & __ldg(pattern + 3))) & 0xCCCCu;
  bits ^= (0u - parity(offset & __ldg(pattern + 4))) & 0xF0F0u;
  bits ^= (0u - parity(offset & __ldg(pattern + 5))) & 0xFF00u;
  return bits;
}

// amplitude *= (-1)^{sign} * thread factor * register factor; the inverse takes the conjugate.
template <bool BACKWARD>
__device__ __forceinline__ void apply_table(Complex* psi, Complex* bra, Complex thread_factor,
                                            const Complex* __restrict__ registers, unsigned signs) {
#pragma unroll
  for (int j = 0; j < 16; ++j) {
    Complex factor = thread_factor;
    if (signs >> j & 1) {
      factor.x = -factor.x;
      factor.y = -factor.y;
    }
    factor = times(factor, __ldg(registers + j));
    if (BACKWARD) factor.y = -factor.y;
    psi[j] = times(factor, psi[j]);
    if (BACKWARD) bra[j] = times(factor, bra[j]);
  }
}

// In place: out[j] = sum_s (-1)^parity(j & s) in[s].
__device__ __forceinline__ void walsh_hadamard(Real* values) {
#pragma unroll
  for (int half = 1; half < 16; half <<= 1)
#pragma unroll
    for (int j = 0; j < 16; ++j)
      if (!(j & half)) {
        const Real a = values[j], b = values[j | half];
        values[j] = a + b;
        values[j | half] = a - b;
      }
}

// amplitude *= exp(-i pi cycles[j]); the inverse takes the conjugate.
template <bool BACKWARD>
__device__ __forceinline__ void apply_phases(Complex* psi, Complex* bra, const Real* cycles) {
#pragma unroll
  for (int j = 0; j < 16; ++j) {
    Complex factor;
    sincos_pi(cycles[j], &factor.y, &factor.x);
    if (!BACKWARD) factor.y = -factor.y;
    psi[j] = times(factor, psi[j]);
    if (BACKWARD) bra[j] = times(factor, bra[j]);
  }
}
