// Execution: a product start (simd/product_start.hpp): factors of the qubits, the state, and the gradients at its end.
//
// Of a long state the high indices are cut into sections, a fixed number of them, whatever the threads.
#pragma once
#include "execution.hpp"

namespace qmltrain {

template <class Real> StartRows Execution<Real>::start_rows() const {
  const Offset* offsets = shape.offsets.data();
  return {offsets + shape.start_rows.low, offsets + shape.start_rows.high, lane_bits, shape.start_low_bits,
          shape.row_bits - shape.start_low_bits};
}

template <class Real> int Execution<Real>::start_sections(const StartRows& at) const {
  return shape.share_bits || !shape.resident ? std::min(1 << std::min(at.high_bits, 10), kSections) : 1;
}

// Factors of all units, for the angles of their samples, and tables of their products.
template <class Real> void Execution<Real>::load_start() {
  const std::size_t samples = lanes >> lane_bits, pairs = std::size_t(shape.start_pairs);
  const std::size_t vectors = (pairs * samples + lanes - 1) / lanes, of_unit = start_stride() + factor_stride() + table_stride();
  worker.start.reserve((of_unit * std::size_t(units) + 2 * lanes * vectors) * sizeof(Real) +
                       lanes * vectors * sizeof(double));
  start_cos_sin = worker.start.template as<Real>();
  start_factors = start_cos_sin + start_stride() * std::size_t(units);
  start_tables = start_factors + factor_stride() * std::size_t(units);
  Real* packed = start_tables + table_stride() * std::size_t(units);
  double* half = reinterpret_cast<double*>(packed + 2 * lanes * vectors);
  for (int u = 0; u < units; u++) {
    Real* cos_sin_of_unit = start_cos_sin + start_stride() * std::size_t(u);
    if (pairs) load_start(u, half, lane_bits ? packed : cos_sin_of_unit);
    Real* factors = start_factors + factor_stride() * std::size_t(u);
    kernels.start_factors(prepared.start_rotations.data(), prepared.start_rotations.size(), shape.n_qubits,
                          cos_sin_of_unit, factors);
    kernels.start_tables(start_rows(), factors, start_tables + table_stride() * std::size_t(u));
  }
}

// Cosines and sines of half the angles of unit u, [pair][sample], then spread over the lanes where qubits lie there.
template <class Real> void Execution<Real>::load_start(int u, double* half, Real* packed) {
  const Unit& unit = bundle.unit[u];
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample), samples = lanes >> lane_bits;
  const std::size_t pairs = std::size_t(shape.start_pairs), vectors = (pairs * samples + lanes - 1) / lanes;
  const double* values = inputs.per_sample + std::size_t(unit.first - inputs.first) * n_slots;
  auto row_of_sample = [&](std::size_t sample) {
    return values + std::min(sample, std::size_t(unit.count) - 1) * n_slots;
  };
  for (const StartRotationShape& one : shape.start) {
    if (one.sample_rotation >= 0)
      for (std::size_t sample = 0; sample < samples; sample++)
        half[std::size_t(one.sample_rotation) * samples + sample] =
            0.5 * (one.angle.coefficient * row_of_sample(sample)[one.angle.slot] + one.angle.offset);
    if (one.sample_phase >= 0)
      for (std::size_t sample = 0; sample < samples; sample++) {
        double sum = 0;
        for (const SampleTerm& t : one.sample_terms) sum += t.coefficient * row_of_sample(sample)[t.index] + t.offset;
        half[std::size_t(one.sample_phase) * samples + sample] = 0.5 * sum;
      }
  }
  std::fill(half + pairs * samples, half + lanes * vectors, 0.0);
  kernels.cos_sin(vectors, half, packed);
  if (!lane_bits) return;
  Real* to = start_cos_sin + start_stride() * std::size_t(u);
  for (std::size_t i = 0; i < pairs; i++)
    for (std::size_t lane = 0; lane < lanes; lane++) {
      const std::size_t at = i * samples + (lane >> lane_bits), from = at / lanes * 2 * lanes + at % lanes;
      to[2 * i * lanes + lane] = packed[from], to[(2 * i + 1) * lanes + lane] = packed[from + lanes];
    }
}

template <class Real> void Execution<Real>::write_start(int u, char* state) {
  const StartRows at = start_rows();
  const Real* tables = start_tables + table_stride() * std::size_t(u);
  const std::size_t high = std::size_t(1) << at.high_bits;
  if (start_sections(at) == 1) return kernels.start_state(at, tables, 0, high, state);
  each_section(high, [&](int section, int n, Worker&) {
    kernels.start_state(at, tables, section * high / n, (section + 1) * high / n, state);
  });
}

// v to its accumulators, where gradients are wanted.
template <class Real> void Execution<Real>::start_backward(int u, Real* accumulators, bool samples) {
  if (!shape.start_measured[samples]) return;
  const StartRows at = start_rows();
  const std::size_t high = std::size_t(1) << at.high_bits, low = std::size_t(1) << at.low_bits;
  const int sections = start_sections(at);
  worker.start_sums.reserve((start_value() * (high + low * std::size_t(sections)) + factor_stride()) * sizeof(Real));
  Real *m = worker.start_sums.template as<Real>(), *n = m + start_value() * high;
  Real* environments = n + start_value() * low * std::size_t(sections);
  Real* factors = start_factors + factor_stride() * std::size_t(u);
  const Real* tables = start_tables + table_stride() * std::size_t(u);
  const char* of_unit = bra + bra_stride * std::size_t(u);
  if (sections == 1) kernels.start_contract(at, tables, 0, high, of_unit, m, n);
  else each_section(high, [&](int section, int count, Worker&) {
    kernels.start_contract(at, tables, section * high / count, (section + 1) * high / count, of_unit, m,
                           n + start_value() * low * std::size_t(section));
  });
  kernels.start_environments(at, factors, tables, m, n, sections, environments);
  kernels.start_gradients(prepared.start_rotations.data(), prepared.start_rotations.size(), samples,
                          start_cos_sin + start_stride() * std::size_t(u), factors, environments, accumulators);
}

}  // namespace qmltrain
