// Rotations of real states: the butterflies of rotate.hpp and the Bell basis of rotate_back.hpp on the one plane that
// there is. Going back, v_y = sum of bra psi over pairs, v_x is 0.
//
//   real_rotate          R on K qubits
//   real_rotate_back     v_y of one or two qubits, then the inverse rotations of psi and bra (Undo)
//   real_measure_four    v_y of four qubits, nothing is rotated: the sixteen rows of psi stay in registers
#pragma once
#include "rotate_back.hpp"

namespace {

template <class Real> INLINE Vec<Real>* pinned_plane(char* p, Offset o) {
  char* at = p + o;
  asm("" : "+r"(at));
  return reinterpret_cast<Vec<Real>*>(at);
}

template <class Real, int K, bool PerSample, bool Lanes>
void real_rotate(const RotateCall<Real>& call, const Operands<Real>& operands) {
  constexpr int M = 1 << K;
  Vec<Real> t[K], c[K];
  if constexpr (!PerSample) coefficients<Real, K, kKind<PerSample>, Lanes>(call, nullptr, t, c);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  const qmltrain::Rows rows = call.rows;
  char* state = operands.psi;
  Offset member[M];
  for (int j = 0; j < M; j++) member[j] = rows.member[j] ^ operands.base;
  for (int unit = 0; unit < operands.units; unit++, state += operands.psi_stride) {
    if constexpr (PerSample) {
      const Real* cos_sin = operands.cos_sin + operands.cos_sin_stride * std::size_t(unit);
      coefficients<Real, K, kKind<PerSample>, Lanes>(call, cos_sin, t, c);
    }
    for (std::uint32_t h = 0; h < n_high; h++)
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = rows.high[h] ^ rows.low[l];
        Vec<Real> a[M];
#pragma GCC unroll 16
        for (int j = 0; j < M; j++)
          a[j] = fetch<Real, Lanes>(*plane<Real>(state, at ^ member[j]), call.member_lane, j);
        butterflies<Real, K, kKind<PerSample>, kApart>(a, t, c);
#pragma GCC unroll 16
        for (int j = 0; j < M; j++)
          put<Real, Lanes>(*plane<Real>(state, at ^ member[j]), a[j], call.member_lane, j);
      }
  }
}

// s: y0 + y1 of two qubits, d: y0 - y1; of one qubit two halves. What is subtracted has sums of its own.
template <class Real> struct RealVSums {
  Vec<Real> s{}, d{}, minus_s{}, minus_d{};
  INLINE_MEMBER void finish() { s -= minus_s, d -= minus_d; }
};

template <class Real, bool Lanes>
INLINE Bell<Real> fetch_real_bell(Vec<Real>* const* q, const std::uint8_t* lane) {
  return bell<Real>(fetch<Real, Lanes>(*q[0], lane, 0), fetch<Real, Lanes>(*q[1], lane, 1),
                    fetch<Real, Lanes>(*q[2], lane, 2), fetch<Real, Lanes>(*q[3], lane, 3));
}

// put_rotated of rotate_back.hpp
template <class Real, bool Lanes>
INLINE void put_real_rotated(Vec<Real>* const* q, const Bell<Real>& x, const BellRotation<Real>& r,
                             const std::uint8_t* lane) {
  Vec<Real> fs = r.ss * x.f, ed = r.sd * x.e, sf = r.ss * x.s, de = r.sd * x.d;
  keep_apart(fs), keep_apart(sf);
  const Vec<Real> ss = r.cs * x.s, dd = r.cd * x.d, ff = r.cs * x.f, ee = r.cd * x.e;
  const Vec<Real> s = ss - fs, f = ff + sf, d = dd - ed, e = ee + de;
  put<Real, Lanes>(*q[0], s + d, lane, 0);
  put<Real, Lanes>(*q[1], e + f, lane, 1);
  put<Real, Lanes>(*q[2], e - f, lane, 2);
  put<Real, Lanes>(*q[3], s - d, lane, 3);
}

template <class Real, bool PerSample, bool Lanes>
INLINE void undo_pair(Vec<Real>* const* q, Vec<Real> a, Vec<Real> b, const Vec<Real>* t, const Vec<Real>* c,
                      const std::uint8_t* lane) {
  Vec<Real> x[2] = {a, b};
  butterflies<Real, 1, kKind<PerSample>, kApart>(x, t, c);
  put<Real, Lanes>(*q[0], x[0], lane, 0), put<Real, Lanes>(*q[1], x[1], lane, 1);
}

