// diagonals.cuh - phases on the 16 amplitudes of a thread.
// brings: SignBits, sign_bits, RATIOS, JOINT, apply_table, apply_joint, walsh_hadamard, apply_phases
#pragma once
#include "portable.cuh"

// Signs of a set of CZ-like factors (-1)^{u v}, in bit 31: of a thread, of register bit r where it is set, and of
// register bits r and r + 1 where both are.
struct SignBits {
  unsigned thread, one[4], both[3];
};

// pattern: {both[3], further shifts}, {4 masks: parity with the address is one[r]}, {shift, mask, shift, mask} of pairs
// of address bits `shift` apart, then further {shift, mask}. `offset` is the address of register 0. All ring edges
// outside the registers are two shifts.
__device__ __forceinline__ SignBits sign_bits(const int* __restrict__ pattern, unsigned offset) {
  const int4 both = load_four(pattern), one = load_four(pattern + 4), shifts = load_four(pattern + 8);
  unsigned pairs = offset & (offset >> shifts.x) & (unsigned)shifts.y;
  pairs ^= offset & (offset >> shifts.z) & (unsigned)shifts.w;
#pragma unroll 1
  for (int i = 0; i < both.w; ++i)
    pairs ^= offset & (offset >> __ldg(pattern + 12 + 2 * i)) & (unsigned)__ldg(pattern + 13 + 2 * i);
  SignBits signs;
  signs.thread = (unsigned)__popc(pairs) << 31;
  signs.one[0] = (unsigned)__popc(offset & one.x) << 31;
  signs.one[1] = (unsigned)__popc(offset & one.y) << 31;
  signs.one[2] = (unsigned)__popc(offset & one.z) << 31;
  signs.one[3] = (unsigned)__popc(offset & one.w) << 31;
  signs.both[0] = (unsigned)both.x;
  signs.both[1] = (unsigned)both.y;
  signs.both[2] = (unsigned)both.z;
  return signs;
}

// A table of a shared diagonal: a factor for each thread, then RATIOS factors of the register bits, one where the bit
// is set, then JOINT factors of all register bits together, for what is no product over them.
constexpr int RATIOS = 4, JOINT = 16;

__device__ __forceinline__ Complex with_sign(Complex value, unsigned sign) {
  value.x = with_sign(value.x, sign);
  value.y = with_sign(value.y, sign);
  return value;
}

// amplitudes J and those with bits 0..R as well: *= factor * product of the ratios of their bits, 2^(R+1) - 1 products.
// ratio[r][b]: of register bit r where bit r + 1 is b.
template <int R, int J, bool BACKWARD, bool TWO>
__device__ __forceinline__ void apply_tree(Complex* psi, Complex* other, Complex factor, const Complex (*ratio)[2]) {
  if constexpr (R < 0) {
    multiply<BACKWARD>(psi[J], factor);
    if (TWO) multiply<BACKWARD>(other[J], factor);
  } else {
    apply_tree<R - 1, J, BACKWARD, TWO>(psi, other, factor, ratio);
    apply_tree<R - 1, J | 1 << R, BACKWARD, TWO>(psi, other, times(factor, ratio[R][J >> (R + 1) & 1]), ratio);
  }
}

// amplitude *= (-1)^{sign} * thread factor * product of the ratios of its register bits; the inverse takes the
// conjugate.
// `start`: of the pattern of the signs, see sign_bits; negative without any.
template <bool BACKWARD, bool TWO>
__device__ __forceinline__ void apply_table(Complex* psi, Complex* other, Complex factor, const Complex* ratios,
                                            const int* patterns, int start, unsigned offset) {
  Complex found[RATIOS], ratio[RATIOS][2];
  load_four(ratios, found);
  unsigned both[3] = {0, 0, 0};
  if (start >= 0) {
    const SignBits signs = sign_bits(patterns + start, offset);
    factor = with_sign(factor, signs.thread);
#pragma unroll
    for (int r = 0; r < RATIOS; ++r) found[r] = with_sign(found[r], signs.one[r]);
#pragma unroll
    for (int r = 0; r < 3; ++r) both[r] = signs.both[r];
  }
#pragma unroll
  for (int r = 0; r < RATIOS; ++r) {
    ratio[r][0] = found[r];
    ratio[r][1] = r < 3 ? with_sign(found[r], both[r]) : found[r];
  }
  apply_tree<3, 0, BACKWARD, TWO>(psi, other, factor, ratio);
}

// amplitude j *= joint[j]; the inverse takes the conjugate.
template <bool BACKWARD, bool TWO>
__device__ __forceinline__ void apply_joint(Complex* psi, Complex* other, const Complex* __restrict__ joint) {
#pragma unroll
  for (int j = 0; j < JOINT; j += 4) {
    Complex factor[4];
    load_four(joint + j, factor);
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      multiply<BACKWARD>(psi[j + i], factor[i]);
      if (TWO) multiply<BACKWARD>(other[j + i], factor[i]);
    }
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
    multiply<!BACKWARD>(psi[j], factor);
    if (BACKWARD) multiply<!BACKWARD>(bra[j], factor);
  }
}
