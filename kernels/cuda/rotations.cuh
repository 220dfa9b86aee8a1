// rotations.cuh - RY on the four register bits of a thread and the sums their gradients need.
// brings: register_index, rotate, pair_sums, z_sums, reduce_twelve
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

// sums[3R] = Im<bra|X|psi>, sums[3R + 1] = Im<bra|Y|psi> of this thread's amplitudes, X and Y on register bit R.
template <int R> __device__ __forceinline__ void pair_sums(const Complex* psi, const Complex* bra, Real* sums) {
  Real x = 0, y = 0;
#pragma unroll
  for (int i = 0; i < 8; ++i) {
    const int zero = register_index<R>(i), one = zero | 1 << R;
    const Complex p0 = psi[zero], p1 = psi[one], b0 = bra[zero], b1 = bra[one];
    x = multiply_add(b0.x, p1.y, multiply_add(-b0.y, p1.x, multiply_add(b1.x, p0.y, multiply_add(-b1.y, p0.x, x))));
    y = multiply_add(-b0.x, p1.x, multiply_add(-b0.y, p1.y, multiply_add(b1.x, p0.x, multiply_add(b1.y, p0.y, y))));
  }
  sums[3 * R] = x;
  sums[3 * R + 1] = y;
}

// sums[3R + 2] = Im<bra|Z|psi> of all four register bits, by one tree over w = Im(conj(bra) psi).
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
  for (int r = 0; r < 4; ++r) sums[3 * r + 2] = multiply_add(Real(-2), ones[r], both[0]);
}

// Twelve sums over a full warp in 18 shuffles, in a fixed order: lanes 8r .. 8r+7 end with sums[0..2] of register
// bit r.
__device__ __forceinline__ void reduce_twelve(Real* sums, int lane) {
  const bool upper = lane & 16, odd = lane & 8;
#pragma unroll
  for (int i = 0; i < 6; ++i) {
    const Real send = upper ? sums[i] : sums[i + 6], keep = upper ? sums[i + 6] : sums[i];
    sums[i] = keep + __shfl_xor_sync(~0u, send, 16);
  }
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    const Real send = odd ? sums[i] : sums[i + 3], keep = odd ? sums[i + 3] : sums[i];
    sums[i] = keep + __shfl_xor_sync(~0u, send, 8);
  }
#pragma unroll
  for (int step = 4; step; step >>= 1)
#pragma unroll
    for (int i = 0; i < 3; ++i) sums[i] += __shfl_xor_sync(~0u, sums[i], step);
}
