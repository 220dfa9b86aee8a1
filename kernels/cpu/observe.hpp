// Expectations of Pauli strings and lam = sum_m c_m O_m psi.
//
// Diagonal strings: sum_m c_m (-1)^parity(z & mask_m) for all z, and sum_z (-1)^parity(z & mask) |psi_z|^2 for all
// masks, are Walsh-Hadamard transforms over the rows of a chunk.
#pragma once
#include "sums.hpp"

namespace {

template <class Real> void observe(const qmltrain::ObserveCall<Real>& call) {
  constexpr int W = Vector<Real>::lanes;
  const std::size_t n = std::size_t(1) << call.bits;
  Vec<Real>* work = reinterpret_cast<Vec<Real>*>(call.work);
  if (call.expectation) {
    for (std::size_t i = 0; i < n; i++) {
      const Amp<Real>* p = row<Real>(call.psi, i * 2 * VB);
      work[i] = p->re * p->re + p->im * p->im;
    }
    walsh_rows(work, int(call.bits));
    for (int m = 0; m < call.n_strings; m++)
      add_to(call.expectation + W * m, work[call.mask[m]] * (call.sign[m] ? Real(-1) : Real(1)));
  }
  if (call.lam) {
    for (std::size_t i = 0; i < n; i++) work[i] = Vec<Real>{};
    for (int m = 0; m < call.n_strings; m++)
      work[call.mask[m]] += load_vector(call.weight + W * m) * lane_sign<Real>(call.lane_mask[m]) *
                            (call.sign[m] ? Real(-1) : Real(1));
    walsh_rows(work, int(call.bits));
    for (std::size_t i = 0; i < n; i++) {
      const Amp<Real>* p = row<Real>(call.psi, i * 2 * VB);
      Amp<Real>* q = row<Real>(call.lam, i * 2 * VB);
      q->re = work[i] * p->re, q->im = work[i] * p->im;
    }
  }
}

// (O psi)[z] = i^n_y sign (-1)^parity((z ^ x) & z_mask) psi[z ^ x]
template <class Real> void string(const qmltrain::StringCall<Real>& call) {
  constexpr int W = Vector<Real>::lanes;
  const Vec<Real> lanes = xor_lanes<Real>(lane_sign<Real>(call.z_lane), call.x_lane) * call.sign;
  const Vec<Real> weight = call.weight ? load_vector(call.weight) : Vec<Real>{};
  Vec<Real> total{};
  for (std::size_t i = call.first_row; i < call.first_row + call.n_rows; i++) {
    const std::size_t j = i ^ call.x_row;
    const Amp<Real>*p = row<Real>(call.psi, i * 2 * VB), *q = row<Real>(call.psi, j * 2 * VB);
    const Vec<Real> s = parity(j & call.z_row) ? -lanes : lanes;
    const Vec<Real> qr = xor_lanes<Real>(q->re, call.x_lane) * s, qi = xor_lanes<Real>(q->im, call.x_lane) * s;
    Vec<Real> re, im;
    switch (call.n_y & 3) {
      case 0: re = qr, im = qi; break;
      case 1: re = -qi, im = qr; break;
      case 2: re = -qr, im = -qi; break;
      default: re = qi, im = -qr;
    }
    if (call.expectation) total += p->re * re + p->im * im;
    if (call.lam) {
      Amp<Real>* l = row<Real>(call.lam, i * 2 * VB);
      l->re += weight * re, l->im += weight * im;
    }
  }
  if (call.expectation) add_to(call.expectation, total);
  (void)W;
}

}  // namespace
