// Execution: per-sample angles, to what the kernels take and back to gradients.
//
// Of each unit: (cosines, sines) of half of beta of every per-sample rotation, a number a lane; integer angles of every
// per-sample term; of merged runs the cosines and sines of their gates, alpha and gamma, packed: vectors of
// (run, sample), whatever lies in the lanes.
#pragma once
#include "execution.hpp"

namespace qmltrain {

template <class Real> void Execution<Real>::load_angles() {
  if (!shape.start.empty()) load_start();
  n_sample_rotations = shape.sample_runs.size(), n_sample_terms = 0;
  cos_sin_stride = 2 * lanes * n_sample_rotations;
  for (const DiagonalStage& stage : shape.stages) n_sample_terms += stage.diagonal.sample_terms.size();
  if (!n_sample_rotations && !n_sample_terms) return;
  // half angles worked out at once
  std::size_t longest = std::max((lanes >> lane_bits) * n_sample_rotations + lanes, lanes * n_sample_terms);
  for (const MergedRuns& m : shape.merged) longest = std::max(longest, lanes * m.vectors * m.axes.size());
  const std::size_t of_unit = lanes * (4 * n_sample_rotations + n_sample_terms) + shape.merged_numbers;
  const std::size_t reals = of_unit * std::size_t(units);
  worker.unit_angles.reserve(reals * sizeof(Real) + 128 + (8 + 2 * sizeof(Real)) * longest);
  const std::size_t numbers = cos_sin_stride * std::size_t(units);
  cos_sin = worker.unit_angles.template as<Real>();
  lane_cos_sin = cos_sin + numbers;
  merged = lane_cos_sin + numbers;
  term_angles = reinterpret_cast<IntegerAngle<Real>*>(merged + shape.merged_numbers * std::size_t(units));
  for (int u = 0; u < units; u++) load_angles(u);
}

template <class Real> void Execution<Real>::load_angles(int u) {
  const std::size_t of_unit = cos_sin_stride * std::size_t(u);
  Real *rotations = cos_sin + of_unit, *lane_rotations = lane_cos_sin + of_unit;
  if (n_sample_rotations) {
    load_runs(u, rotations);
    load_merged(u, rotations);
  }
  for (const DiagonalStage& stage : shape.stages)
    for (const LaneRotationShape& l : stage.lanes) {
      const ShapeRotation& r = shape.rotations[l.rotation];
      if (r.sample_index < 0) continue;
      const Real* from = rotations + 2 * std::size_t(r.sample_index) * lanes;
      Real* to = lane_rotations + 2 * std::size_t(r.sample_index) * lanes;
      for (std::size_t i = 0; i < lanes; i++) {
        to[i] = from[i];
        const Real sine = parity_of(i & Mask(l.lane_parity)) ? from[lanes + i] : -from[lanes + i];
        to[lanes + i] = sine * prepared.tangent[l.rotation];
      }
    }
  load_terms(u);
}

// Values of one angle of the plan for the samples of a unit: half[sample] = or += half of it.
template <class Real>
void Execution<Real>::load_half(const Unit& unit, int angle_index, bool add, double* half) const {
  const AngleData& angle = context.plan.angles[std::size_t(angle_index)];
  const std::size_t samples = lanes >> lane_bits, n_slots = std::size_t(context.plan.n_per_sample);
  if (!angle.per_sample) {  // shared or constant
    const double x = angle.slot < 0 ? 0 : context.gate_runs.values()[std::size_t(angle.slot)];
    const double value = 0.5 * (angle.coefficient * x + angle.offset);
    for (std::size_t i = 0; i < samples; i++) half[i] = add ? half[i] + value : value;
    return;
  }
  const double* values = inputs.per_sample + std::size_t(unit.first - inputs.first) * n_slots + angle.slot;
  const double coefficient = angle.coefficient, offset = angle.offset;
  const std::size_t count = std::size_t(unit.count);
  for (std::size_t i = 0; i < count; i++) {
    const double value = 0.5 * (coefficient * values[i * n_slots] + offset);
    half[i] = add ? half[i] + value : value;
  }
  for (std::size_t i = count; i < samples; i++) half[i] = half[count - 1];
}

// Rotations by one angle, or by the sum of several about y.
template <class Real> void Execution<Real>::load_runs(int u, Real* rotations) {
  const std::size_t samples = lanes >> lane_bits;
  double* half = half_angles();
  std::size_t n = 0;
  for (const SampleRun& run : shape.sample_runs) {
    if (!run.real) continue;
    for (int k = 0; k < run.count; k++) load_half(bundle.unit[u], run.first + k, k > 0, half + n * samples);
    n++;
  }
  if (!n) return;
  const std::size_t vectors = (n * samples + lanes - 1) / lanes;
  std::fill(half + n * samples, half + lanes * vectors, 0.0);
  // where no qubits lie in the lanes and none is merged, what comes is what is wanted
  const bool in_place = !lane_bits && n == n_sample_rotations;
  Real* packed = in_place ? rotations : reinterpret_cast<Real*>(half + lanes * vectors);
  kernels.cos_sin(vectors, half, packed);
  std::size_t place = 0;
  for (std::size_t i = 0; !in_place && i < n_sample_rotations; i++)
    if (shape.sample_runs[i].real) spread_rotation(packed, place++, rotations + 2 * i * lanes);
}

// Cosines and sines of rotation `place` of packed ones, to the lanes.
template <class Real>
void Execution<Real>::spread_rotation(const Real* packed, std::size_t place, Real* to) const {
  const std::size_t samples = lanes >> lane_bits;
  for (std::size_t lane = 0; lane < lanes; lane++) {
    const std::size_t at = place * samples + (lane >> lane_bits), from = at / lanes * 2 * lanes + at % lanes;
    to[lane] = packed[from], to[lanes + lane] = packed[from + lanes];
  }
}

template <class Real> void Execution<Real>::load_merged(int u, Real* rotations) {
  const std::size_t samples = lanes >> lane_bits;
  double* half = half_angles();
  for (std::size_t group = 0; group < shape.merged.size(); group++) {
    const MergedRuns& m = shape.merged[group];
    const MergedPlace place = merged_place(u, group);
    const std::size_t of_gate = lanes * place.vectors, used = m.runs.size() * samples;
    for (std::size_t k = 0; k < m.axes.size(); k++) {
      double* of_run = half + of_gate * k;
      for (int run : m.runs) {
        load_half(bundle.unit[u], shape.sample_runs[std::size_t(run)].first + int(k), false, of_run);
        of_run += samples;
      }
      std::fill(half + of_gate * k + used, half + of_gate * (k + 1), 0.0);
    }
    kernels.cos_sin(place.vectors * m.axes.size(), half, place.gates);
    Real* packed = reinterpret_cast<Real*>(half);
    kernels.sample_euler(place.vectors, int(m.axes.size()), m.axes.data(), place.gates, packed, place.alpha,
                         place.gamma);
    for (std::size_t i = 0; i < m.runs.size(); i++)
      spread_rotation(packed, i, rotations + 2 * lanes * std::size_t(m.runs[i]));
  }
}

template <class Real> void Execution<Real>::load_terms(int u) {
  const Unit& unit = bundle.unit[u];
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample);
  IntegerAngle<Real>* to = term_angles + lanes * n_sample_terms * std::size_t(u);
  if (shape.factored) return load_terms_at_once(u, to);
  for (std::size_t i = 0; i < shape.stages.size(); i++)
    for (const SampleTerm& t : shape.stages[i].diagonal.sample_terms) {
      const bool minus = parity_of(t.where.mask & prepared.frame[i]);
      for (std::size_t lane = 0; lane < lanes; lane++) {
        const std::size_t sample = std::size_t(sample_of_lane(unit, lane) - inputs.first);
        const double x = inputs.per_sample[sample * n_slots + std::size_t(t.index)];
        const IntegerAngle<Real> a = integer_angle<Real>(t.coefficient * x + t.offset);
        to[lane] = minus ? IntegerAngle<Real>(0) - a : a;
      }
      to += lanes;
    }
}