template <class Real, int K, bool PerSample, bool Lanes, bool Undo>
void real_rotate_back(const RotateBackCall<Real>& call, const Operands<Real>& operands) {
  constexpr int M = 1 << K, W = Vector<Real>::lanes;
  const RotateCall<Real>& g = call.rotate;
  Vec<Real> t[2]{}, c[2]{};
  auto inverse = [&](const Real* cos_sin) {
    coefficients<Real, K, kKind<PerSample>, Lanes>(g, cos_sin, t, c);
    for (int k = 0; k < K; k++) t[k] = -t[k];
  };
  if constexpr (Undo && !PerSample) inverse(nullptr);
  const std::uint32_t n_low = g.n_low, n_high = g.n_high;
  const Offset *low = g.rows.low, *high = g.rows.high;
  const std::uint8_t* lane = g.member_lane;
  char *psi = operands.psi, *bra = operands.bra;
  Offset member[M];
  for (int j = 0; j < M; j++) member[j] = g.rows.member[j] ^ operands.base;
  for (int unit = 0; unit < operands.units; unit++) {
    if constexpr (Undo && PerSample) inverse(operands.cos_sin + operands.cos_sin_stride * std::size_t(unit));
    const BellRotation<Real> rotation(t, c, !PerSample);
    RealVSums<Real> v;
    for (std::uint32_t h = 0; h < n_high; h++)
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high[h] ^ low[l];
        Vec<Real>*p[M], *q[M];
        for (int j = 0; j < M; j++) {
          p[j] = pinned_plane<Real>(psi, at ^ member[j]);
          q[j] = pinned_plane<Real>(bra, at ^ member[j]);
        }
        if constexpr (K == 2) {
          const Bell<Real> a = fetch_real_bell<Real, Lanes>(p, lane), b = fetch_real_bell<Real, Lanes>(q, lane);
          v.s += b.e * a.d, v.d += b.f * a.s, v.minus_s += b.d * a.e, v.minus_d += b.s * a.f;
          if constexpr (Undo) {
            put_real_rotated<Real, Lanes>(q, b, rotation, lane);
            put_real_rotated<Real, Lanes>(p, a, rotation, lane);
          }
        } else {
          const Vec<Real> a0 = fetch<Real, Lanes>(*p[0], lane, 0), a1 = fetch<Real, Lanes>(*p[1], lane, 1);
          const Vec<Real> b0 = fetch<Real, Lanes>(*q[0], lane, 0), b1 = fetch<Real, Lanes>(*q[1], lane, 1);
          v.s += b1 * a0, v.minus_s += b0 * a1;
          if constexpr (Undo) {
            undo_pair<Real, PerSample, Lanes>(q, b0, b1, t, c, lane);
            undo_pair<Real, PerSample, Lanes>(p, a0, a1, t, c, lane);
          }
        }
      }
    v.finish();
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit) + W;
    give(acc + std::size_t(W) * call.accumulator[0], call.y_sign[0] * (v.s + v.d), operands.fresh);
    if constexpr (K == 2)
      give(acc + std::size_t(W) * call.accumulator[1], call.y_sign[1] * (v.s - v.d), operands.fresh);
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

// Each row of the bra once: with b_j and psi in registers, y_k = sum of b_j a_(j ^ 2^k), minus where bit k of j is 0.
template <class Real> void real_measure_four(const RotateBackCall<Real>& call, const Operands<Real>& operands) {
  const qmltrain::Rows rows = call.rotate.rows;
  char *psi = operands.psi, *bra = operands.bra;
  Offset member[16];
  for (int j = 0; j < 16; j++) member[j] = rows.member[j] ^ operands.base;
  for (int unit = 0; unit < operands.units; unit++) {
    Vec<Real> plus[4]{}, minus[4]{};
    for (std::uint32_t h = 0; h < call.rotate.n_high; h++)
      for (std::uint32_t l = 0; l < call.rotate.n_low; l++) {
        const Offset at = rows.high[h] ^ rows.low[l];
        Vec<Real> a[16];
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) a[j] = load(*plane<Real>(psi, at ^ member[j]));
#pragma GCC unroll 16
        for (int j = 0; j < 16; j++) {
          const Vec<Real> b = load(*plane<Real>(bra, at ^ member[j]));
#pragma GCC unroll 4
          for (int k = 0; k < 4; k++) {
            if (j >> k & 1) plus[k] += b * a[j ^ 1 << k];
            else minus[k] += b * a[j ^ 1 << k];
          }
        }
      }
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit) + Vector<Real>::lanes;
    for (int k = 0; k < 4; k++)  // twice v, as two pairs give it
      give(acc + std::size_t(Vector<Real>::lanes) * call.accumulator[k], 2 * call.y_sign[k] * (plus[k] - minus[k]),
           operands.fresh);
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

}  // namespace
