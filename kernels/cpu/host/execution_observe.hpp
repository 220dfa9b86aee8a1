// Execution: expectations of the strings, and the bra that backward starts from.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// cotangents: none, no bra. expectations: none are wanted.
template <class Real>
void Execution<Real>::observe(const StringValues& cotangents, const StringValues& expectations) {
  psi = end();
  bra = nullptr;
  bool same_weights = !cotangents.of_sample;
  for (int u = 0; u < units; u++) same_weights = same_weights && bundle.unit[u].count == int(lanes >> lane_bits);
  if (cotangents) {
    worker.bra.reserve(bra_stride * std::size_t(units) + kSkew * row_bytes);
    bra = worker.bra.get() + kSkew * row_bytes;
    load_weights(cotangents, same_weights);
  }
  // small states go side by side, large ones are cut into stripes
  const int together = shape.row_bits <= kStripeBits ? units : 1;
  for (int u = 0; u < units; u += together) observe_units(u, together, same_weights, expectations);
}

// Weights of the strings in the order of prepared.observed, [unit, or one for all][string][lane]; 0 for lanes without a
// sample.
template <class Real> void Execution<Real>::load_weights(const StringValues& cotangents, bool same) {
  const std::size_t M = prepared.strings.size(), sets = same ? 1 : std::size_t(units);
  worker.weight.reserve((sets * M + 1) * lanes * sizeof(Real));
  Real* weight = worker.weight.template as<Real>();
  for (std::size_t u = 0; u < sets; u++) {
    const Unit& unit = bundle.unit[u];
    const double* of_unit = cotangents.at(unit.first, u);
    const std::size_t of_sample = cotangents.of_sample, of_string = cotangents.of_string;
    if (!lane_bits && of_sample == 1 && unit.count == int(lanes)) {
      for (std::size_t m = 0; m < M; m++)
        for (std::size_t i = 0; i < lanes; i++)
          weight[(u * M + m) * lanes + i] = Real(of_unit[prepared.observed[m] * of_string + i]);
      continue;
    }
    for (std::size_t i = 0; i < lanes >> lane_bits; i++) {
      const bool used = int(i) < unit.count;
      const double* row = of_unit + (used ? i * of_sample : 0);
      for (std::size_t m = 0; m < M; m++)
        std::fill_n(weight + (u * M + m) * lanes + (i << lane_bits), std::size_t(1) << lane_bits,
                    used ? Real(row[prepared.observed[m] * of_string]) : Real(0));
    }
  }
}

