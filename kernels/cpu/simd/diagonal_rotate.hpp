// R D psi in one go, out of place: the way forward of states that are kept.
//
// Reads psi before the diagonal D (one complex number per row), writes it after the rotations R of the rows' K lowest
// address bits. A plane of 2^K rows at a time: D needs both planes of its operand but yields one, so the butterflies
// have the registers to themselves, and what the diagonal would store and the rotation load again never leaves them.
#pragma once
#include "rotate.hpp"

namespace {

// One plane of the rows from `in`: phase * amplitude, butterflies, to `out`. Imaginary: that plane, else the real one.
template <class Real, int K, bool Imaginary>
INLINE void diagonal_rotate_plane(const Amp<Real>* in, Amp<Real>* out, const Real* phase, const Vec<Real>* t) {
  Vec<Real> a[1 << K];
#pragma GCC unroll 16
  for (int j = 0; j < 1 << K; j++) {
    if constexpr (Imaginary) a[j] = in[j].re * splat(phase[2 * j + 1]) + in[j].im * splat(phase[2 * j]);
    else a[j] = in[j].re * splat(phase[2 * j]) - in[j].im * splat(phase[2 * j + 1]);
  }
  butterflies<Real, K, kShared, false>(a, t, nullptr);
#pragma GCC unroll 16
  for (int j = 0; j < 1 << K; j++) {
    if constexpr (Imaginary) out[j].im = a[j];
    else out[j].re = a[j];
  }
}

// Rows of a group lie one after the other; the diagonal's table has them in the order of their addresses.
template <class Real, int K>
void diagonal_rotate(const DiagonalCall<Real>& diagonal, const RotateCall<Real>& call,
                     const Operands<Real>& operands) {
  Vec<Real> t[K];
  coefficients<Real, K, kShared, false>(call, nullptr, t, nullptr);
  const std::uint32_t n_groups = call.n_low * call.n_high;
  const char* in = operands.psi;
  char* out = operands.other_psi;
  for (int unit = 0; unit < operands.units; unit++, in += operands.psi_stride, out += operands.psi_stride)
    for (std::uint32_t g = 0; g < n_groups; g++) {
      const Amp<Real>* from = row<Real>(in, 0) + (g << K);
      Amp<Real>* to = row<Real>(out, 0) + (g << K);
      const Real* phase = diagonal.table + 2 * (std::size_t(g) << K);
      diagonal_rotate_plane<Real, K, false>(from, to, phase, t);
      diagonal_rotate_plane<Real, K, true>(from, to, phase, t);
    }
}

}  // namespace
