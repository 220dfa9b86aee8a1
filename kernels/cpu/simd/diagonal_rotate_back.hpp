// R D psi of kept states, backward: all of a small state's 2^K rows are one group, so that
//
//     v_x, v_y of its K rotations R       from psi after them and the bra
//     bra <- D^-1 R^-1 bra
//     w = Im(conj(bra) psi) and its sums  from psi before the diagonal D
//
// are one kernel call: where registers allow, bra's imaginary plane stays in them from the butterflies to the
// diagonal and w to its sums, and every address is a constant displacement.
#pragma once
#include "rotate_back.hpp"
#include "sums.hpp"

namespace {

using qmltrain::DiagonalRotateBackCall;

// v of qubits k and k + 1 (Two) or of k alone, over all cosets of a unit
template <class Real, int K, int k, bool Two>
INLINE void group_v(const DiagonalRotateBackCall<Real>& call, char* psi, char* bra, Real* acc, bool fresh) {
  constexpr int W = Vector<Real>::lanes, M = Two ? 4 : 2;
  constexpr std::uint8_t no_lanes[4] = {};
  VSums<Real, false> v;
#pragma GCC unroll 8
  for (int coset = 0; coset < (1 << K) / M; coset++) {
    Amp<Real>*p[M], *q[M];
    const int first = (coset >> k) * (M << k) | (coset & ((1 << k) - 1));
#pragma GCC unroll 4
    for (int j = 0; j < M; j++) {
      p[j] = row<Real>(psi, 0) + (first | j << k);
      q[j] = row<Real>(bra, 0) + (first | j << k);
    }
    constexpr bool lanes = false, with_x = true, rotate = false, split = false;
    if constexpr (Two) v_two<Real, lanes, with_x, rotate, split>(p, q, no_lanes, v, BellRotation<Real>{});
    else v_one<Real, lanes, with_x, split>(p, q, no_lanes, v);
  }
  Real* acc0 = acc + std::size_t(W) * call.accumulator[k];
  if constexpr (Two) {
    Real* acc1 = acc + std::size_t(W) * call.accumulator[k + 1];
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

// x <- D^-1 x of row j, to memory; returns w of it and a (psi before the diagonal).
template <class Real> INLINE Vec<Real> undo_phase(Amp<Real> x, const Real* phase, const Amp<Real>* a, Amp<Real>* b) {
  const Vec<Real> re = splat(phase[0]), im = splat(phase[1]);
  const Amp<Real> y{re * x.re + im * x.im, re * x.im - im * x.re};
  *b = y;
  return y.re * a->im - y.im * a->re;
}

// The butterflies of b's rows and D^-1, w to w[.]: with registers for 2^K rows.
template <class Real, int K>
INLINE void undo_rows(const Real* phase, const Vec<Real>* t, const Amp<Real>* a, Amp<Real>* b, Vec<Real>* w) {
  constexpr int M = 1 << K;
#pragma GCC unroll 16
  for (int j = 0; j < M; j++) w[j] = load(b[j].re);
  butterflies<Real, K, kShared, kApart>(w, t, nullptr);
#pragma GCC unroll 16
  for (int j = 0; j < M; j++) b[j].re = w[j];
#pragma GCC unroll 16
  for (int j = 0; j < M; j++) w[j] = load(b[j].im);
  butterflies<Real, K, kShared, kApart>(w, t, nullptr);
#pragma GCC unroll 16
  for (int j = 0; j < M; j++) w[j] = undo_phase<Real>({load(b[j].re), w[j]}, phase + 2 * j, a + j, b + j);
}

// With registers for half of them: all qubits but the last, half by half and plane by plane; then the last, pair by
// pair.
template <class Real, int K>
INLINE void undo_rows_in_halves(const Real* phase, const Vec<Real>* t, const Amp<Real>* a, Amp<Real>* b, Vec<Real>* w) {
  constexpr int H = 1 << (K - 1);
  for (int half = 0; half < 2; half++) {
    Amp<Real>* p[H];
    for (int j = 0; j < H; j++) p[j] = b + H * half + j;
    rotate_plane<Real, K - 1, kShared, false>(p, &Amp<Real>::re, t, nullptr, nullptr);
    rotate_plane<Real, K - 1, kShared, false>(p, &Amp<Real>::im, t, nullptr, nullptr);
  }
  for (int j = 0; j < H; j++) {
    Vec<Real> re[2] = {load(b[j].re), load(b[j + H].re)}, im[2] = {load(b[j].im), load(b[j + H].im)};
    butterflies<Real, 1, kShared, kApart>(re, t + K - 1, nullptr);
    butterflies<Real, 1, kShared, kApart>(im, t + K - 1, nullptr);
    w[j] = undo_phase<Real>({re[0], im[0]}, phase + 2 * j, a + j, b + j);
    w[j + H] = undo_phase<Real>({re[1], im[1]}, phase + 2 * (j + H), a + j + H, b + j + H);
  }
}

template <class Real, int K>
void diagonal_rotate_back(const DiagonalRotateBackCall<Real>& call, const Operands<Real>& operands) {
  constexpr int M = 1 << K, W = Vector<Real>::lanes;
  Vec<Real> t[K];
  for (int k = 0; k < K; k++) t[k] = splat(call.t[k]);
  char *psi = operands.psi, *before = operands.other_psi, *bra = operands.bra;
  Real* acc = operands.accumulators;
  for (int unit = 0; unit < operands.units; unit++) {
    if constexpr (K == 1) group_v<Real, K, 0, false>(call, psi, bra, acc, operands.fresh);
    if constexpr (K >= 2) group_v<Real, K, 0, true>(call, psi, bra, acc, operands.fresh);
    if constexpr (K == 3) group_v<Real, K, 2, false>(call, psi, bra, acc, operands.fresh);
    if constexpr (K == 4) group_v<Real, K, 2, true>(call, psi, bra, acc, operands.fresh);
    Vec<Real> w[M], sums[K + 1];
    const Amp<Real>* a = row<Real>(before, 0);
    Amp<Real>* b = row<Real>(bra, 0);
    if constexpr (M + K + 2 <= kRegisters) undo_rows<Real, K>(call.table, t, a, b, w);
    else undo_rows_in_halves<Real, K>(call.table, t, a, b, w);
    sums_of<Real, K>(w, sums);
#pragma GCC unroll 4
    for (int i = 0; i <= K; i++)
      if (call.sum_accumulator[i]) give(acc + std::size_t(W) * call.sum_accumulator[i], sums[i], operands.fresh);
    psi += operands.psi_stride, before += operands.psi_stride;
    bra += operands.bra_stride, acc += operands.accumulator_stride;
  }
}

}  // namespace
