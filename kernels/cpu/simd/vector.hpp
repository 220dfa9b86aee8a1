// Vectors of one instruction set: VB bytes wide, everything with internal linkage.
#pragma once
#include "kernels.hpp"

#if defined(__AVX2__) || defined(__SSE2__)
#include <immintrin.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define INLINE_MEMBER inline __attribute__((always_inline))

namespace {

using qmltrain::Offset;

template <class Real> struct Int;
template <> struct Int<float> { using type = std::int32_t; using bits = std::uint32_t; };
template <> struct Int<double> { using type = std::int64_t; using bits = std::uint64_t; };

template <class Real> struct Vector {
  typedef Real type __attribute__((vector_size(VB)));
  typedef typename Int<Real>::type integer __attribute__((vector_size(VB)));
  typedef typename Int<Real>::bits unsigned_integer __attribute__((vector_size(VB)));
  static constexpr int lanes = VB / int(sizeof(Real));
  static constexpr int lane_bits = lanes == 16 ? 4 : lanes == 8 ? 3 : lanes == 4 ? 2 : 1;
};
template <class Real> using Vec = typename Vector<Real>::type;
template <class Real> using VecInt = typename Vector<Real>::integer;
template <class Real> using VecBits = typename Vector<Real>::unsigned_integer;  // wraps around

template <class Real> struct Amp { Vec<Real> re, im; };
template <class Real> using Plane = Vec<Real> Amp<Real>::*;  // &Amp::re or &Amp::im

template <class Real> INLINE Vec<Real> splat(Real s) { return s - Vec<Real>{}; }

// One load into a register: GCC would otherwise read the memory again at each use (17 -> 14.5 multiply-add slots in
// the backward pair).
template <class V> INLINE V load(const V& m) {
  V v = m;
#if (VB == 64 && defined(__AVX512F__)) || (VB == 32 && defined(__AVX2__)) || (VB == 16 && defined(__SSE2__))
  asm("" : "+v"(v));
#endif
  return v;
}

// What is computed up to here does not become part of a fused multiply-add.
template <class V> INLINE void keep_apart([[maybe_unused]] V& v) {
#if (VB == 64 && defined(__AVX512F__)) || (VB == 32 && defined(__AVX2__))
  asm("" : "+v"(v));
#elif defined(__aarch64__)
  asm("" : "+w"(v));
#endif
}

template <class Real> INLINE Vec<Real> load_vector(const Real* p) { return *reinterpret_cast<const Vec<Real>*>(p); }
template <class Real> INLINE void store_vector(Real* p, Vec<Real> v) { *reinterpret_cast<Vec<Real>*>(p) = v; }
template <class Real> INLINE void add_to(Real* p, Vec<Real> v) { *reinterpret_cast<Vec<Real>*>(p) += v; }
template <class Real> INLINE void give(Real* p, Vec<Real> v, bool fresh) {
  if (fresh) store_vector(p, v);
  else add_to(p, v);
}
template <class Real> INLINE const Amp<Real>* row(const char* p, Offset o) {
  return reinterpret_cast<const Amp<Real>*>(p + o);
}
template <class Real> INLINE Amp<Real>* row(char* p, Offset o) { return reinterpret_cast<Amp<Real>*>(p + o); }
template <class Real> INLINE const Vec<Real>* plane(const char* p, Offset o) {
  return reinterpret_cast<const Vec<Real>*>(p + o);
}
template <class Real> INLINE Vec<Real>* plane(char* p, Offset o) { return reinterpret_cast<Vec<Real>*>(p + o); }

// (-1)^parity(lane & mask) and the 32-bit indices i ^ m
template <class Real> struct LaneTables {
  alignas(VB) Real sign[Vector<Real>::lanes][Vector<Real>::lanes];
  alignas(VB) std::int32_t exchange[VB / 4][VB / 4];
  alignas(VB) typename Int<Real>::bits odd[4][Vector<Real>::lanes];  // all ones in the lanes with bit q
  constexpr LaneTables() : sign(), exchange(), odd() {
    for (int q = 0; q < 4; q++)
      for (int i = 0; i < Vector<Real>::lanes; i++) odd[q][i] = i >> q & 1 ? ~typename Int<Real>::bits(0) : 0;
    for (int m = 0; m < Vector<Real>::lanes; m++)
      for (int i = 0; i < Vector<Real>::lanes; i++) {
        int bits = i & m, p = 0;
        for (; bits; bits &= bits - 1) p ^= 1;
        sign[m][i] = p ? Real(-1) : Real(1);
      }
    for (int m = 0; m < VB / 4; m++)
      for (int i = 0; i < VB / 4; i++) exchange[m][i] = i ^ m;
  }
};
template <class Real> constexpr LaneTables<Real> kLanes{};
template <class Real> INLINE Vec<Real> lane_sign(int mask) { return load_vector<Real>(kLanes<Real>.sign[mask]); }

// Lane i takes lane i ^ mask.
template <class Real, class V> INLINE V xor_lanes(V v, int mask) {
  static_assert(sizeof(V) == VB);
  const int m = mask * int(sizeof(Real) / 4);
#if VB == 64 && defined(__AVX512F__)
  return (V)_mm512_permutexvar_epi32(*(const __m512i*)kLanes<Real>.exchange[m], (__m512i)v);
#elif VB == 32 && defined(__AVX2__)
  return (V)_mm256_permutevar8x32_epi32((__m256i)v, *(const __m256i*)kLanes<Real>.exchange[m]);
#elif VB == 16 && defined(__SSE2__)
  switch (m) {
    case 1: return (V)_mm_shuffle_epi32((__m128i)v, 0xB1);
    case 2: return (V)_mm_shuffle_epi32((__m128i)v, 0x4E);
    case 3: return (V)_mm_shuffle_epi32((__m128i)v, 0x1B);
    default: return v;
  }
#else
  V r = v;
  for (int i = 0; i < Vector<Real>::lanes; i++) r[i] = v[i ^ mask];
  return r;
#endif
}

// Lane i takes lane i ^ 2^Q. Within 128 bits that is a shuffle that runs beside multiply-adds; one of any pattern does
// not.
template <class Real, int Q> INLINE Vec<Real> xor_lane_bit(Vec<Real> v) {
  [[maybe_unused]] constexpr int bit = sizeof(Real) == 4 ? Q : Q + 1;  // of the index of a 32-bit number
#if VB == 64 && defined(__AVX512F__)
  const __m512 x = (__m512)v;
  if constexpr (bit == 0) return (Vec<Real>)_mm512_permute_ps(x, 0xB1);
  else if constexpr (bit == 1) return (Vec<Real>)_mm512_permute_ps(x, 0x4E);
  else if constexpr (bit == 2) return (Vec<Real>)_mm512_shuffle_f32x4(x, x, 0xB1);
  else return (Vec<Real>)_mm512_shuffle_f32x4(x, x, 0x4E);
#elif VB == 32 && defined(__AVX2__)
  const __m256 x = (__m256)v;
  if constexpr (bit == 0) return (Vec<Real>)_mm256_permute_ps(x, 0xB1);
  else if constexpr (bit == 1) return (Vec<Real>)_mm256_permute_ps(x, 0x4E);
  else return (Vec<Real>)_mm256_permute2f128_ps(x, x, 1);
#else
  return xor_lanes<Real>(v, 1 << Q);
#endif
}

INLINE int parity(std::size_t bits) { return __builtin_parityll(bits); }

}  // namespace
