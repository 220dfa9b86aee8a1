// One layer of kept states, backward: all of a small state's 2^K rows are one group, so that
//
//     v_x, v_y of its K rotations        from psi after the layer and lam
//     lam <- D^-1 R^-1 lam
//     w = Im(conj(lam) psi) and its sums from psi before the layer
//
// are one pass over a unit: lam's imaginary plane stays in registers from the butterflies to the diagonal, w never leaves
// them, and every address is a constant displacement.
#pragma once
#include "backward.hpp"
#include "sums.hpp"

namespace {

using qmltrain::LayerCall;

// v of qubits k and k + 1 (Two) or of k alone, over all cosets of a unit
template <class Real, int K, int k, bool Two> INLINE void layer_v(const LayerCall<Real>& call, char* psi, char* lam, Real* acc, bool fresh) {
  constexpr int W = Vector<Real>::lanes, M = Two ? 4 : 2;
  constexpr std::uint8_t no_lanes[4] = {};
  Sums2<Real, false> v;
#pragma GCC unroll 8
  for (int coset = 0; coset < (1 << K) / M; coset++) {
    Amp<Real>*p[M], *q[M];
    const int first = (coset >> k) * (M << k) | (coset & ((1 << k) - 1));
#pragma GCC unroll 4
    for (int j = 0; j < M; j++) p[j] = row<Real>(psi, 0) + (first | j << k), q[j] = row<Real>(lam, 0) + (first | j << k);
    if constexpr (Two && kRegisters == 16) v_two_in_turn<Real, false, true>(p, q, no_lanes, v);
    else if constexpr (Two) v_two<Real, false, true, false, false>(p, q, no_lanes, v, BellTurn<Real>{});
    else v_one<Real, false, true, false>(p, q, no_lanes, v);
  }
  Real* acc0 = acc + std::size_t(W) * call.acc[k];
  if constexpr (Two) {
    Real* acc1 = acc + std::size_t(W) * call.acc[k + 1];
    give(acc0, v.sx + v.dx, fresh), give(acc0 + W, v.sy + v.dy, fresh);
    give(acc1, v.sx - v.dx, fresh), give(acc1 + W, v.sy - v.dy, fresh);
  } else {
    give(acc0, v.sx + v.dx, fresh), give(acc0 + W, v.sy + v.dy, fresh);
  }
}

// sums[i] = sum_u (-1)^{u_i} w_u, sums[K] = sum_u w_u
template <class Real, int K> INLINE void sums_of(Vec<Real>* w, Vec<Real>* sums) {
#pragma GCC unroll 4
  for (int i = 0; i < K; i++) {
    Vec<Real> d = w[0] - w[1];
    w[0] += w[1];
#pragma GCC unroll 8
    for (int u = 1; u < 1 << (K - i - 1); u++) {
      d += w[2 * u] - w[2 * u + 1];
      w[u] = w[2 * u] + w[2 * u + 1];
    }
    sums[i] = d;
  }
  sums[K] = w[0];
}

template <class Real, int K> void layer_back(const LayerCall<Real>& call, const Place<Real>& place) {
  constexpr int M = 1 << K, W = Vector<Real>::lanes;
  Vec<Real> t[K];
  for (int k = 0; k < K; k++) t[k] = splat(call.t[k]);
  char *psi = place.psi, *before = place.psi_beside, *lam = place.lam;
  Real* acc = place.acc;
  for (int unit = 0; unit < place.units; unit++) {
    if constexpr (K == 1) layer_v<Real, K, 0, false>(call, psi, lam, acc, place.fresh);
    if constexpr (K >= 2) layer_v<Real, K, 0, true>(call, psi, lam, acc, place.fresh);
    if constexpr (K == 3) layer_v<Real, K, 2, false>(call, psi, lam, acc, place.fresh);
    if constexpr (K == 4) layer_v<Real, K, 2, true>(call, psi, lam, acc, place.fresh);
    Amp<Real>* b = row<Real>(lam, 0);
    const Amp<Real>* a = row<Real>(before, 0);
    Vec<Real> plane[M];
#pragma GCC unroll 16
    for (int j = 0; j < M; j++) plane[j] = load(b[j].re);
    butterflies<Real, K, false, kApart>(plane, t, nullptr);
#pragma GCC unroll 16
    for (int j = 0; j < M; j++) b[j].re = plane[j];
#pragma GCC unroll 16
    for (int j = 0; j < M; j++) plane[j] = load(b[j].im);
    butterflies<Real, K, false, kApart>(plane, t, nullptr);
    // plane becomes w
#pragma GCC unroll 16
    for (int j = 0; j < M; j++) {
      const Vec<Real> re = load(b[j].re), im = plane[j], d_re = splat(call.table[2 * j]), d_im = splat(call.table[2 * j + 1]);
      const Amp<Real> x{d_re * re + d_im * im, d_re * im - d_im * re};
      plane[j] = x.re * a[j].im - x.im * a[j].re;
      b[j] = x;
    }
    Vec<Real> sums[K + 1];
    sums_of<Real, K>(plane, sums);
#pragma GCC unroll 4
    for (int i = 0; i <= K; i++)
      if (call.sum_acc[i]) give(acc + std::size_t(W) * call.sum_acc[i], sums[i], place.fresh);
    psi += place.psi_stride, before += place.psi_stride, lam += place.lam_stride, acc += place.acc_stride;
  }
}

}  // namespace
