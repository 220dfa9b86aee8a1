// Execution: accumulators to raw sums, per-sample gradients, the bra at the start and drift.
#pragma once
#include <cmath>
#include <complex>
#include <limits>

#include "execution.hpp"

namespace qmltrain {

// Of unit u. unit_sums: its row of raw sums (R); raw: (B, R), or nullptr.
template <class Real>
void Execution<Real>::collect(int u, const Real* accumulators, const Gradients& out, double* unit_sums, double* raw) {
  const Unit& unit = bundle.unit[u];
  const char* state = psi + psi_stride * std::size_t(u);
  char* bra_of_unit = bra + bra_stride * std::size_t(u);
  const std::size_t R = prepared.raw_accumulator.size(), per_sample = std::size_t(1) << lane_bits;
  for (const auto& [first, count] : prepared.raw_ranges)
    kernels.sum_lanes(accumulators, prepared.raw_accumulator.data() + first,
                      lane_bits ? prepared.raw_lane.data() + first : nullptr, prepared.raw_factor.data() + first, count,
                      unit.count << lane_bits, unit_sums + first);
  auto sample_sum = [&](std::size_t index, std::size_t lane_mask, int sample) {
    double total = 0;
    for (std::size_t lane = std::size_t(sample) * per_sample; lane < (std::size_t(sample) + 1) * per_sample; lane++) {
      const double x = double(accumulators[index * lanes + lane]);
      total += parity_of(lane & lane_mask) ? -x : x;
    }
    return total;
  };
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample);
  for (std::size_t r = 0; out.per_sample && r < shape.sample_rows.size(); r++) {
    const SampleRow& row = shape.sample_rows[r];
    double* to = out.per_sample + std::size_t(unit.first - out.first) * n_slots + row.slot;
    if (!lane_bits) {  // a sample a lane
      const Real* from = accumulators + lanes * std::size_t(row.accumulator);
      const double factor = prepared.sample_factor[r];
      for (int i = 0; i < unit.count; i++) to[std::size_t(i) * n_slots] += factor * (0.0 + double(from[i]));
      continue;
    }
    for (int i = 0; i < unit.count; i++) {
      const double sum = sample_sum(std::size_t(row.accumulator), std::size_t(row.lane_mask), i);
      to[std::size_t(i) * n_slots] += prepared.sample_factor[r] * sum;
    }
  }
  if (raw)
    for (int i = 0; i < unit.count; i++)
      for (std::size_t r = 0; r < R; r++) {
        const double sum = sample_sum(prepared.raw_accumulator[r], prepared.raw_lane[r], i);
        raw[std::size_t(unit.first + i) * R + r] = prepared.raw_factor[r] * sum;
      }
  if (!shape.merged.empty()) collect_merged(u, accumulators, out, unit_sums, raw);
  read_bra(u, prepared.bra_end, out);
  if (!out.drift) return;
  // Only a psi that was un-applied all the way tells the rounding of the whole circuit.
  const bool reversed = context.settings.interval <= 0 && !prepared.keep;
  double* drift = out.drift + (unit.first - out.first);
  if (reversed && !shape.start.empty()) {
    kernels.start_distances(start_rows(), start_tables + table_stride() * std::size_t(u), state, prepared.psi_end,
                            unit.count, drift);
  } else if (reversed && initial_product(u)) {
    Real* numbers = worker.observe.template as<Real>();
    kernels.product_distances(state, shape.row_bits, numbers, numbers + lanes, prepared.psi_end, lane_bits, unit.count,
                              numbers + lanes * (1 + 2 * std::size_t(shape.row_bits)), drift);
  } else if (reversed) {
    write_initial(u, bra_of_unit);
    kernels.distances(state, bra_of_unit, rows, prepared.psi_end, lane_bits, unit.count, drift);
  }
  for (int i = 0; i < unit.count; i++)
    drift[i] = reversed ? std::sqrt(drift[i]) : std::numeric_limits<double>::quiet_NaN();
}

// The bra at the start, by basis states, of unit u; the true one is `scale` times what is stored.
template <class Real> void Execution<Real>::read_bra(int u, double scale, const Gradients& out) const {
  if (!out.initial && !out.initial_real) return;
  const Unit& unit = bundle.unit[u];
  const char* bra_of_unit = bra + bra_stride * std::size_t(u);
  const std::size_t size = std::size_t(1) << shape.n_qubits, per_sample = std::size_t(1) << lane_bits;
  auto* whole = static_cast<std::complex<Real>*>(out.initial);
  // Samples lie a power of two apart, where a few of them fill a set of the first cache: a line of each at a time.
  constexpr std::size_t kLine = 64 / sizeof(double);
  for (std::size_t first = 0; first < rows; first += kLine) {
    const std::size_t n = std::min(kLine, rows - first);
    const Real* row[kLine];
    for (std::size_t j = 0; j < n; j++)
      row[j] = reinterpret_cast<const Real*>(bra_of_unit + shape.spread.row(first + j) * row_bytes);
    for (std::size_t i = 0; i < std::size_t(unit.count); i++)
      for (std::size_t j = 0; j < n; j++)
        for (std::size_t low = 0; low < per_sample; low++) {
          const std::size_t lane = i * per_sample + low, index = (first + j) << lane_bits | low;
          const Real real = Real(row[j][lane] * scale);
          if (out.initial_real)
            out.initial_real[(std::size_t(unit.first - out.first) + i) * size + index] = double(real);
          if (whole)
            whole[(std::size_t(unit.first) + i) * size + index] = {
                real, context.planes == 2 ? Real(row[j][lanes + lane] * scale) : Real(0)};
        }
  }
}

}  // namespace qmltrain
