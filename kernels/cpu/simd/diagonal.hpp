// Diagonal stages: D and the lane rotations after it, over all rows of a tile; going back, w = Im(conj(bra) psi).
//
//   diagonal        psi -> (lane rotations) (exchange) D psi
//   diagonal_back   v of the lane rotations, their inverses, w = Im(conj(bra) psi), D^-1, on psi and bra
//
// How the phases of D are given is its DiagonalKind (kernels.hpp).
// Signed sums of w over the two lowest coordinates are taken in registers (Compressed): w then has a quarter of the
// rows.
#pragma once
#include "vector.hpp"

namespace {

using qmltrain::DiagonalCall;
using qmltrain::LaneRotation;
using qmltrain::Operands;
using qmltrain::WScratch;
using qmltrain::kFactor;
using qmltrain::kMaxLaneBits;
using qmltrain::kNone;
using qmltrain::kScalar;
using qmltrain::kVector;

// Kinds of lane rotations: any masks, row signs, per-sample angles; none, but an exchange of lanes; else rotation k is
// of lane bit k.
constexpr int kGeneral = -1, kExchange = -2;

template <class Real> struct PhaseReader {
  const Real* table;
  Vec<Real> high_re, high_im;
};

template <class Real, int Kind> INLINE PhaseReader<Real> phases(const DiagonalCall<Real>& call, std::uint32_t h) {
  constexpr int W = Vector<Real>::lanes;
  const std::size_t n = call.n_low;
  PhaseReader<Real> r{};
  if constexpr (Kind == kScalar) r.table = call.table + 2 * n * h;
  if constexpr (Kind == kVector) r.table = call.table + 2 * W * n * h;
  if constexpr (Kind == kFactor) {
    r.table = call.table + 2 * W * n * call.variant[h];
    if (call.high_vectors) {
      r.high_re = load_vector(call.high_phase + 2 * W * h);
      r.high_im = load_vector(call.high_phase + 2 * W * h + W);
    } else {
      r.high_re = splat(call.high_phase[2 * h]);
      r.high_im = splat(call.high_phase[2 * h + 1]);
    }
  }
  return r;
}

template <class Real, int Kind> INLINE Amp<Real> phase(const PhaseReader<Real>& r, std::uint32_t l) {
  constexpr int W = Vector<Real>::lanes;
  if constexpr (Kind == kScalar) return {splat(r.table[2 * l]), splat(r.table[2 * l + 1])};
  const Vec<Real> re = load_vector(r.table + 2 * W * l), im = load_vector(r.table + 2 * W * l + W);
  if constexpr (Kind == kFactor) return {re * r.high_re - im * r.high_im, re * r.high_im + im * r.high_re};
  return {re, im};
}

template <class Real, int N> struct LaneState {
  static constexpr int size = N == kGeneral ? kMaxLaneBits : (N > 0 ? N : 1);
  int n;
  Vec<Real> c[size], s[size], x[size], y[size];
  explicit LaneState(const DiagonalCall<Real>& call) : n(N == kGeneral ? call.n_lane : N > 0 ? N : 0) {
    for (int k = 0; k < n; k++) {
      s[k] = load_vector(call.lane[k].sine);
      if constexpr (N == kGeneral) c[k] = call.lane[k].cosine ? load_vector(call.lane[k].cosine) : splat(Real(1));
      x[k] = y[k] = Vec<Real>{};
    }
  }
};

template <class Real> INLINE Real row_sign(const LaneRotation<Real>& r, std::uint32_t h, std::uint32_t l) {
  return (r.low_signs >> l & 1) ^ std::uint32_t(parity(h & r.high_parity)) ? Real(-1) : Real(1);
}

// Rotation k of the lanes: by any mask, with row signs (kGeneral), or of lane bit k.
template <class Real, int N, int K> INLINE Vec<Real> partner(const DiagonalCall<Real>& call, int k, Vec<Real> v) {
  if constexpr (N == kGeneral) return xor_lanes<Real>(v, call.lane[k].lane_xor);
  else return xor_lane_bit<Real, K>(v);
}

template <class Real, int N, int K = 0>
INLINE void rotate_lanes(const DiagonalCall<Real>& call, const LaneState<Real, N>& state, std::uint32_t h,
                         std::uint32_t l, Amp<Real>& a) {
  if constexpr (N == kGeneral) {
    for (int k = 0; k < state.n; k++) {
      const Vec<Real> pr = partner<Real, N, 0>(call, k, a.re), pi = partner<Real, N, 0>(call, k, a.im);
      const Vec<Real> s = state.s[k] * row_sign(call.lane[k], h, l);
      a.re = state.c[k] * a.re + s * pr;
      a.im = state.c[k] * a.im + s * pi;
    }
  } else if constexpr (K < N) {
    const Vec<Real> pr = partner<Real, N, K>(call, K, a.re), pi = partner<Real, N, K>(call, K, a.im);
    a.re += state.s[K] * pr;
    a.im += state.s[K] * pi;
    rotate_lanes<Real, N, K + 1>(call, state, h, l, a);
  }
}

// v of a lane rotation and its inverse on psi (a) and bra (b)
template <class Real, int N, int K = 0>
INLINE void undo_lanes(const DiagonalCall<Real>& call, LaneState<Real, N>& state, std::uint32_t h, std::uint32_t l,
                       Amp<Real>& a, Amp<Real>& b) {
  if constexpr (N == kGeneral) {
    for (int k = 0; k < state.n; k++) {
      const Real sign = row_sign(call.lane[k], h, l);
      const Vec<Real> pr = partner<Real, N, 0>(call, k, a.re), pi = partner<Real, N, 0>(call, k, a.im);
      const Vec<Real> qr = partner<Real, N, 0>(call, k, b.re), qi = partner<Real, N, 0>(call, k, b.im);
      state.x[k] += b.re * pi;
      state.x[k] -= b.im * pr;
      state.y[k] += sign * (b.re * pr + b.im * pi);
      const Vec<Real> s = state.s[k] * sign, c = state.c[k];
      a.re = c * a.re - s * pr; a.im = c * a.im - s * pi;
      b.re = c * b.re - s * qr; b.im = c * b.im - s * qi;
    }
  } else if constexpr (K < N) {
    const Vec<Real> pr = partner<Real, N, K>(call, K, a.re), pi = partner<Real, N, K>(call, K, a.im);
    const Vec<Real> qr = partner<Real, N, K>(call, K, b.re), qi = partner<Real, N, K>(call, K, b.im);
    state.x[K] += b.re * pi;
    state.x[K] -= b.im * pr;
    state.y[K] += b.re * pr;
    state.y[K] += b.im * pi;
    const Vec<Real> s = state.s[K];
    a.re -= s * pr; a.im -= s * pi;
    b.re -= s * qr; b.im -= s * qi;
    undo_lanes<Real, N, K + 1>(call, state, h, l, a, b);
  }
}

template <class Real, int N>
INLINE void exchange_lanes([[maybe_unused]] const DiagonalCall<Real>& call, [[maybe_unused]] std::uint32_t h,
                           [[maybe_unused]] std::uint32_t l, [[maybe_unused]] Amp<Real>& a) {
  if constexpr (N == kGeneral || N == kExchange)
    if (N == kExchange || call.exchange_low) {
      const int mask = call.exchange_high[h] ^ call.exchange_low[l] ^ call.exchange;
      a = {xor_lanes<Real>(a.re, mask), xor_lanes<Real>(a.im, mask)};
    }
}

template <class Real, int Kind, int N>
void diagonal(const DiagonalCall<Real>& call, const Operands<Real>& operands, const WScratch<Real>&) {
  const LaneState<Real, N> state(call);
  const Vec<Real> scale = splat(call.scale);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  const Offset* low = call.low;
  const char* in = operands.psi;
  char* out = operands.other_psi;
  for (int unit = 0; unit < operands.units; unit++, in += operands.psi_stride, out += operands.psi_stride) {
    for (std::uint32_t h = 0; h < n_high; h++) {
      const PhaseReader<Real> reader = phases<Real, Kind>(call, h);
      const Offset high = call.high[h] ^ operands.base;
#pragma GCC unroll 2
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high ^ low[l];
        const Amp<Real>* p = row<Real>(in, at);
        Amp<Real> a{load(p->re), load(p->im)};
        if constexpr (Kind == kNone) {
          a.re *= scale, a.im *= scale;
        } else {
          const Amp<Real> d = phase<Real, Kind>(reader, l);
          a = {d.re * a.re - d.im * a.im, d.re * a.im + d.im * a.re};
        }
        exchange_lanes<Real, N>(call, h, l, a);
        rotate_lanes<Real, N>(call, state, h, l, a);
        *row<Real>(out, at) = a;
      }
    }
  }
}

