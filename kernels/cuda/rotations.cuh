// rotations.cuh - RY on the four register bits of a thread and the sums their gradients need.
// brings: register_index, rotate, x_sum, y_sum, z_sums, warp_sums
#pragma once
#include "portable.cuh"

// The pair i = 0..7 of register bit R: the index with bit R zero.
template <int R> __device__ __forceinline__ constexpr int register_index(int i) {
  return ((i >> R) << (R + 1)) | (i & ((1 << R) - 1));
}

// RY(beta) = [[c, -s], [s, c]] as three shears in place, a = tan(beta/4), b = sin(beta/2), |beta| <= pi:
//   [[1, -a], [0, 1]] [[1, 0], [b, 1]] [[1, -a], [0, 1]]
// Three multiply-adds per amplitude, no scale, no register moves; the inverse is (-a, -b).
template <int R> __device__ __forceinline__ void rotate(Complex* state, Real a, Real b) {
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    Complex &zero = state[register_index<R>(i)], &one = state[register_index<R>(i) | 1 << R];
    zero.x = multiply_add(-a, one.x, zero.x);
    zero.y = multiply_add(-a, one.y, zero.y);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    Complex &zero = state[register_index<R>(i)], &one = state[register_index<R>(i) | 1 << R];
    one.x = multiply_add(b, zero.x, one.x);
    one.y = multiply_add(b, zero.y, one.y);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    Complex &zero = state[register_index<R>(i)], &one = state[register_index<R>(i) | 1 << R];
    zero.x = multiply_add(-a, one.x, zero.x);
    zero.y = multiply_add(-a, one.y, zero.y);
  }
}

// Im<bra|X|psi> and Im<bra|Y|psi> of this thread's amplitudes, X and Y on register bit R. Two chains of multiply-adds
// each: one would wait for itself.
template <int R> __device__ __forceinline__ Real x_sum(const Complex* psi, const Complex* bra) {
  Real plus = 0, minus = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int zero = register_index<R>(i), one = zero | 1 << R;
    plus = multiply_add(bra[zero].x, psi[one].y, multiply_add(bra[one].x, psi[zero].y, plus));
    minus = multiply_add(bra[zero].y, psi[one].x, multiply_add(bra[one].y, psi[zero].x, minus));
  }
  return plus - minus;
}
template <int R> __device__ __forceinline__ Real y_sum(const Complex* psi, const Complex* bra) {
  Real plus = 0, minus = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int zero = register_index<R>(i), one = zero | 1 << R;
    plus = multiply_add(bra[one].x, psi[zero].x, multiply_add(bra[one].y, psi[zero].y, plus));
    minus = multiply_add(bra[zero].x, psi[one].x, multiply_add(bra[zero].y, psi[one].y, minus));
  }
  return plus - minus;
}

// sums[r] = Im<bra|Z|psi> of all four register bits, by one tree over w = Im(conj(bra) psi).
__device__ __forceinline__ void z_sums(const Complex* psi, const Complex* bra, Real* sums) {
  Real both[8], set[8];  // sums over pairs of bit r; set: those with the bit equal to one
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    set[i] = w_of(bra[2 * i + 1], psi[2 * i + 1]);
    both[i] = multiply_add(bra[2 * i].x, psi[2 * i].y, multiply_add(-bra[2 * i].y, psi[2 * i].x, set[i]));
  }
  Real ones[4];
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    ones[r] = set[0];
#pragma unroll
    for (int i = 1; i < (8 >> r); ++i) ones[r] += set[i];
#pragma unroll
    for (int i = 0; i < (4 >> r); ++i) {
      set[i] = both[2 * i + 1];
      both[i] = both[2 * i] + both[2 * i + 1];
    }
  }
#pragma unroll
  for (int r = 0; r < 4; ++r) sums[r] = multiply_add(Real(-2), ones[r], both[0]);
}

// Four sums over a full warp in a fixed order: lanes 8r to 8r + 7 end with sum r. At first a lane gives half of what it
// has and keeps the other half: six shuffles.
__device__ __forceinline__ Real warp_sums(const Real* sums, int lane) {
  const bool upper = lane & 16, odd = lane & 8;
  const Real low = (upper ? sums[2] : sums[0]) + __shfl_xor_sync(~0u, upper ? sums[0] : sums[2], 16);
  const Real high = (upper ? sums[3] : sums[1]) + __shfl_xor_sync(~0u, upper ? sums[1] : sums[3], 16);
  Real sum = (odd ? high : low) + __shfl_xor_sync(~0u, odd ? low : high, 8);
#pragma unroll
  for (int step = 4; step; step >>= 1) sum += __shfl_xor_sync(~0u, sum, step);
  return sum;
}