// `count` units from the first one.
template <class Real>
void Execution<Real>::observe_units(int first_unit, int count, bool same_weights, const StringValues& expectations) {
  const std::size_t M = prepared.strings.size(), D = prepared.n_diagonal, u0 = std::size_t(first_unit);
  const char* state = psi + psi_stride * u0;
  char* bra_state = bra ? bra + bra_stride * u0 : nullptr;
  const std::size_t weight_stride = same_weights ? 0 : M * lanes;
  const Real* weight = bra ? worker.weight.template as<Real>() + weight_stride * u0 : nullptr;
  const int bits = std::min(shape.row_bits, kStripeBits);
  const std::size_t stripes = rows >> bits, sum_stride = M * lanes, section_stride = sum_stride * std::size_t(count);
  const std::size_t sections = std::min<std::size_t>(stripes, kSections);
  worker.expectation.reserve((sections * section_stride + lanes) * sizeof(Real));
  Real* sums = worker.expectation.template as<Real>();
  std::memset(sums, 0, sections * section_stride * sizeof(Real));
  each_section(stripes, [&](int section, int n, Worker& scratch) {
    const std::size_t work_numbers = (2 * lanes << bits) + lanes * std::size_t(bits + 1);
    scratch.observe.reserve(work_numbers * sizeof(Real) + 8 * D + 64);
    Real* work = scratch.observe.template as<Real>();
    std::uint32_t* mask = reinterpret_cast<std::uint32_t*>(work + work_numbers);
    std::uint8_t* lane_mask = reinterpret_cast<std::uint8_t*>(mask + D);
    std::uint8_t* sign = lane_mask + D;
    for (std::size_t i = 0; i < D; i++) {
      const Mask z = prepared.strings[prepared.observed[i]].z;
      mask[i] = std::uint32_t(shape.row_of(z) & ((Mask(1) << bits) - 1)), lane_mask[i] = std::uint8_t(shape.lane_of(z));
    }
    Real* section_sums = sums + section_stride * std::size_t(section);
    ObserveCall<Real> call{};
    call.bits = std::uint32_t(bits), call.n_strings = int(D);
    call.mask = mask, call.lane_mask = lane_mask, call.sign = sign, call.weight = weight;
    call.expectation = expectations ? section_sums : nullptr, call.work = work, call.units = count;
    call.psi_stride = psi_stride, call.bra_stride = bra_stride;
    call.weight_stride = weight_stride, call.expectation_stride = sum_stride;
    const std::size_t first = section * stripes / n, last = (section + 1) * stripes / n;
    for (std::size_t stripe = first; stripe < last; stripe++) {
      for (std::size_t i = 0; i < D; i++) {
        const std::size_t m = prepared.observed[i];
        const int minus = parity_of((stripe << bits) & shape.row_of(prepared.strings[m].z));
        sign[i] = std::uint8_t(prepared.negate_string[m] ^ minus);
      }
      const std::size_t offset = (stripe << bits) * row_bytes;
      call.psi = state + offset, call.bra = bra_state ? bra_state + offset : nullptr;
      kernels.observe(call);
      if (stripes > 1) check(&scratch == &context.workers[0]);
    }
    for (std::size_t u = 0; u < std::size_t(count); u++)
      for (std::size_t r = D; r < M; r++) {
        const StringData& t = prepared.strings[prepared.observed[r]];
        if (context.plan.real && t.n_y % 2) continue;  // i times a real number: 0, and so are its gradients
        StringCall<Real> string{};
        string.psi = state + psi_stride * u, string.bra = bra_state ? bra_state + bra_stride * u : nullptr;
        string.first_row = first << bits, string.n_rows = (last - first) << bits;
        string.x_row = shape.row_of(t.x), string.z_row = shape.row_of(t.z);
        string.x_lane = shape.lane_of(t.x), string.z_lane = shape.lane_of(t.z);
        string.n_y = t.n_y, string.sign = Real(prepared.negate_string[prepared.observed[r]] ? -1 : 1);
        string.weight = bra_state ? weight + weight_stride * u + r * lanes : nullptr;
        string.expectation = expectations ? section_sums + sum_stride * u + r * lanes : nullptr;
        kernels.string(string);
        if (stripes > 1) check(&scratch == &context.workers[0]);
      }
  });
  if (expectations) add_expectations(first_unit, count, sums, sections, expectations);
}

// sums [section][unit][string][lane] to the expectations of the samples.
template <class Real>
void Execution<Real>::add_expectations(int first_unit, int count, const Real* sums, std::size_t sections,
                                       const StringValues& expectations) const {
  const std::size_t M = prepared.strings.size(), per_sample = std::size_t(1) << lane_bits;
  const std::size_t sum_stride = M * lanes, section_stride = sum_stride * std::size_t(count);
  for (std::size_t u = 0; u < std::size_t(count); u++) {
    const Unit& unit = bundle.unit[std::size_t(first_unit) + u];
    double* to = expectations.at(unit.first, std::size_t(first_unit) + u);
    const std::size_t of_sample = expectations.of_sample, of_string = expectations.of_string;
    const Real* of_unit = sums + sum_stride * u;
    for (std::size_t r = 0; r < M; r++) {
      const std::size_t m = prepared.observed[r];
      const std::size_t lane_mask = r < prepared.n_diagonal ? std::size_t(shape.lane_of(prepared.strings[m].z)) : 0;
      if (!lane_bits && sections == 1) {  // a sample a lane
        const Real* sum = of_unit + r * lanes;
        for (int i = 0; i < unit.count; i++)
          to[std::size_t(i) * of_sample + m * of_string] = (0.0 + double(sum[i])) * prepared.expectation_factor;
        continue;
      }
      for (int i = 0; i < unit.count; i++) {
        double total = 0;
        for (std::size_t section = 0; section < sections; section++) {
          const Real* sum = of_unit + section_stride * section + r * lanes + std::size_t(i) * per_sample;
          for (std::size_t low = 0; low < per_sample; low++)
            total += parity_of(low & lane_mask) ? -double(sum[low]) : double(sum[low]);
        }
        to[std::size_t(i) * of_sample + m * of_string] = total * prepared.expectation_factor;
      }
    }
  }
}

}  // namespace qmltrain
