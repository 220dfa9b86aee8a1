// Rotations in registers: 2^K rows of a coset are loaded, K butterflies done, and the rows stored.
//
// A rotation is real, so the planes of real and imaginary parts are independent. Where 2^(K+1) vectors fit into the
// registers both planes go together (more independent work), else one after the other. All loads of a group precede
// its stores. Rows are found through XOR offsets.
#pragma once
#include "vector.hpp"

namespace {

using qmltrain::kCosSin, qmltrain::kFactored, qmltrain::kShared;
using qmltrain::Operands;
using qmltrain::RotateCall;
using qmltrain::RotationKind;
template <bool PerSample> constexpr RotationKind kKind = PerSample ? kCosSin : kShared;

constexpr int kRegisters = VB == 64 ? 32 : 16;
// Zen 4 reads the third operand of a multiply-add through a port that stores and additions use too: eight multiply-adds
// and four stores take 13.7 cycles, four multiply-adds, four multiplications, four additions and four stores 7.9. With
// vectors of 32 bytes twice the instructions have to be fetched, which costs more than it gains.
constexpr bool kApart = VB == 64;

// Factored: of the rotations of a group all but the first are scaled, (x0 - t x1, x1 + t x0) with t = s / c of each lane,
// and the first takes their cosines: c[0], t[0] hold c and s times those. (4 + 2 (K - 1)) / K products a pair instead of
// 4; however long a lane grows on the way, its errors do with it.
//
// In registers j and j | 2^k stand bit 0 and bit 1 of qubit k. Apart: one of the two multiply-adds of a pair is a
// multiplication and an addition.
template <class Real, int K, RotationKind Kind, bool Apart>
INLINE void butterflies(Vec<Real>* a, const Vec<Real>* t, const Vec<Real>* c) {
#pragma GCC unroll 4
  for (int k = 0; k < K; k++)
#pragma GCC unroll 16
    for (int j = 0; j < 1 << K; j++)
      if (!(j >> k & 1)) {
        Vec<Real>&x = a[j], &y = a[j | 1 << k];
        if (Kind == kCosSin || (Kind == kFactored && k == 0)) {
          const Vec<Real> u = c[k] * x - t[k] * y;
          y = c[k] * y + t[k] * x;
          x = u;
        } else {
          Vec<Real> ty = t[k] * y;
          if constexpr (Apart) keep_apart(ty);
          y += t[k] * x;
          x -= ty;
        }
      }
}

// A cosine that t = s / c and products of four of them bear: an angle is changed by far less than it is rounded.
template <class V> INLINE V away_from_zero(V c) {
  const V least = V{} + (sizeof(c[0]) == 4 ? 1e-9f : 1e-30), magnitude = c < 0 ? -c : c;
  return magnitude < least ? least : c;
}

template <class Real, int K, RotationKind Kind, bool Lanes>
INLINE void coefficients(const RotateCall<Real>& call, const Real* cos_sin, Vec<Real>* t, Vec<Real>* c) {
  constexpr int W = Vector<Real>::lanes;
  for (int k = 0; k < K; k++) {
    if constexpr (Kind != kShared) {
      const Real* of_rotation = cos_sin + 2 * W * call.sample_rotation[k];
      c[k] = load_vector(of_rotation);
      t[k] = load_vector(of_rotation + W) * call.t[k];
    } else {
      t[k] = splat(call.t[k]);
    }
    t[k] *= lane_sign<Real>(call.parity_lane[k]);
  }
  if constexpr (Kind == kFactored)
    for (int k = 1; k < K; k++) {
      const Vec<Real> cosine = away_from_zero(c[k]);
      t[k] /= cosine;
      c[0] *= cosine, t[0] *= cosine;
    }
}

// One register per row, for both planes: GCC would otherwise compute an address per plane and park them in vector
// registers.
template <class Real> INLINE Amp<Real>* pinned(char* p, Offset o) {
  char* at = p + o;
  asm("" : "+r"(at));
  return reinterpret_cast<Amp<Real>*>(at);
}

// Member j of a coset has its lanes exchanged by lane[j]; lane[0] is 0.
template <class Real, bool Lanes> INLINE Vec<Real> fetch(const Vec<Real>& m, const std::uint8_t* lane, int j) {
  Vec<Real> v = load(m);
  if constexpr (Lanes)
    if (j) v = xor_lanes<Real>(v, lane[j]);
  return v;
}
template <class Real, bool Lanes> INLINE void put(Vec<Real>& m, Vec<Real> v, const std::uint8_t* lane, int j) {
  if constexpr (Lanes)
    if (j) v = xor_lanes<Real>(v, lane[j]);
  m = v;
}

// Butterflies of one plane of a coset's rows p.
template <class Real, int K, RotationKind Kind, bool Lanes>
INLINE void rotate_plane(Amp<Real>* const* p, Plane<Real> plane, const Vec<Real>* t, const Vec<Real>* c,
                         const std::uint8_t* lane) {
  Vec<Real> a[1 << K];
#pragma GCC unroll 16
  for (int j = 0; j < 1 << K; j++) a[j] = fetch<Real, Lanes>(p[j]->*plane, lane, j);
  butterflies<Real, K, Kind, kApart>(a, t, c);
#pragma GCC unroll 16
  for (int j = 0; j < 1 << K; j++) put<Real, Lanes>(p[j]->*plane, a[j], lane, j);
}

template <class Real, int K, RotationKind Kind, bool Lanes>
void rotate(const RotateCall<Real>& call, const Operands<Real>& operands) {
  constexpr int M = 1 << K;
  constexpr bool together = 2 * M + (Kind == kShared ? K : 2 * K) + 2 <= kRegisters;
  Vec<Real> t[K], c[K];
  if constexpr (Kind == kShared) coefficients<Real, K, Kind, Lanes>(call, nullptr, t, c);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  const qmltrain::Rows rows = call.rows;
  char* state = operands.psi;
  for (int unit = 0; unit < operands.units; unit++, state += operands.psi_stride) {
    if constexpr (Kind != kShared) {
      const Real* cos_sin = operands.cos_sin + operands.cos_sin_stride * std::size_t(unit);
      coefficients<Real, K, Kind, Lanes>(call, cos_sin, t, c);
    }
    for (std::uint32_t h = 0; h < n_high; h++) {
      const Offset high = operands.base ^ rows.high[h];
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high ^ rows.low[l];
        if constexpr (together) {
          Vec<Real> re[M], im[M];
#pragma GCC unroll 16
          for (int j = 0; j < M; j++) {
            const Amp<Real>* p = row<Real>(state, at ^ rows.member[j]);
            re[j] = load(p->re), im[j] = load(p->im);
            if constexpr (Lanes) {
              re[j] = xor_lanes<Real>(re[j], call.member_lane[j]);
              im[j] = xor_lanes<Real>(im[j], call.member_lane[j]);
            }
          }
          butterflies<Real, K, Kind, kApart>(re, t, c);
          butterflies<Real, K, Kind, kApart>(im, t, c);
#pragma GCC unroll 16
          for (int j = 0; j < M; j++) {
            if constexpr (Lanes) {
              re[j] = xor_lanes<Real>(re[j], call.member_lane[j]);
              im[j] = xor_lanes<Real>(im[j], call.member_lane[j]);
            }
            *row<Real>(state, at ^ rows.member[j]) = {re[j], im[j]};
          }
        } else {
          Amp<Real>* p[M];
#pragma GCC unroll 16
          for (int j = 0; j < M; j++) {
            if constexpr (M <= 8) p[j] = pinned<Real>(state, at ^ rows.member[j]);
            else p[j] = row<Real>(state, at ^ rows.member[j]);  // too many to pin
          }
          rotate_plane<Real, K, Kind, Lanes>(p, &Amp<Real>::re, t, c, call.member_lane);
          rotate_plane<Real, K, Kind, Lanes>(p, &Amp<Real>::im, t, c, call.member_lane);
        }
      }
    }
  }
}

}  // namespace
