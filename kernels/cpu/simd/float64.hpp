// Vectors of float64: what sums, host arithmetic and a training step share.
#pragma once
#include "vector.hpp"

namespace {

constexpr int kDoubles = Vector<double>::lanes;
typedef double Doubles __attribute__((vector_size(VB), aligned(8)));  // not aligned

typedef Vec<double> VD;
typedef VecInt<double> VL;
typedef VecBits<double> VU;

INLINE VD pick(VL mask, VD a, VD b) { return (VD)(((VL)a & mask) | ((VL)b & ~mask)); }
INLINE VD magnitude(VD a) { return (VD)((VL)a & 0x7fffffffffffffffLL); }
INLINE VD root(VD a) {
#if VB == 64 && defined(__AVX512F__)
  return (VD)_mm512_sqrt_pd((__m512d)a);
#elif VB == 32 && defined(__AVX2__)
  return (VD)_mm256_sqrt_pd((__m256d)a);
#else
  for (int i = 0; i < kDoubles; i++) a[i] = __builtin_sqrt(a[i]);
  return a;
#endif
}

INLINE double horizontal(Vec<double> v) {
  for (int m = VB / 16; m; m /= 2) v += xor_lanes<double>(v, m);
  return v[0];
}

// {a0 + a1, a2 + a3, ..., b0 + b1, ...}: log2(lanes) of such steps make of as many vectors as
// lanes the vector of their sums
INLINE Vec<double> add_pairs(Vec<double> a, Vec<double> b) {
#if VB == 64 && defined(__AVX512F__)
  const __m512i even = _mm512_setr_epi64(0, 2, 4, 6, 8, 10, 12, 14), odd = _mm512_setr_epi64(1, 3, 5, 7, 9, 11, 13, 15);
  return (Vec<double>)_mm512_permutex2var_pd((__m512d)a, even, (__m512d)b) +
         (Vec<double>)_mm512_permutex2var_pd((__m512d)a, odd, (__m512d)b);
#elif VB == 32 && defined(__AVX2__)
  return (Vec<double>)_mm256_permute4x64_pd(_mm256_hadd_pd((__m256d)a, (__m256d)b), 0xD8);
#else
  constexpr int n = Vector<double>::lanes;
  Vec<double> r;
  for (int i = 0; i < n / 2; i++) r[i] = a[2 * i] + a[2 * i + 1], r[n / 2 + i] = b[2 * i] + b[2 * i + 1];
  return r;
#endif
}

}  // namespace
