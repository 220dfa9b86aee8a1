// Shape: the product start, one-qubit gates before anything entangles: its rotations, rows, and where its v go.
#include <algorithm>

#include "shape.hpp"

namespace qmltrain {

namespace {
constexpr int kLowStartBits = 6;     // rows of a table that stays in the first cache, for states
constexpr int kMostTiledStart = 16;  // of no more row bits; of longer ones, both tables grow alike
}

void Shape::add_start(const PlanData& plan, const GateRuns& gate_runs) {
  int row = term_row_;  // of its terms: after those of the passes
  for (const StartData& data : plan.start) {
    StartRotationShape one;
    one.bit = data.bit, one.gate_run = data.gate_run, one.flip = data.flip;
    const GateRunData& run = plan.gate_runs[data.gate_run];
    const bool trained = gate_runs.trainable(data.gate_run);
    one.wanted[0] = trained && !run.per_sample;
    if (run.per_sample) one.sample_rotation = start_pairs++, one.angle = plan.angles[run.first];
    if (data.sample_count) one.sample_phase = start_pairs++;
    for (int i = data.first; i < data.first + data.count; i++) {
      const TermData& t = plan.terms[i];
      one.phase.constant += t.sign * t.offset;
      if (t.source == kConstant) continue;
      const int raw_row = t.source == kSlot ? row++ : -1;
      one.phase.sources.push_back({t.source, t.index, t.sign * t.coefficient, raw_row});
      if (raw_row >= 0) one.wanted[0] = true;
    }
    for (int i = data.sample_first; i < data.sample_first + data.sample_count; i++) {
      const TermData& t = plan.terms[i];
      one.sample_terms.push_back({PhaseTerm(t.mask), t.source, t.index, t.sign * t.coefficient, t.sign * t.offset});
    }
    one.wanted[1] = one.wanted[0] || trained || data.sample_count;
    for (const bool samples : {false, true}) start_measured[samples] = start_measured[samples] || one.wanted[samples];
    if (one.wanted[1]) one.accumulator = n_accumulators, n_accumulators += 3;
    if (!start.empty() && start.back().bit == data.bit)
      for (const bool samples : {false, true})
        one.before[samples] = start.back().before[samples] || start.back().wanted[samples];
    const int v_y = one.accumulator + 1, v_z = one.accumulator + 2;
    const Measured flipped = data.flip ? Measured::kMinusStart : Measured::kStart;
    if (trained && run.per_sample) {
      const double coefficient = data.flip ? -one.angle.coefficient : one.angle.coefficient;
      sample_rows.push_back({v_y, 0, one.angle.slot, coefficient, -1, -1, 0});
    } else if (trained) {
      raw_rows.push_back({v_y, 0, 3 * data.gate_run + 1, flipped, -1, -1, 0});
      if (!run.real) {
        raw_rows.push_back({one.accumulator, 0, 3 * data.gate_run, Measured::kStart, -1, -1, 0});
        raw_rows.push_back({v_z, 0, 3 * data.gate_run + 2, flipped, -1, -1, 0});
      }
    }
    for (const PhaseTerm::Source& source : one.phase.sources)
      if (source.raw_row >= 0) raw_rows.push_back({v_z, 0, source.raw_row, Measured::kStart, -1, -1, 0});
    for (const SampleTerm& t : one.sample_terms)
      sample_rows.push_back({v_z, 0, t.index, t.coefficient, -1, -1, 0});
    start.push_back(std::move(one));
  }
  start_low_bits = row_bits > kMostTiledStart ? row_bits / 2 : std::min((row_bits + 1) / 2, kLowStartBits);
  std::vector<Offset> low, high;
  for (Mask l = 0; l < Mask(1) << start_low_bits; l++) low.push_back(spread.row(l) * row_bytes);
  for (Mask h = 0; h < Mask(1) << (row_bits - start_low_bits); h++)
    high.push_back(spread.row(h << start_low_bits) * row_bytes);
  start_rows.low = intern(low), start_rows.high = intern(high);
}

}  // namespace qmltrain
