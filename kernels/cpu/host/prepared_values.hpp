// PreparedShape: what is left out of scaled rotations (factors, XZ) goes into scales and signs, forward and back.
//
// What is stored is not psi but, up to a sign, X^F Z^G psi / scale:
//
//   scale   RY(beta') = cos(beta'/2) [[1, -t], [t, 1]], t = tan(beta'/2): the factor cos is left out of the data and
//           multiplied into `scale`. Every diagonal stage multiplies by the scale so far and starts it again at 1.
//   frame   where |tan(beta/2)| > 1 an XZ is split off, RY(beta) = RY(beta - pi) XZ up to a sign, so that |t| <= 1. It
//           is not done to the data: X^pair Z^parity joins the frame, F ^= pair, G ^= parity.
//
// A frame changes signs only: a later rotation has t -> -t where parity(F & parity) ^ parity(G & pair), a phase term of
// a mask has angle -> -angle where parity(F & mask). Likewise v_x, v_z, v_y of a rotation as measured on the stored
// states change sign with parity(G & pair), parity(F & parity), and both.
#pragma once
#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "prepared_shape.hpp"

namespace qmltrain {

template <class Real> double PreparedShape<Real>::term_angle(const PhaseTerm& term, const double* shared) const {
  const GateRuns& runs = context_.gate_runs;
  double angle = term.constant;
  for (const PhaseTerm::Source& s : term.sources)
    angle += s.coefficient * (s.source == kSlot    ? shared[s.index]
                              : s.source == kAlpha ? runs.alpha[s.index]
                                                   : runs.gamma[s.index]);
  return angle;
}

// Shared terms of all diagonal stages in the order of `angles`, in one piece: a step of a small circuit notices.
template <class Real> void PreparedShape<Real>::list_terms() {
  const GateRuns& runs = context_.gate_runs;
  first_angle.assign(shape.stages.size(), 0);
  std::vector<ListedSource> more;
  for (const Pass& pass : shape.passes)
    for (const CallShape& call : pass.forward) {
      if (call.kind == CallShape::kRotate) continue;
      first_angle[call.index] = terms_.size();
      for (const PhaseTerm& term : shape.stages[call.index].diagonal.terms) {
        const std::uint32_t number = std::uint32_t(terms_.size());
        auto listed = [&](std::size_t i) {
          if (i >= term.sources.size()) return ListedSource{0, number, std::uint32_t(runs.zero_place())};
          const PhaseTerm::Source& s = term.sources[i];
          return ListedSource{s.coefficient, number, std::uint32_t(runs.place_of(s.source, s.index))};
        };
        sources_.push_back(listed(0)), sources_.push_back(listed(1));
        for (std::size_t i = 2; i < term.sources.size(); i++) more.push_back(listed(i));
        terms_.push_back({term.constant, term.mask, call.index});
      }
    }
  sources_.insert(sources_.end(), more.begin(), more.end());
  const std::size_t padded = (terms_.size() / context_.lanes + 1) * context_.lanes;
  angles_.reserve(padded * sizeof(Real)), cycles_.reserve(padded * sizeof(double));
  std::fill_n(cycles_.template as<double>(), padded, 0.0);
  angles = angles_.template as<IntegerAngle<Real>>();
  negate_term_.assign(terms_.size(), 0);
  list_rows();
}

// Raw rows, with where set_factors() finds factor and sign of each.
template <class Real> void PreparedShape<Real>::list_rows() {
  const std::size_t n_rotations = shape.rotations.size(), n_stages = shape.stages.size();
  const std::size_t n_raw = std::size_t(context_.gate_runs.n_raw());
  raw_factor.assign(n_raw, 0), raw_accumulator.assign(n_raw, 0), raw_lane.assign(n_raw, 0);
  auto term_of = [&](const RawRow& r) {
    const std::vector<PhaseTerm>& terms = shape.stages[std::size_t(r.stage)].diagonal.terms;
    const auto found = std::find_if(terms.begin(), terms.end(), [&](const PhaseTerm& t) { return t.mask == r.mask; });
    if (found == terms.end()) throw std::logic_error("a raw row is of no term");
    return first_angle[std::size_t(r.stage)] + std::size_t(found - terms.begin());
  };
  for (const RawRow& r : shape.raw_rows) {
    raw_accumulator[std::size_t(r.row)] = std::uint32_t(r.accumulator);
    raw_lane[std::size_t(r.row)] = std::uint8_t(r.lane_mask);
    std::size_t factor = n_rotations + n_stages, sign = 3 * n_rotations;
    if (r.stage >= 0) factor = n_rotations + std::size_t(r.stage);
    else if (r.rotation >= 0) factor = std::size_t(r.rotation);
    const std::size_t rotation = std::size_t(r.rotation);
    switch (r.measured) {
      case Measured::kVx: sign = rotation; break;
      case Measured::kVy:
      case Measured::kMinusVy: sign = n_rotations + rotation; break;
      case Measured::kVz: sign = 2 * n_rotations + rotation; break;
      case Measured::kStart:
      case Measured::kMinusStart: break;
      case Measured::kPhase: sign = 3 * n_rotations + 1 + term_of(r); break;
    }
    const bool minus = r.measured == Measured::kMinusVy || r.measured == Measured::kMinusStart;
    rows_.push_back({std::uint32_t(r.row), std::uint32_t(factor), std::uint32_t(2 * sign + minus)});
  }
}

// As term_angle, of all.
template <class Real> template <class Parity> void PreparedShape<Real>::set_angles(Parity parity) {
  const double* values = context_.gate_runs.values();
  double* cycles = cycles_.template as<double>();
  // bytes may be part of anything: a compiler would look for all arrays again after each
  const ListedTerm* terms = terms_.data();
  const ListedSource* sources = sources_.data();
  const Mask* frames = frame.data();
  std::uint8_t* negate = negate_term_.data();
  const std::size_t n = terms_.size(), n_sources = sources_.size();
  for (std::size_t i = 0; i < n; i++) {
    const ListedSource &a = sources[2 * i], &b = sources[2 * i + 1];
    cycles[i] = terms[i].constant + a.coefficient * values[a.place] + b.coefficient * values[b.place];
  }
  for (std::size_t i = 2 * n; i < n_sources; i++)
    cycles[sources[i].term] += sources[i].coefficient * values[sources[i].place];
  for (std::size_t i = 0; i < n; i++) {
    const std::uint8_t minus = std::uint8_t(parity(terms[i].mask & frames[terms[i].stage]));
    negate[i] = minus, cycles[i] = with_sign(cycles[i] * 0.079577471545947667884, minus);  // of half the angle
  }
  context_.kernels.integers_of_cycles(n / context_.lanes + 1, cycles, angles);
}

// Parities of masks of few bits without counting.
struct ParityOfByte {
  static constexpr std::array<std::uint8_t, 256> kParity = [] {
    std::array<std::uint8_t, 256> found{};
    for (unsigned i = 0; i < found.size(); i++) found[i] = std::uint8_t(__builtin_parity(i));
    return found;
  }();
  int operator()(Mask mask) const { return kParity[mask]; }
};
struct ParityOfMask {
  int operator()(Mask mask) const { return parity_of(mask); }
};

template <class Real> void PreparedShape<Real>::prepare_values(const double* shared) {
  const std::size_t n_rotations = shape.rotations.size(), n_stages = shape.stages.size();
  if (!built_) {  // stages that only measure are not met in time order: they stay as they are here
    tangent.assign(n_rotations + 1, 0), negate_y.assign(n_rotations, 0), negate_x = negate_y, negate_z = negate_y;
    scale.assign(n_stages, 1), frame.assign(n_stages, 0);
    list_terms();
  }
  lane_sine_.reserve((n_rotations + 1) * context_.lanes * sizeof(Real));
  if (context_.plan.n_qubits <= 8) go_through(ParityOfByte());
  else go_through(ParityOfMask());
  if (!shape.start.empty()) prepare_start(shared);
}

// In time order.
template <class Real> template <class Parity> void PreparedShape<Real>::go_through(Parity parity) {
  const Shape& s = shape;
  const GateRuns& runs = context_.gate_runs;
  Mask F = 0, G = 0;
  double now = 1;  // the scale: true = now * stored
  const ShapeRotation* const rotations = s.rotations.data();
  const std::uint8_t* const splits = runs.split_xz.data();
  const double *const tangents = runs.tangent.data(), *const run_factors = runs.factor.data();
  std::uint8_t *const minus_x = negate_x.data(), *const minus_y = negate_y.data(), *const minus_z = negate_z.data();
  Real* const to = tangent.data();
  auto rotation = [=, &F, &G, &now](int m) {
    const ShapeRotation& r = rotations[m];
    const bool sample = r.sample_index >= 0;
    const Mask pair = r.pair, of_bit = r.parity, split = Mask(0) - Mask(!sample && splits[r.gate_run]);
    F ^= pair & split, G ^= of_bit & split;
    const int z = parity(F & of_bit) ^ int(r.flip), x = parity(G & pair), y = z ^ x;
    const double t = sample ? 1.0 : tangents[r.gate_run];
    if (!sample) now *= run_factors[r.gate_run];
    to[m] = Real(with_sign(t, y));
    minus_x[m] = std::uint8_t(x), minus_y[m] = std::uint8_t(y), minus_z[m] = std::uint8_t(z);
  };
  for (int m : s.initial) {
    negate_z[m] = negate_y[m] = s.rotations[m].flip, negate_x[m] = 0;
    tangent[m] = negate_y[m] ? Real(-1) : Real(1);
  }
  stored_scale_.clear();
  before_.resize(s.passes.size() + 1);
  for (std::size_t i = 0; i < s.passes.size(); i++) {
    before_[i] = now;
    for (const CallShape& call : s.passes[i].forward) {
      if (call.kind == CallShape::kRotate) {
        const RotationGroup& g = s.groups[call.index];
        for (int k = 0; k < g.count; k++) rotation(g.rotation[k]);
        continue;
      }
      const DiagonalStage& stage = s.stages[call.index];
      stored_scale_.push_back(now);
      frame[call.index] = F;
      scale[call.index] = now;
      now = 1;
      if (stage.exchanges) F = stage.exchange.pair(F), G = stage.exchange.parity(G);
      for (const LaneRotationShape& l : stage.lanes) {
        rotation(l.rotation);
        Real* sine = lane_sine_.template as<Real>() + context_.lanes * std::size_t(l.rotation);
        for (std::size_t lane = 0; lane < context_.lanes; lane++)
          sine[lane] = parity_of(lane & Mask(l.lane_parity)) ? tangent[l.rotation] : -tangent[l.rotation];
      }
    }
  }
  before_[s.passes.size()] = now;
  set_angles(parity);
  expectation_factor = now * now;
  final_scale = now, final_flips = F, final_signs = G;
  negate_string.clear();
  for (const StringData& string : framed_strings_)
    negate_string.push_back(std::uint8_t((string.sign < 0) ^ parity(F & string.z) ^ parity(G & string.x)));
  backward_scales();
}

// The shared angles of the product start.
template <class Real> void PreparedShape<Real>::prepare_start(const double* shared) {
  const GateRuns& runs = context_.gate_runs;
  const std::size_t n = shape.start.size(), padded = (n + 7) / 8 * 8;
  start_angles_.reserve(3 * padded * sizeof(double));
  double *half = start_angles_.template as<double>(), *sine = half + padded, *cosine = sine + padded;
  for (std::size_t i = 0; i < padded; i++) half[i] = i < n ? 0.5 * term_angle(shape.start[i].phase, shared) : 0.0;
  context_.arithmetic.sine_cosine(padded, half, sine, cosine);
  start_rotations.resize(n);
  for (std::size_t i = 0; i < n; i++) {
    const StartRotationShape& from = shape.start[i];
    StartRotation<Real>& one = start_rotations[i];
    one.bit = from.bit, one.sample_rotation = from.sample_rotation, one.sample_phase = from.sample_phase;
    one.phase = from.phase.constant != 0 || !from.phase.sources.empty();
    one.sign = from.flip ? Real(-1) : Real(1);
    one.cosine = Real(runs.cosine[from.gate_run]), one.sine = Real(runs.sine[from.gate_run]) * one.sign;
    one.phase_cosine = Real(cosine[i]), one.phase_sine = Real(sine[i]);
    if (context_.planes == 1) one.phase_cosine = std::fabs(cosine[i]) > std::fabs(sine[i]) ? Real(1) : Real(-1);
    one.accumulator = std::uint32_t(from.accumulator);
    std::copy_n(from.wanted, 2, one.wanted), std::copy_n(from.before, 2, one.before);
  }
}

// Going back: scales of psi and bra wherever something is measured, hence the factor of every raw sum.
template <class Real> void PreparedShape<Real>::backward_scales() {
  const Shape& s = shape;
  const GateRuns& runs = context_.gate_runs;
  // scale of psi * scale of bra; of the start, the bra's alone: it has psi itself
  factors_.assign(s.rotations.size() + s.stages.size() + 1, 1);
  double *at_rotation = factors_.data(), *at_stage = at_rotation + s.rotations.size();
  double psi = final_scale, bra = final_scale;
  std::size_t stored = stored_scale_.size();
  for (std::size_t i = s.passes.size(); i-- > 0;) {
    if (context_.settings.mode == Mode::kCheckpoint || checkpoint_before[i + 1] >= 0) psi = before_[i + 1];
    for (const CallShape& call : s.passes[i].backward) {
      if (call.kind == CallShape::kDiagonal) {
        const DiagonalStage& stage = s.stages[call.index];
        for (const LaneRotationShape& l : stage.lanes) {
          at_rotation[l.rotation] = psi * bra;
          const ShapeRotation& r = s.rotations[l.rotation];
          if (r.sample_index < 0 && !stage.measure) psi *= runs.factor[r.gate_run], bra *= runs.factor[r.gate_run];
        }
        if (stage.measure) continue;
        if (keep) {
          bra /= scale[call.index];
          psi = stored_scale_[--stored];
          at_stage[call.index] = psi * bra;
        } else {
          at_stage[call.index] = psi * bra;
          psi /= scale[call.index], bra /= scale[call.index];
        }
        continue;
      }
      const RotationGroup& g = s.groups[call.index];
      double factor = 1;
      for (int k = 0; k < g.count; k++) {
        if (call.kind == CallShape::kRotateBack || call.kind == CallShape::kMeasure)
          at_rotation[g.rotation[k]] = (g.count > 1 ? 0.5 : 1.0) * psi * bra;  // of a pair, twice v is added
        if (!g.per_sample) factor *= runs.factor[s.rotations[g.rotation[k]].gate_run];
      }
      if (call.kind == CallShape::kRotateBack || call.kind == CallShape::kUndo) psi *= factor, bra *= factor;
      if (call.kind == CallShape::kUndoBra) bra *= factor;
    }
  }
  psi_end = psi, bra_end = bra;
  factors_.back() = bra_end;
  set_factors();
}

template <class Real> void PreparedShape<Real>::set_factors() {
  const double *at_rotation = factors_.data(), *at_stage = at_rotation + shape.rotations.size();
  signs_.assign(negate_x.begin(), negate_x.end());
  signs_.insert(signs_.end(), negate_y.begin(), negate_y.end());
  signs_.insert(signs_.end(), negate_z.begin(), negate_z.end());
  signs_.push_back(0);
  signs_.insert(signs_.end(), negate_term_.begin(), negate_term_.end());
  for (const ListedRow& r : rows_) raw_factor[r.row] = with_sign(factors_[r.factor], (signs_[r.sign / 2] ^ r.sign) & 1);
  sample_factor.clear();
  auto factor_of = [&](int rotation, int stage) {
    return stage >= 0 ? at_stage[stage] : rotation >= 0 ? at_rotation[rotation] : bra_end;
  };
  for (const SampleRow& r : shape.sample_rows) {
    const double factor = r.coefficient * factor_of(r.rotation, r.stage);
    const bool negated = r.stage >= 0 ? parity_of(r.mask & frame[r.stage])
                                      : r.rotation >= 0 && negate_y[r.rotation];
    sample_factor.push_back(negated ? -factor : factor);
  }
  merged_factor.clear();
  for (const MergedRow& r : shape.merged_rows) {
    const int stage = shape.rotations[r.rotation].z_stage;
    const double x = at_rotation[r.rotation], y = r.minus_y ? -x : x, z = stage >= 0 ? at_stage[stage] : 0;
    merged_factor.push_back({negate_x[r.rotation] ? -x : x, negate_y[r.rotation] ? -y : y, negate_z[r.rotation] ? -z : z});
  }
}

}  // namespace qmltrain
