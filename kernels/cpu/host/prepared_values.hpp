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
  first_angle.assign(shape.stages.size(), 0);
  for (const Pass& pass : shape.passes)
    for (const CallShape& call : pass.forward) {
      if (call.kind == CallShape::kRotate) continue;
      first_angle[call.index] = terms_.size();
      for (const PhaseTerm& term : shape.stages[call.index].diagonal.terms) {
        for (const PhaseTerm::Source& s : term.sources) sources_.push_back({s.coefficient, s.source, s.index});
        terms_.push_back(
            {term.constant, term.mask, call.index, int(sources_.size()), integer_angle<Real>(term.constant)});
      }
    }
  angles.resize(terms_.size()), negate_term_.assign(terms_.size(), 0);
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
    ListedRow row{r.row, n_rotations + n_stages, 3 * n_rotations, r.measured == Measured::kMinusVy};
    if (r.stage >= 0) row.factor = n_rotations + std::size_t(r.stage);
    else if (r.rotation >= 0) row.factor = std::size_t(r.rotation);
    const std::size_t rotation = std::size_t(r.rotation);
    switch (r.measured) {
      case Measured::kVx: row.sign = rotation; break;
      case Measured::kVy:
      case Measured::kMinusVy: row.sign = n_rotations + rotation; break;
      case Measured::kVz: row.sign = 2 * n_rotations + rotation; break;
      case Measured::kStart: break;
      case Measured::kMinusStart: row.minus = true; break;
      case Measured::kPhase: row.sign = 3 * n_rotations + 1 + term_of(r); break;
    }
    rows_.push_back(row);
  }
}

// As term_angle, of all.
template <class Real> void PreparedShape<Real>::set_angles(const double* shared) {
  const GateRuns& runs = context_.gate_runs;
  const double* values[kSampleSlot] = {};
  values[kSlot] = shared, values[kAlpha] = runs.alpha.data(), values[kGamma] = runs.gamma.data();
  const ListedSource* source = sources_.data();
  for (std::size_t i = 0; i < terms_.size(); i++) {
    const ListedTerm& term = terms_[i];
    const ListedSource* end = sources_.data() + term.last_source;
    IntegerAngle<Real> a = term.fixed;
    if (source < end) {
      double angle = term.constant;
      for (; source < end; source++) angle += source->coefficient * values[source->source][source->index];
      a = integer_angle<Real>(angle);
    }
    negate_term_[i] = std::uint8_t(parity_of(term.mask & frame[term.stage]));
    const IntegerAngle<Real> minus = IntegerAngle<Real>(0) - IntegerAngle<Real>(negate_term_[i]);
    angles[i] = (a ^ minus) - minus;
  }
}

// In time order.
template <class Real> void PreparedShape<Real>::prepare_values(const double* shared) {
  const Shape& s = shape;
  const GateRuns& runs = context_.gate_runs;
  const std::size_t n_rotations = s.rotations.size(), n_stages = s.stages.size();
  tangent.assign(n_rotations + 1, 0), negate_y.assign(n_rotations, 0), negate_x = negate_y, negate_z = negate_y;
  scale.assign(n_stages, 1), frame.assign(n_stages, 0);
  if (!built_) list_terms();
  lane_sine_.reserve((n_rotations + 1) * context_.lanes * sizeof(Real));
  Mask F = 0, G = 0;
  double now = 1;  // the scale: true = now * stored
  auto rotation = [&](int m) {
    const ShapeRotation& r = s.rotations[std::size_t(m)];
    const bool sample = r.sample_index >= 0;
    const Mask split = Mask(0) - Mask(!sample && runs.split_xz[r.gate_run]);
    F ^= r.pair & split, G ^= r.parity & split;
    negate_z[m] = std::uint8_t(parity_of(F & r.parity) ^ int(r.flip));
    negate_x[m] = std::uint8_t(parity_of(G & r.pair));
    negate_y[m] = negate_z[m] ^ negate_x[m];
    const double t = sample ? 1.0 : runs.tangent[r.gate_run];
    tangent[m] = Real(with_sign(t, negate_y[m]));
    if (!sample) now *= runs.factor[r.gate_run];
  };
  for (int m : s.initial) {
    negate_z[m] = negate_y[m] = s.rotations[m].flip;
    tangent[m] = negate_y[m] ? Real(-1) : Real(1);
  }
  std::vector<double> stored_scale;                 // of the state before each diagonal, which keeping stores
  std::vector<double> before(s.passes.size() + 1, 1);  // each pass
  for (std::size_t i = 0; i < s.passes.size(); i++) {
    before[i] = now;
    for (const CallShape& call : s.passes[i].forward) {
      if (call.kind == CallShape::kRotate) {
        const RotationGroup& g = s.groups[call.index];
        for (int k = 0; k < g.count; k++) rotation(g.rotation[k]);
        continue;
      }
      const DiagonalStage& stage = s.stages[call.index];
      stored_scale.push_back(now);
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
  set_angles(shared);
  before[s.passes.size()] = now;
  expectation_factor = now * now;
  final_scale = now, final_flips = F, final_signs = G;
  negate_string.clear();
  for (const StringData& string : framed_strings_)
    negate_string.push_back(std::uint8_t((string.sign < 0) ^ parity_of(F & string.z) ^ parity_of(G & string.x)));
  backward_scales(now, before, stored_scale);
  if (!s.start.empty()) prepare_start(shared);
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
template <class Real>
void PreparedShape<Real>::backward_scales(double end, const std::vector<double>& before,
                                          const std::vector<double>& stored_scale) {
  const Shape& s = shape;
  const GateRuns& runs = context_.gate_runs;
  std::vector<double> at_rotation(s.rotations.size(), 1), at_stage(s.stages.size(), 1);  // scale of psi * scale of bra
  double psi = end, bra = end;
  std::size_t stored = stored_scale.size();
  for (std::size_t i = s.passes.size(); i-- > 0;) {
    if (context_.settings.mode == Mode::kCheckpoint || checkpoint_before[i + 1] >= 0) psi = before[i + 1];
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
          psi = stored_scale[--stored];
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
  set_factors(at_rotation, at_stage);
}

template <class Real>
void PreparedShape<Real>::set_factors(const std::vector<double>& at_rotation, const std::vector<double>& at_stage) {
  factors_.assign(at_rotation.begin(), at_rotation.end());
  factors_.insert(factors_.end(), at_stage.begin(), at_stage.end());
  factors_.push_back(bra_end);  // of the start, the bra's alone: it has psi itself
  signs_.assign(negate_x.begin(), negate_x.end());
  signs_.insert(signs_.end(), negate_y.begin(), negate_y.end());
  signs_.insert(signs_.end(), negate_z.begin(), negate_z.end());
  signs_.push_back(0);
  signs_.insert(signs_.end(), negate_term_.begin(), negate_term_.end());
  for (const ListedRow& r : rows_)
    raw_factor[std::size_t(r.row)] = with_sign(factors_[r.factor], bool(signs_[r.sign]) ^ r.minus);
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