// The same by a kernel, which may round the last bit of an angle otherwise; and those of merged runs, which are there.
template <class Real> void Execution<Real>::load_terms_at_once(int u, IntegerAngle<Real>* to) {
  const Unit& unit = bundle.unit[u];
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample), samples = lanes >> lane_bits;
  const double* values = inputs.per_sample + std::size_t(unit.first - inputs.first) * n_slots;
  const std::size_t count = std::size_t(unit.count);
  double *half = half_angles(), *next = half;
  for (std::size_t i = 0; i < shape.stages.size(); i++)
    for (const SampleTerm& t : shape.stages[i].diagonal.sample_terms) {
      if (t.source != kSampleSlot) continue;
      const double sign = parity_of(t.where.mask & prepared.frame[i]) ? -0.5 : 0.5;
      const double *from = values + t.index, coefficient = sign * t.coefficient, offset = sign * t.offset;
      for (std::size_t lane = 0; lane < lanes; lane++)
        next[lane] = coefficient * from[std::min(lane >> lane_bits, count - 1) * n_slots] + offset;
      next += lanes;
    }
  const std::size_t vectors = std::size_t(next - half) / lanes;
  auto* packed = reinterpret_cast<IntegerAngle<Real>*>(next);
  kernels.integer_angles(vectors, half, packed);
  for (std::size_t i = 0; i < shape.stages.size(); i++)
    for (const SampleTerm& t : shape.stages[i].diagonal.sample_terms) {
      if (t.source == kSampleSlot) {
        std::copy_n(packed, lanes, to);
        packed += lanes;
      } else {  // a whole angle, its coefficient +-1
        const SampleRun& run = shape.sample_runs[std::size_t(shape.sample_run_of[std::size_t(t.index)])];
        const MergedPlace place = merged_place(u, std::size_t(run.group));
        const IntegerAngle<Real>* from =
            (t.source == kAlpha ? place.alpha : place.gamma) + samples * std::size_t(run.place);
        const bool minus = parity_of(t.where.mask & prepared.frame[i]) != (t.coefficient < 0);
        const IntegerAngle<Real> flip = minus ? ~IntegerAngle<Real>(0) : 0;  // -a is ~a + 1
        const IntegerAngle<Real> one = minus ? 1 : 0;
        if (lane_bits == 0)
          for (std::size_t lane = 0; lane < lanes; lane++) to[lane] = (from[lane] ^ flip) + one;
        else
          for (std::size_t lane = 0; lane < lanes; lane++) to[lane] = (from[lane >> lane_bits] ^ flip) + one;
      }
      to += lanes;
    }
}