// Kept: psi is the kept state before D and is only read; no lane rotations.
template <class Real, int Kind, int N, bool Compressed, bool Kept = false>
void diagonal_back(const DiagonalCall<Real>& call, const Operands<Real>& operands, const WScratch<Real>& scratch) {
  constexpr int U = Compressed ? 4 : 1;
  constexpr int W = Vector<Real>::lanes;
  const Vec<Real> scale = splat(call.scale);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  const Offset* low = call.low;
  char *psi = operands.psi, *bra = operands.bra;
  for (int unit = 0; unit < operands.units; unit++) {
    LaneState<Real, N> state(call);
    Vec<Real> z0{}, z1{};
    Real* w = scratch.w + scratch.w_stride * std::size_t(unit);
    Real* pair_sums = scratch.pair_sums + scratch.pair_sums_stride * std::size_t(unit);
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit);
    for (std::uint32_t h = 0; h < n_high; h++) {
      const PhaseReader<Real> reader = phases<Real, Kind>(call, h);
      const Offset high = call.high[h] ^ operands.base;
      for (std::uint32_t l = 0; l < n_low; l += U) {
        Vec<Real> ww[U];
#pragma GCC unroll 4
        for (int u = 0; u < U; u++) {
          const Offset at = high ^ low[l + u];
          Amp<Real>*p = row<Real>(psi, at), *q = row<Real>(bra, at);
          Amp<Real> a{load(p->re), load(p->im)}, b{load(q->re), load(q->im)};
          undo_lanes<Real, N>(call, state, h, l + u, a, b);
          exchange_lanes<Real, N>(call, h, l + u, a), exchange_lanes<Real, N>(call, h, l + u, b);
          if constexpr (!Kept) ww[u] = b.re * a.im - b.im * a.re;
          if constexpr (Kind == kNone) {
            if constexpr (!Kept) a.re *= scale, a.im *= scale;
            b.re *= scale, b.im *= scale;
          } else {
            const Amp<Real> d = phase<Real, Kind>(reader, l + u);
            if constexpr (!Kept) a = {d.re * a.re + d.im * a.im, d.re * a.im - d.im * a.re};
            b = {d.re * b.re + d.im * b.im, d.re * b.im - d.im * b.re};
          }
          if constexpr (Kept) ww[u] = b.re * a.im - b.im * a.re;
          else *p = a;
          *q = b;
        }
        if constexpr (Compressed) {
          const Vec<Real> s0 = ww[0] + ww[1], d0 = ww[0] - ww[1], s1 = ww[2] + ww[3], d1 = ww[2] - ww[3];
          z0 += d0 + d1;
          z1 += s0 - s1;
          store_vector(w, s0 + s1);
        } else {
          store_vector(w, ww[0]);
        }
        w += W;
      }
    }
    if constexpr (Compressed) {
      store_vector(pair_sums, z0);
      store_vector(pair_sums + W, z1);
    }
    for (int k = 0; k < state.n; k++) {
      add_to(acc + std::size_t(W) * call.lane[k].accumulator, state.x[k]);
      add_to(acc + std::size_t(W) * (call.lane[k].accumulator + 1), state.y[k]);
    }
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

}  // namespace
