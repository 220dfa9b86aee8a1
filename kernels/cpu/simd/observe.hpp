// Expectations of Pauli strings and bra = sum_m c_m O_m psi.
//
// Diagonal strings: sum_m c_m (-1)^parity(z & mask_m) for all z, and sum_z (-1)^parity(z & mask) |psi_z|^2 for all
// masks, are Walsh-Hadamard transforms over the rows of a stripe. Masks of one row bit need a tree of sums only.
#pragma once
#include "sums.hpp"

namespace {

// values over 2^bits rows to signed sums; a mask's one is at result[where(mask)]
template <class Real> struct SignedSums {
  bool tree_serves = true;
  int bits;
  SignedSums(const qmltrain::ObserveCall<Real>& call) : bits(int(call.bits)) {
    for (int m = 0; m < call.n_strings; m++) tree_serves = tree_serves && !(call.mask[m] & (call.mask[m] - 1));
  }
  INLINE_MEMBER const Vec<Real>* operator()(Vec<Real>* values) const {
    constexpr int W = Vector<Real>::lanes;
    Real* numbers = reinterpret_cast<Real*>(values);
    if (tree_serves) tree(numbers, bits, numbers + (std::size_t(W) << bits));
    else walsh_rows(values, 0, bits);
    return tree_serves ? values + (std::size_t(1) << bits) : values;
  }
  INLINE_MEMBER std::size_t where(std::uint32_t mask) const {
    if (!tree_serves) return mask;
    return mask ? std::size_t(__builtin_ctz(mask)) : std::size_t(bits);
  }
};

// sum_m c_m (-1)^parity of each row; of masks of one bit, or none, by doubling.
template <class Real>
INLINE void weights_of_rows(const qmltrain::ObserveCall<Real>& call, const Real* weight, bool one_bit,
                            Vec<Real>* table) {
  constexpr int W = Vector<Real>::lanes;
  const auto of_string = [&](int m) {
    return load_vector(weight + W * m) * lane_sign<Real>(call.lane_mask[m]) * (call.sign[m] ? Real(-1) : Real(1));
  };
  const std::size_t n = std::size_t(1) << call.bits;
  if (!one_bit) {
    for (std::size_t i = 0; i < n; i++) table[i] = Vec<Real>{};
    for (int m = 0; m < call.n_strings; m++) table[call.mask[m]] += of_string(m);
    walsh_rows(table, 0, int(call.bits));
    return;
  }
  Vec<Real> of_bit[qmltrain::kStripeBits + 1] = {};  // that of no bit comes last
  for (int m = 0; m < call.n_strings; m++)
    of_bit[call.mask[m] ? std::size_t(__builtin_ctz(call.mask[m])) : std::size_t(call.bits)] += of_string(m);
  table[0] = of_bit[call.bits];
  for (std::size_t q = 0; q < call.bits; q++)
    for (std::size_t i = 0; i < std::size_t(1) << q; i++) {
      const Vec<Real> without = table[i];
      table[i] = without + of_bit[q], table[i + (std::size_t(1) << q)] = without - of_bit[q];
    }
}

template <class Real, int Planes = 2> void observe(const qmltrain::ObserveCall<Real>& call) {
  constexpr int W = Vector<Real>::lanes;
  const std::size_t n = std::size_t(1) << call.bits;
  Vec<Real>* table = reinterpret_cast<Vec<Real>*>(call.work);
  Vec<Real>* values = table + n;  // |psi|^2 of each row, then its sums
  const SignedSums<Real> signed_sums(call);
  const char* psi = call.psi;
  char* bra = call.bra;
  const Real* weight = call.weight;
  Real* expectation = call.expectation;
  for (int unit = 0; unit < call.units; unit++) {
    if (bra) {
      if (unit == 0 || call.weight_stride) weights_of_rows<Real>(call, weight, signed_sums.tree_serves, table);
      for (std::size_t i = 0; i < n; i++) {
        const Vec<Real>* p = plane<Real>(psi, i * Planes * VB);
        Vec<Real>* to = plane<Real>(bra, i * Planes * VB);
        for (int k = 0; k < Planes; k++) to[k] = table[i] * p[k];
      }
    }
    if (expectation) {
      for (std::size_t i = 0; i < n; i++) {
        const Vec<Real>* p = plane<Real>(psi, i * Planes * VB);
        if constexpr (Planes == 2) values[i] = p[0] * p[0] + p[1] * p[1];
        else values[i] = p[0] * p[0];
      }
      const Vec<Real>* sums = signed_sums(values);
      for (int m = 0; m < call.n_strings; m++)
        add_to(expectation + W * m, sums[signed_sums.where(call.mask[m])] * (call.sign[m] ? Real(-1) : Real(1)));
      expectation += call.expectation_stride;
    }
    psi += call.psi_stride;
    if (bra) bra += call.bra_stride, weight += call.weight_stride;
  }
}

// (O psi)[z] = i^n_y sign (-1)^parity((z ^ x) & z_mask) psi[z ^ x]; of real states n_y is even.
template <class Real> void real_string(const qmltrain::StringCall<Real>& call) {
  const Vec<Real> lanes = xor_lanes<Real>(lane_sign<Real>(call.z_lane), call.x_lane) *
                          (call.n_y & 2 ? -call.sign : call.sign);
  const Vec<Real> weight = call.weight ? load_vector(call.weight) : Vec<Real>{};
  Vec<Real> total{};
  for (std::size_t i = call.first_row; i < call.first_row + call.n_rows; i++) {
    const std::size_t j = i ^ call.x_row;
    const Vec<Real> s = parity(j & call.z_row) ? -lanes : lanes;
    const Vec<Real> image = xor_lanes<Real>(*plane<Real>(call.psi, j * VB), call.x_lane) * s;
    if (call.expectation) total += *plane<Real>(call.psi, i * VB) * image;
    if (call.bra) *plane<Real>(call.bra, i * VB) += weight * image;
  }
  if (call.expectation) add_to(call.expectation, total);
}

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
    if (call.bra) {
      Amp<Real>* l = row<Real>(call.bra, i * 2 * VB);
      l->re += weight * re, l->im += weight * im;
    }
  }
  if (call.expectation) add_to(call.expectation, total);
  (void)W;
}

}  // namespace
