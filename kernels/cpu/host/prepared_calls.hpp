// Layout: the calls of a sweep with everything filled in that does not depend on the tile, the unit or the thread.
#pragma once
#include <utility>

#include "prepared_shape.hpp"

namespace qmltrain {

template <class Real> void Layout<Real>::prepare_calls() {
  const Shape& s = shape;
  if (!built_) {
    built_ = true;
    tables_.reserve((s.table_size + 2 * c_.W) * sizeof(Real));
    forward.resize(s.sweeps.size()), backward.resize(s.sweeps.size());
    for (std::size_t i = 0; i < s.sweeps.size(); i++)
      for (const bool back : {false, true}) build_calls(s.sweeps[i], back, back ? backward[i] : forward[i]);
  }
  for (auto* all : {&forward, &backward})
    for (auto& calls : *all)
      for (auto& call : calls) {
        if (call.kind == Step::kElementwise) {
          call.elementwise.scale = Real(scale[call.index]);
          if (!call.phase_rotate && !call.layer_back) continue;
        }
        if (call.layer_back) {
          for (int q = 0; q < s.row_bits; q++) call.layer.t[q] = -tangent[call.rotation[q]];
          continue;
        }
        const Group& g = s.groups[call.phase_rotate ? call.then : call.index];
        const bool inverse = call.kind == Step::kUndo || call.kind == Step::kUndoLam;
        for (int q = 0; q < g.count; q++) {
          const Real t = tangent[g.rotation[q]];
          call.group.psi.t[q] = inverse ? -t : t;
          if (q < 2) call.group.y_sign[q] = 1;
        }
      }
}

template <class Real> void Layout<Real>::build_calls(const Sweep& sweep, bool back, std::vector<Call<Real>>& calls) {
  const std::vector<Step>& steps = back ? sweep.backward : sweep.forward;
  const bool single = shape.geometries[sweep.geometry].tau_bits == 0;
  for (const Step& step : steps) {
    Call<Real> call = build_call(step, back, single);
    if (back ? join_backward(calls, call) : join_forward(calls, call)) continue;
    calls.push_back(call);
  }
}

// ---- kept states: several steps in one call --------------------------------------------------------------------------

// A diagonal whose table has the rows in the order of their addresses, and nothing else.
template <class Real> bool Layout<Real>::plain_diagonal(const Call<Real>& call) const {
  if (!keep || call.kind != Step::kElementwise || !call.plain) return false;
  const Elementwise& e = shape.elementwise[call.index];
  for (std::size_t i = 0; i < e.basis.size(); i++)
    if (e.basis[i] != Mask(1) << i) return false;
  return e.diagonal.kind == kScalar && e.lanes.empty();
}

// Shared rotations of the lowest address bits, rotation k of bit k in both its masks.
template <class Real> bool Layout<Real>::lowest_bits(const Call<Real>& call) const {
  const Group& g = shape.groups[call.index];
  const RotateCall<Real>& r = call.group.psi;
  if (!call.plain || g.per_sample || g.lanes) return false;
  const Offset members = (c_.row_bytes << g.count) - 1;
  for (std::size_t j = 0; j < std::size_t(1) << g.count; j++)
    if (r.rows.member[j] != j * c_.row_bytes) return false;
  for (std::uint32_t l = 0; l < r.n_low; l++)
    if (r.rows.low[l] & members) return false;
  for (std::uint32_t h = 0; h < r.n_high; h++)
    if (r.rows.high[h] & members) return false;
  for (int k = 0; k < g.count; k++)
    if (shape.rotations[g.rotation[k]].parity != Mask(1) << k) return false;
  return true;
}

// Forward: a diagonal and the rotations after it.
template <class Real> bool Layout<Real>::join_forward(std::vector<Call<Real>>& calls, const Call<Real>& call) const {
  if (calls.empty() || call.kind != Step::kRotate) return false;
  Call<Real>& before = calls.back();
  if (before.phase_rotate || !plain_diagonal(before) || !lowest_bits(call)) return false;
  before.group = call.group, before.then = call.index;
  before.phase_rotate = c_.kernels.phase_rotate[shape.groups[call.index].count];
  return true;
}

// Backward: v of all rotations of a state of one group, their inverses, and the diagonal before them.
template <class Real> bool Layout<Real>::join_backward(std::vector<Call<Real>>& calls, const Call<Real>& call) const {
  const int n = shape.row_bits;
  if (n > kMaxGroup || !plain_diagonal(call) || shape.elementwise[call.index].walsh) return false;
  // the calls before it, from the last: inverse rotations, then v in pairs, as the kernel takes them
  std::size_t first = calls.size();
  std::vector<int> undone, measured;
  for (const auto& [kind, rotations] : {std::pair{Step::kUndoLam, &undone}, std::pair{Step::kMeasure, &measured}})
    while (first > 0 && calls[first - 1].kind == kind) {
      const Call<Real>& before = calls[--first];
      const Group& g = shape.groups[before.index];
      if (!before.plain || g.per_sample || g.lanes) return false;
      if (kind == Step::kMeasure && g.count != (measured.empty() && n % 2 ? 1 : 2)) return false;
      rotations->insert(rotations->begin(), g.rotation.begin(), g.rotation.begin() + g.count);
    }
  for (const auto* rotations : {&undone, &measured}) {
    if (int(rotations->size()) != n) return false;  // else: angles that are not trained
    for (int k = 0; k < n; k++) {
      const ShapeRotation& r = shape.rotations[(*rotations)[std::size_t(k)]];
      if (r.pair != Mask(1) << k || r.parity != Mask(1) << k) return false;
    }
  }
  Call<Real> layer = call;
  layer.layer = {};
  for (int k = 0; k < n; k++) {
    layer.rotation[k] = undone[std::size_t(k)];
    layer.layer.acc[k] = std::uint32_t(shape.rotations[undone[std::size_t(k)]].acc);
  }
  for (const SumTarget& target : shape.elementwise[call.index].sums) layer.layer.sum_acc[target.from] = target.acc;
  layer.layer.table = call.elementwise.table;
  layer.layer_back = c_.kernels.layer_back[n];
  calls.resize(first);
  calls.push_back(layer);
  return true;
}

template <class Real> Call<Real> Layout<Real>::build_call(const Step& step, bool back, bool single) const {
  const Shape& s = shape;
  Call<Real> call{};
  call.kind = step.kind, call.index = step.index;
  auto at = [&](std::size_t i) { return s.offsets.data() + i; };
  if (step.kind == Step::kElementwise) {
    const Elementwise& e = s.elementwise[step.index];
    ElementwiseCall<Real>& c = call.elementwise;
    c.low = at(e.rows.low), c.high = at(e.rows.high);
    c.n_low = e.n_low, c.n_high = e.n_high;
    c.n_lane = int(e.lanes.size());
    const Phase kind = e.diagonal.kind;
    if (has_table(e.diagonal)) c.table = tables_.template as<Real>() + e.diagonal.table;
    call.plain = kind == kNone || (single && (kind == kScalar || kind == kFactor || e.diagonal.whole));
    if (single && kind == kFactor) {
      c.high_phase = tables_.template as<Real>() + e.diagonal.high_table;
      c.variant = e.diagonal.variant.data();
    }
    for (int q = 0; q < c.n_lane; q++) {
      const LaneRotationShape& l = e.lanes[std::size_t(q)];
      const ShapeRotation& r = s.rotations[l.rotation];
      LaneRotation<Real>& lane = c.lane[q];
      lane.lane_xor = l.lane_xor, lane.low_signs = l.low_signs, lane.high_parity = l.high_parity;
      lane.acc = std::uint32_t(std::max(r.acc, 0));
      lane.sine = e.measure ? zeros() : lane_sine_.template as<Real>() + c_.W * std::size_t(l.rotation);
      if (r.tau || (r.sample_index >= 0 && !e.measure)) call.plain = false;
      call.for_samples = e.measure && (q == 0 || call.for_samples) && r.sample_index >= 0;
    }
    const bool exchange_only = e.exchanges && e.lanes.empty();
    if (e.exchanges) {
      c.exchange_low = e.exchange_low.data(), c.exchange_high = e.exchange_high.data();
      call.plain = call.plain && single;
    }
    call.compressed = std::size_t(e.n_low) * e.n_high >= 4 && !e.walsh && (!e.general || exchange_only);
    const Kernels<Real>& k = c_.kernels;
    if (exchange_only) call.kernel = back ? k.reverse_exchange[kind][call.compressed] : k.forward_exchange[kind];
    else if (!back) call.kernel = e.general ? k.forward_general[kind] : k.forward[kind][e.lanes.size()];
    else if (keep) call.kernel = k.reverse_kept[kind][call.compressed];
    else call.kernel = e.general ? k.reverse_general[kind] : k.reverse[kind][e.lanes.size()][call.compressed];
    return call;
  }
  const Group& g = s.groups[step.index];
  RotateCall<Real>& c = call.group.psi;
  c.rows = {at(g.rows.low), at(g.rows.high), at(g.rows.member)};
  c.n_low = g.n_low, c.n_high = g.n_high;
  c.member_lane = g.member_lane.data(), c.parity_lane = g.parity_lane.data();
  call.plain = g.parts.size() == 1 && !g.parts[0].signs;
  bool with_x = false;
  for (int q = 0; q < g.count; q++) {
    const ShapeRotation& r = s.rotations[g.rotation[q]];
    if (r.tau) call.plain = false;
    c.turn[q] = std::uint32_t(std::max(r.sample_index, 0));
    if (q < 2) call.group.acc[q] = std::uint32_t(std::max(r.acc, 0));
    with_x = with_x || (!g.per_sample && !c_.runs.real(r.run));
  }
  call.for_samples = step.kind == Step::kMeasure && g.per_sample;
  call.rotate = c_.kernels.rotate[g.count][g.per_sample][g.lanes];
  if (step.kind == Step::kReverse) call.reverse = c_.kernels.backward[g.count][g.per_sample][g.lanes][with_x];
  if (step.kind == Step::kMeasure) call.reverse = c_.kernels.measure[g.count][g.lanes][with_x];
  return call;
}

}  // namespace qmltrain
