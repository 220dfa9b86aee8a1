// Layout: signs, scales and angles from the shared angles, forward and back.
#pragma once
#include "prepared_shape.hpp"

namespace qmltrain {

template <class Real> double Layout<Real>::term_angle(const PhaseTerm& term, const double* shared) const {
  double angle = term.constant;
  for (const auto& p : term.parts)
    angle += p.coefficient *
             (p.source == kSlot ? shared[p.index] : p.source == kAlpha ? c_.runs.alpha[p.index] : c_.runs.gamma[p.index]);
  return angle;
}

// Signs, scales and angles in time order. The stored state is X^F Z^G of the true one: where |tan(beta/2)| > 1 half a turn
// XZ = X^pair Z^parity is split off and joins (F, G) instead of the data; later signs follow from parities with F and G.
template <class Real> void Layout<Real>::prepare_values(const double* shared) {
  const Shape& s = shape;
  const std::size_t n_rotations = s.rotations.size(), n_elementwise = s.elementwise.size();
  tangent.assign(n_rotations + 1, 0), minus.assign(n_rotations, 0), minus_x = minus, minus_z = minus;
  scale.assign(n_elementwise, 1), frame.assign(n_elementwise, 0), first_turn.assign(n_elementwise, 0);
  turns.clear();
  lane_sine_.reserve((n_rotations + 1) * c_.W * sizeof(Real));
  Mask F = 0, G = 0;
  double now = 1;
  auto rotation = [&](int m) {
    const ShapeRotation& r = s.rotations[std::size_t(m)];
    const bool sample = r.sample_index >= 0;
    if (!sample && c_.runs.turned[r.run]) F ^= r.pair, G ^= r.parity;
    minus_z[m] = std::uint8_t(parity_of(F & r.parity) ^ int(r.flip));
    minus_x[m] = std::uint8_t(parity_of(G & r.pair));
    minus[m] = minus_z[m] ^ minus_x[m];
    const double t = sample ? 1.0 : c_.runs.tangent[r.run];
    tangent[m] = Real(minus[m] ? -t : t);
    if (!sample) now *= c_.runs.factor[r.run];
  };
  for (int m : s.initial) {
    minus_z[m] = minus[m] = s.rotations[m].flip;
    tangent[m] = minus[m] ? Real(-1) : Real(1);
  }
  std::vector<double> slot_scale, before(s.sweeps.size() + 1, 1);
  for (std::size_t i = 0; i < s.sweeps.size(); i++) {
    before[i] = now;
    for (const Step& step : s.sweeps[i].forward) {
      if (step.kind == Step::kRotate) {
        const Group& g = s.groups[step.index];
        for (int k = 0; k < g.count; k++) rotation(g.rotation[k]);
        continue;
      }
      const Elementwise& e = s.elementwise[step.index];
      slot_scale.push_back(now);
      frame[step.index] = F;
      scale[step.index] = now;
      now = 1;
      if (e.exchanges) F = e.exchange.pair(F), G = e.exchange.parity(G);
      for (const LaneRotationShape& l : e.lanes) {
        rotation(l.rotation);
        Real* sine = lane_sine_.template as<Real>() + c_.W * std::size_t(l.rotation);
        for (std::size_t lane = 0; lane < c_.W; lane++)
          sine[lane] = parity_of(lane & Mask(l.lane_parity)) ? tangent[l.rotation] : -tangent[l.rotation];
      }
      first_turn[step.index] = turns.size();
      for (const PhaseTerm& term : e.diagonal.terms) {
        const Turn<Real> a = turn_of<Real>(term_angle(term, shared));
        turns.push_back(parity_of(term.mask & frame[step.index]) ? Turn<Real>(0) - a : a);
      }
    }
  }
  before[s.sweeps.size()] = now;
  // stored = true / now
  expectation_factor = now * now;
  string_minus.clear();
  for (const StringData& string : framed_strings_)
    string_minus.push_back(std::uint8_t((string.sign < 0) ^ parity_of(F & string.z) ^ parity_of(G & string.x)));
  backward_scales(now, before, slot_scale);
}

// Going back: scales of psi and lam wherever something is measured, hence the factor of every raw sum.
template <class Real>
void Layout<Real>::backward_scales(double end, const std::vector<double>& before, const std::vector<double>& slot_scale) {
  const Shape& s = shape;
  std::vector<double> at_rotation(s.rotations.size(), 1), at_elementwise(s.elementwise.size(), 1);
  double psi = end, lam = end;
  std::size_t slot = slot_scale.size();
  for (std::size_t i = s.sweeps.size(); i-- > 0;) {
    if (c_.settings.mode == Mode::kCheckpoint || kept_before[i + 1] >= 0) psi = before[i + 1];
    for (const Step& step : s.sweeps[i].backward) {
      if (step.kind == Step::kElementwise) {
        const Elementwise& e = s.elementwise[step.index];
        for (const LaneRotationShape& l : e.lanes) {
          at_rotation[l.rotation] = psi * lam;
          const ShapeRotation& r = s.rotations[l.rotation];
          if (r.sample_index < 0 && !e.measure) psi *= c_.runs.factor[r.run], lam *= c_.runs.factor[r.run];
        }
        if (e.measure) continue;
        if (keep) {
          lam /= scale[step.index];
          psi = slot_scale[--slot];
          at_elementwise[step.index] = psi * lam;
        } else {
          at_elementwise[step.index] = psi * lam;
          psi /= scale[step.index], lam /= scale[step.index];
        }
        continue;
      }
      const Group& g = s.groups[step.index];
      double factor = 1;
      for (int k = 0; k < g.count; k++) {
        if (step.kind == Step::kReverse || step.kind == Step::kMeasure)
          at_rotation[g.rotation[k]] = (g.count == 2 ? 0.5 : 1.0) * psi * lam;
        if (!g.per_sample) factor *= c_.runs.factor[s.rotations[g.rotation[k]].run];
      }
      if (step.kind == Step::kReverse || step.kind == Step::kUndo) psi *= factor, lam *= factor;
      if (step.kind == Step::kUndoLam) lam *= factor;
    }
  }
  psi_end = psi, lam_end = lam;
  const std::size_t n_raw = std::size_t(c_.runs.n_raw());
  raw_factor.assign(n_raw, 0), raw_acc.assign(n_raw, 0), raw_lane.assign(n_raw, 0), sample_factor.clear();
  for (const RawRow& r : s.raw_rows) {
    double f = r.elementwise >= 0 ? at_elementwise[r.elementwise] : at_rotation[r.rotation];
    switch (r.what) {
      case 'x': if (minus_x[r.rotation]) f = -f; break;
      case 'y': if (minus[r.rotation]) f = -f; break;
      case 'm': if (!minus[r.rotation]) f = -f; break;
      case 'z': if (minus_z[r.rotation]) f = -f; break;
      default: if (parity_of(r.mask & frame[r.elementwise])) f = -f;
    }
    raw_factor[r.row] = f, raw_acc[r.row] = std::uint32_t(r.acc), raw_lane[r.row] = std::uint8_t(r.lane_mask);
  }
  for (const SampleRow& r : s.sample_rows) {
    double f = r.coefficient * (r.elementwise >= 0 ? at_elementwise[r.elementwise] : at_rotation[r.rotation]);
    if (r.elementwise >= 0 ? parity_of(r.mask & frame[r.elementwise]) : int(minus[r.rotation])) f = -f;
    sample_factor.push_back(f);
  }
}

}  // namespace qmltrain
