// PreparedShape: kernel calls with everything filled in that does not depend on the tile, the unit or the thread.
//
// Built once; of a step, only scales and tangents are set anew.
#pragma once
#include <algorithm>
#include <utility>

#include "prepared_shape.hpp"

namespace qmltrain {

template <class Real> void PreparedShape<Real>::prepare_calls() {
  if (!built_) {
    built_ = true;
    tables_.reserve((shape.table_size + 2 * context_.lanes) * sizeof(Real));
    forward.resize(shape.passes.size()), backward.resize(shape.passes.size());
    for (std::size_t i = 0; i < shape.passes.size(); i++)
      for (const bool back : {false, true}) build_calls(shape.passes[i], back, back ? backward[i] : forward[i]);
    list_calls();
    list_tables();
  }
  for (const CallScale& c : call_scales_) *c.to = Real(scale[c.from]);
  for (const CallTangent& c : call_tangents_) *c.to = c.inverse ? -tangent[c.from] : tangent[c.from];
  for (std::size_t i = 0; i < sign_calls_.size(); i++) {
    sign_calls_[i]->sign_index = sign_number(sign_stages_[i]);
    sign_calls_[i]->sign_lane = std::uint8_t(shape.lane_of(frame[sign_stages_[i]]));
  }
}

// Of the calls that were built, what each step sets.
template <class Real> void PreparedShape<Real>::list_calls() {
  const Shape& s = shape;
  for (auto* all : {&forward, &backward})
    for (auto& calls : *all)
      for (auto& call : calls) {
        if (call.kind == CallShape::kDiagonal) {
          const DiagonalKind kind = s.stages[call.index].diagonal.kind;
          if (kind == kNone || kind == kSigns)
            call_scales_.push_back({&call.diagonal.scale, std::uint32_t(call.index)});
          if (kind == kSigns) sign_calls_.push_back(&call.diagonal), sign_stages_.push_back(call.index);
          if (!call.diagonal_rotate && !call.diagonal_rotate_back) continue;
        }
        if (call.diagonal_rotate_back) {
          for (int q = 0; q < s.row_bits; q++)
            call_tangents_.push_back({&call.joined_back.t[q], std::uint32_t(call.rotation[q]), true});
          continue;
        }
        const RotationGroup& g = s.groups[call.diagonal_rotate ? call.then : call.index];
        const bool inverse = call.kind == CallShape::kUndo || call.kind == CallShape::kUndoBra;
        for (int q = 0; q < g.count; q++) {
          call_tangents_.push_back({&call.group.rotate.t[q], std::uint32_t(g.rotation[q]), inverse});
          if (q < kMaxMeasured) call.group.y_sign[q] = 1;
        }
      }
}

template <class Real>
void PreparedShape<Real>::build_calls(const Pass& pass, bool back, std::vector<PreparedCall<Real>>& calls) {
  const bool one_tile = shape.geometries[pass.geometry].number_bits == 0;
  for (const CallShape& call_shape : back ? pass.backward : pass.forward) {
    const bool diagonal = call_shape.kind == CallShape::kDiagonal;
    PreparedCall<Real> call = diagonal ? diagonal_call(call_shape.index, back, one_tile) : group_call(call_shape);
    call.in_shares = in_shares(call);
    if (back ? join_backward(calls, call) : join_forward(calls, call)) continue;
    calls.push_back(call);
  }
}

// Whether share i of the call (Execution::share_of, rotate_group) has the rows i * n to (i + 1) * n - 1 of the state.
template <class Real> bool PreparedShape<Real>::in_shares(const PreparedCall<Real>& call) const {
  if (!shape.share_bits || !call.plain) return false;
  const Offset* offsets = shape.offsets.data();
  const Offset bytes = context_.row_bytes << (shape.row_bits - shape.share_bits);
  auto inside = [&](std::size_t table, std::size_t n) {
    return std::all_of(offsets + table, offsets + table + n, [&](Offset o) { return o < bytes; });
  };
  auto share_by_share = [&](const RowTable& rows, std::uint32_t n_low, std::uint32_t n_high) {
    const std::uint32_t n = n_high >> shape.share_bits;
    for (std::uint32_t h = 0; n && h < n_high; h++)
      if (offsets[rows.high + h] / bytes != h / n) return false;
    return n > 0 && inside(rows.low, n_low);
  };
  if (call.kind == CallShape::kDiagonal) {
    const DiagonalStage& stage = shape.stages[call.index];
    return share_by_share(stage.rows, stage.n_low, stage.n_high);
  }
  const RotationGroup& g = shape.groups[call.index];
  return share_by_share(g.rows, g.n_low, g.n_high) && inside(g.rows.member, std::size_t(1) << g.count);
}

// ---- kept states: several calls in one ----------------------------------------------------------------------------

// A diagonal whose table has the rows in the order of their addresses, and nothing else.
template <class Real> bool PreparedShape<Real>::plain_diagonal(const PreparedCall<Real>& call) const {
  if (!keep || call.kind != CallShape::kDiagonal || !call.plain) return false;
  const DiagonalStage& stage = shape.stages[call.index];
  for (std::size_t i = 0; i < stage.basis.size(); i++)
    if (stage.basis[i] != Mask(1) << i) return false;
  return (stage.diagonal.kind == kScalar || stage.diagonal.kind == kSigns) && stage.lanes.empty();
}

// Shared rotations of the lowest address bits, rotation k of bit k in both its masks.
template <class Real> bool PreparedShape<Real>::lowest_bits(const PreparedCall<Real>& call) const {
  const RotationGroup& g = shape.groups[call.index];
  const RotateCall<Real>& r = call.group.rotate;
  if (!call.plain || g.per_sample || g.across_lanes) return false;
  const Offset members = (context_.row_bytes << g.count) - 1;
  for (std::size_t j = 0; j < std::size_t(1) << g.count; j++)
    if (r.rows.member[j] != j * context_.row_bytes) return false;
  for (std::uint32_t l = 0; l < r.n_low; l++)
    if (r.rows.low[l] & members) return false;
  for (std::uint32_t h = 0; h < r.n_high; h++)
    if (r.rows.high[h] & members) return false;
  for (int k = 0; k < g.count; k++)
    if (shape.rotations[g.rotation[k]].parity != Mask(1) << k) return false;
  return true;
}

// Forward: a diagonal and the rotations after it.
template <class Real>
bool PreparedShape<Real>::join_forward(std::vector<PreparedCall<Real>>& calls, const PreparedCall<Real>& call) const {
  if (calls.empty() || call.kind != CallShape::kRotate) return false;
  PreparedCall<Real>& before = calls.back();
  if (before.diagonal_rotate || !plain_diagonal(before) || !lowest_bits(call)) return false;
  before.group = call.group, before.then = call.index;
  before.diagonal_rotate = context_.kernels.diagonal_rotate[shape.groups[call.index].count];
  return true;
}

// Backward: v of all rotations of a state of one group, their inverses, and the diagonal before them.
template <class Real>
bool PreparedShape<Real>::join_backward(std::vector<PreparedCall<Real>>& calls,
                                        const PreparedCall<Real>& call) const {
  const int n = shape.row_bits;
  if (n > kMaxGroup || !context_.kernels.diagonal_rotate_back[n] || !plain_diagonal(call) || shape.stages[call.index].walsh) return false;
  // the calls before it, from the last: inverse rotations, then v in pairs, as the kernel takes them
  std::size_t first = calls.size();
  std::vector<int> undone, measured;
  using Before = std::pair<CallShape::Kind, std::vector<int>*>;
  for (const auto& [kind, rotations] : {Before{CallShape::kUndoBra, &undone}, Before{CallShape::kMeasure, &measured}})
    while (first > 0 && calls[first - 1].kind == kind) {
      const PreparedCall<Real>& before = calls[--first];
      const RotationGroup& g = shape.groups[before.index];
      if (!before.plain || g.per_sample || g.across_lanes) return false;
      if (kind == CallShape::kMeasure && g.count != (measured.empty() && n % 2 ? 1 : 2)) return false;
      rotations->insert(rotations->begin(), g.rotation.begin(), g.rotation.begin() + g.count);
    }
  for (const auto* rotations : {&undone, &measured}) {
    if (int(rotations->size()) != n) return false;  // else: angles that are not trained
    for (int k = 0; k < n; k++) {
      const ShapeRotation& r = shape.rotations[(*rotations)[std::size_t(k)]];
      if (r.pair != Mask(1) << k || r.parity != Mask(1) << k) return false;
    }
  }
  PreparedCall<Real> joined = call;
  DiagonalRotateBackCall<Real>& back = joined.joined_back;
  back = {};
  for (int k = 0; k < n; k++) {
    joined.rotation[k] = undone[std::size_t(k)];
    back.accumulator[k] = std::uint32_t(shape.rotations[undone[std::size_t(k)]].accumulator);
  }
  for (const SumTarget& target : shape.stages[call.index].sums) back.sum_accumulator[target.from] = target.accumulator;
  back.table = call.diagonal.table;
  joined.diagonal_rotate_back = context_.kernels.diagonal_rotate_back[n];
  calls.resize(first);
  calls.push_back(joined);
  return true;
}

template <class Real>
PreparedCall<Real> PreparedShape<Real>::diagonal_call(int index, bool back, bool one_tile) const {
  const Shape& s = shape;
  const DiagonalStage& stage = s.stages[index];
  const DiagonalKind kind = stage.diagonal.kind;
  PreparedCall<Real> call{};
  call.kind = CallShape::kDiagonal, call.index = index;
  DiagonalCall<Real>& c = call.diagonal;
  c.low = s.offsets.data() + stage.rows.low, c.high = s.offsets.data() + stage.rows.high;
  c.n_low = stage.n_low, c.n_high = stage.n_high;
  c.n_lane = int(stage.lanes.size());
  if (has_table(stage.diagonal)) c.table = tables_.template as<Real>() + stage.diagonal.table;
  call.plain = kind == kNone || (one_tile && (kind == kScalar || kind == kFactor || stage.diagonal.whole_table));
  if (kind == kSigns) c.signs = s.signs.data() + stage.diagonal.table;
  if (one_tile && kind == kFactor) {
    c.high_phase = tables_.template as<Real>() + stage.diagonal.high_table;
    c.variant = stage.diagonal.variant.data(), c.high_vectors = stage.diagonal.high_vectors;
  }
  for (int q = 0; q < c.n_lane; q++) {
    const LaneRotationShape& l = stage.lanes[std::size_t(q)];
    const ShapeRotation& r = s.rotations[l.rotation];
    LaneRotation<Real>& lane = c.lane[q];
    lane.lane_xor = l.lane_xor, lane.low_signs = l.low_signs, lane.high_parity = l.high_parity;
    lane.accumulator = std::uint32_t(std::max(r.accumulator, 0));
    lane.sine = stage.measure ? zeros() : lane_sine_.template as<Real>() + context_.lanes * std::size_t(l.rotation);
    if (r.tile_parity || (r.sample_index >= 0 && !stage.measure)) call.plain = false;
    call.for_samples = stage.measure && (q == 0 || call.for_samples) && of_samples(r);
  }
  const bool exchange_only = stage.exchanges && stage.lanes.empty(), general = stage.general;
  if (stage.exchanges) {
    c.exchange_low = stage.exchange_low.data(), c.exchange_high = stage.exchange_high.data();
    call.plain = call.plain && one_tile;
  }
  call.compressed = std::size_t(stage.n_low) * stage.n_high >= 4 && !stage.walsh && (!general || exchange_only);
  const Kernels<Real>& k = context_.kernels;
  const std::size_t n = stage.lanes.size();
  auto& kernel = call.diagonal_kernel;
  if (exchange_only) kernel = back ? k.diagonal_back_exchange[kind][call.compressed] : k.diagonal_exchange[kind];
  else if (!back) kernel = general ? k.diagonal_general[kind] : k.diagonal[kind][n];
  else if (keep) kernel = k.diagonal_back_kept[kind][call.compressed];
  else kernel = general ? k.diagonal_back_general[kind] : k.diagonal_back[kind][n][call.compressed];
  return call;
}

template <class Real> PreparedCall<Real> PreparedShape<Real>::group_call(const CallShape& call_shape) const {
  const Shape& s = shape;
  const RotationGroup& g = s.groups[call_shape.index];
  PreparedCall<Real> call{};
  call.kind = call_shape.kind, call.index = call_shape.index;
  RotateCall<Real>& c = call.group.rotate;
  const Offset* offsets = s.offsets.data();
  c.rows = {offsets + g.rows.low, offsets + g.rows.high, offsets + g.rows.member};
  c.n_low = g.n_low, c.n_high = g.n_high;
  c.member_lane = g.member_lane.data(), c.parity_lane = g.parity_lane.data();
  call.plain = g.parts.size() == 1 && !g.parts[0].signs;
  bool with_x = false;
  for (int q = 0; q < g.count; q++) {
    const ShapeRotation& r = s.rotations[g.rotation[q]];
    if (r.tile_parity) call.plain = false;
    c.sample_rotation[q] = std::uint32_t(std::max(r.sample_index, 0));
    if (q < kMaxMeasured) call.group.accumulator[q] = std::uint32_t(std::max(r.accumulator, 0));
    with_x = with_x || !context_.gate_runs.real(r.gate_run);
    call.for_samples = call.kind == CallShape::kMeasure && (q == 0 || call.for_samples) && of_samples(r);
  }
  const Kernels<Real>& k = context_.kernels;
  const RotationKind kind = !g.per_sample ? kShared : shape.factored ? kFactored : kCosSin;
  call.rotate = k.rotate[g.count][kind][g.across_lanes];
  if (call.kind == CallShape::kRotateBack)
    call.rotate_back = k.rotate_back[g.count][g.per_sample][g.across_lanes][with_x];
  if (call.kind == CallShape::kMeasure) call.rotate_back = k.measure[g.count][g.across_lanes][with_x];
  return call;
}

}  // namespace qmltrain