// v of merged runs to gradients of their angles: per-sample ones to `out`, shared ones to raw sums.
template <class Real>
void Execution<Real>::collect_merged(int u, const Real* accumulators, const Gradients& out, double* unit_sums,
                                     double* raw) {
  const Unit& unit = bundle.unit[u];
  const std::size_t samples = lanes >> lane_bits, R = prepared.raw_accumulator.size();
  const std::size_t n_slots = std::size_t(context.plan.n_per_sample);
  for (std::size_t group = 0; group < shape.merged.size(); group++) {
    const MergedRuns& m = shape.merged[group];
    const auto wanted = [&](int run) { return out.per_sample || shape.sample_runs[std::size_t(run)].has_shared; };
    if (std::none_of(m.runs.begin(), m.runs.end(), wanted)) continue;
    const MergedPlace place = merged_place(u, group);
    const std::size_t row = lanes * place.vectors;
    worker.w.reserve((3 + m.axes.size()) * row * sizeof(Real));
    Real *v = worker.w.template as<Real>(), *along = v + 3 * row;
    std::memset(v, 0, 3 * row * sizeof(Real));
    for (std::size_t i = 0; i < shape.merged_rows.size(); i++) {
      const MergedRow& of_run = shape.merged_rows[i];
      const ShapeRotation& r = shape.rotations[std::size_t(of_run.rotation)];
      const SampleRun& run = shape.sample_runs[std::size_t(r.sample_index)];
      if (run.group != int(group) || !wanted(r.sample_index)) continue;
      Real* to = v + samples * std::size_t(run.place);
      const auto& factor = prepared.merged_factor[i];
      add_lanes(accumulators + lanes * std::size_t(r.accumulator), 0, factor[0], to);
      add_lanes(accumulators + lanes * std::size_t(r.accumulator + 1), of_run.y_lane_mask, factor[1], to + row);
      add_lanes(accumulators + lanes * std::size_t(r.z_accumulator), r.z_lane_mask, factor[2], to + 2 * row);
    }
    kernels.sample_chain(place.vectors, int(m.axes.size()), m.axes.data(), place.gates, place.gamma, v, along);
    for (std::size_t i = 0; i < m.runs.size(); i++)
      for (std::size_t k = 0; k < m.axes.size(); k++) {
        const int angle_index = shape.sample_runs[std::size_t(m.runs[i])].first + int(k);
        const AngleData& angle = context.plan.angles[std::size_t(angle_index)];
        const Real* from = along + row * k + samples * i;
        if (angle.slot < 0) continue;
        if (angle.per_sample) {
          if (!out.per_sample) continue;
          double* to = out.per_sample + std::size_t(unit.first - out.first) * n_slots + angle.slot;
          for (int s = 0; s < unit.count; s++) to[std::size_t(s) * n_slots] += angle.coefficient * double(from[s]);
          continue;
        }
        const std::size_t raw_row = std::size_t(context.gate_runs.sample_row(angle_index));
        double sum = 0;
        for (int s = 0; s < unit.count; s++) sum += double(from[s]);
        unit_sums[raw_row] += sum;
        for (int s = 0; raw && s < unit.count; s++) raw[std::size_t(unit.first + s) * R + raw_row] += double(from[s]);
      }
  }
}

// to[sample] = factor * sum over its lanes, with lane signs
template <class Real>
void Execution<Real>::add_lanes(const Real* from, int lane_mask, double factor, Real* to) const {
  const std::size_t per_sample = std::size_t(1) << lane_bits;
  const Real f = Real(factor);
  if (!lane_bits) {
    for (std::size_t i = 0; i < lanes; i++) to[i] = f * from[i];
    return;
  }
  for (std::size_t sample = 0; sample < lanes >> lane_bits; sample++) {
    Real total = 0;
    for (std::size_t lane = sample * per_sample; lane < (sample + 1) * per_sample; lane++)
      total += parity_of(lane & std::size_t(lane_mask)) ? -from[lane] : from[lane];
    to[sample] = f * total;
  }
}

}  // namespace qmltrain
