// Shape: items of passes to kernel calls, forward and back, and where their sums go.
//
// Every v and every signed sum of w that is wanted gets accumulators (vectors); raw rows say of which accumulator and
// with which signs of the lanes a raw sum is made.
#include <algorithm>
#include <utility>

#include "shape.hpp"

namespace qmltrain {

void Shape::add_calls(const GateRuns& gate_runs) {
  std::vector<Pass> filled;
  for (Pass& pass : passes)
    if (!pass.items.empty()) filled.push_back(std::move(pass));
  passes = std::move(filled);
  n_accumulators = 1;  // accumulator 0 is always zero
  for (Pass& pass : passes) {
    pass.first_accumulator = n_accumulators;
    add_forward_calls(pass);
    for (std::size_t i = pass.items.size(); i-- > 0;) {
      const Item& item = pass.items[i];
      if (item.stage >= 0) add_stage_back(pass, item.stage, gate_runs);
      else if (item.initial) add_initial_back(pass, item, gate_runs);
      else add_rotations_back(pass, item, gate_runs);
    }
    pass.accumulator_count = n_accumulators - pass.first_accumulator;
  }
  // lanes first, then rows by mask; plain where the rows' masks are the address bits in order
  std::sort(initial.begin(), initial.end(), [&](int a, int b) { return rotations[a].pair < rotations[b].pair; });
  int bit = lane_bits;
  for (int m : initial)
    if (row_of(rotations[m].pair)) plain_initial = plain_initial && rotations[m].pair == Mask(1) << bit++;
}

void Shape::add_forward_calls(Pass& pass) {
  const TileGeometry& g = geometries[pass.geometry];
  for (Item& item : pass.items) {
    if (item.stage >= 0) {
      set_rows(g, stages[item.stage]);
      pass.forward.push_back({CallShape::kDiagonal, item.stage});
    } else if (!item.initial) {
      for (int group : make_groups(g, item.rotations, max_group_)) pass.forward.push_back({CallShape::kRotate, group});
    }
  }
}

void Shape::new_accumulators(int rotation) { rotations[rotation].accumulator = n_accumulators, n_accumulators += 2; }

// Raw rows of a rotation's v_x and v_y, or its row of a per-sample slot. `minus`: the accumulator holds -v_y.
void Shape::add_rows(const GateRuns& gate_runs, int rotation, int lane_mask, bool minus) {
  const ShapeRotation& r = rotations[rotation];
  const Measured y = minus ? Measured::kMinusVy : Measured::kVy;
  if (r.sample_index >= 0) {
    const SampleRun& run = sample_runs[r.sample_index];
    if (!run.real) {
      merged_rows.push_back({rotation, lane_mask, minus});
      return;
    }
    for (int k = run.first; k < run.first + run.count; k++) {
      const AngleData& angle = angles_[k];
      const double coefficient = (minus ? -1.0 : 1.0) * angle.coefficient;
      if (angle.per_sample)
        sample_rows.push_back({r.accumulator + 1, lane_mask, angle.slot, coefficient, rotation, -1, 0});
      else if (angle.slot >= 0)
        raw_rows.push_back({r.accumulator + 1, lane_mask, gate_runs.sample_row(k), y, rotation, -1, 0});
    }
    return;
  }
  const int row = 3 * r.gate_run;
  if (!gate_runs.real(r.gate_run)) raw_rows.push_back({r.accumulator, 0, row, Measured::kVx, rotation, -1, 0});
  raw_rows.push_back({r.accumulator + 1, lane_mask, row + 1, y, rotation, -1, 0});
}

// Rotations that made the initial product state: v only, nothing is undone.
void Shape::add_initial_back(Pass& pass, const Item& item, const GateRuns& gate_runs) {
  const TileGeometry& g = geometries[pass.geometry];
  std::vector<int> wanted, in_rows;
  for (int m : item.rotations)
    if (gate_runs.trainable(rotations[m].gate_run)) wanted.push_back(m);
  for (int m : wanted) new_accumulators(m);
  DiagonalStage lanes;  // v of rotations within the rows: a stage that rotates by nothing
  lanes.measure = true;
  for (int m : wanted) {
    const ShapeRotation& r = rotations[m];
    const bool inside = row_of(r.pair) == 0;
    add_rows(gate_runs, m, lane_of(r.parity), inside);
    if (!inside) {
      in_rows.push_back(m);
      continue;
    }
    lanes.lanes.push_back({m, lane_of(r.pair), lane_of(r.parity)});
    if (row_of(r.parity)) lanes.general = true;
  }
  for (int group : measured_groups(g, in_rows))
    pass.backward.push_back({CallShape::kMeasure, group});
  if (lanes.lanes.empty()) return;
  order_lanes(lanes);
  set_rows(g, lanes);
  stages.push_back(std::move(lanes));
  pass.backward.push_back({CallShape::kDiagonal, int(stages.size()) - 1});
}

void Shape::add_rotations_back(Pass& pass, const Item& item, const GateRuns& gate_runs) {
  const TileGeometry& g = geometries[pass.geometry];
  std::vector<int> wanted, rest;
  for (int m : item.rotations) (gate_runs.trainable(rotations[m].gate_run) ? wanted : rest).push_back(m);
  for (int m : wanted) new_accumulators(m);
  for (int m : wanted) add_rows(gate_runs, m, lane_of(rotations[m].parity), false);
  if (options_.keep) {
    for (int group : measured_groups(g, wanted)) pass.backward.push_back({CallShape::kMeasure, group});
    for (int group : make_groups(g, item.rotations, max_group_)) pass.backward.push_back({CallShape::kUndoBra, group});
  } else {
    for (int group : make_groups(g, wanted, options_.fusion ? kMaxRotatedBack : 1))
      pass.backward.push_back({CallShape::kRotateBack, group});
    for (int group : make_groups(g, rest, max_group_)) pass.backward.push_back({CallShape::kUndo, group});
  }
}

void Shape::add_stage_back(Pass& pass, int index, const GateRuns& gate_runs) {
  const TileGeometry& g = geometries[pass.geometry];
  DiagonalStage& stage = stages[index];
  pass.backward.push_back({CallShape::kDiagonal, index});
  for (const LaneRotationShape& l : stage.lanes) {
    new_accumulators(l.rotation);
    if (gate_runs.trainable(rotations[l.rotation].gate_run)) add_rows(gate_runs, l.rotation, l.lane_parity, true);
  }
  // the accumulator of a mask's signed sum of w; one for masks that differ in the lanes only
  std::map<std::pair<std::uint32_t, Mask>, int> by_parity;
  auto sum_of = [&](Mask mask) {
    const std::uint32_t parity = row_parity_of(g, stage, mask);
    const Mask tile_parity = tile_parity_of(g, row_of(mask));
    auto [it, fresh] = by_parity.try_emplace({parity, tile_parity}, n_accumulators);
    if (fresh) {
      const std::size_t of_tree = parity ? std::size_t(__builtin_ctz(parity)) : stage.basis.size();
      stage.sums.push_back(
          {stage.walsh ? parity : std::uint32_t(of_tree), std::uint32_t(n_accumulators++), tile_parity});
    }
    return it->second;
  };
  for (int m : stage.v_z) {
    ShapeRotation& r = rotations[m];
    if (r.sample_index >= 0) r.z_accumulator = sum_of(r.parity), r.z_lane_mask = lane_of(r.parity), r.z_stage = index;
    else raw_rows.push_back({sum_of(r.parity), lane_of(r.parity), 3 * r.gate_run + 2, Measured::kVz, m, index, 0});
  }
  for (const PhaseTerm& t : stage.diagonal.terms)
    for (const PhaseTerm::Source& source : t.sources)
      if (source.raw_row >= 0)
        raw_rows.push_back({sum_of(t.mask), t.lane_parity, source.raw_row, Measured::kPhase, -1, index, t.mask});
  for (const SampleTerm& t : stage.diagonal.sample_terms)
    if (t.source == kSampleSlot)
      sample_rows.push_back(
          {sum_of(t.where.mask), t.where.lane_parity, t.index, t.coefficient, -1, index, t.where.mask});
  add_share_sums(stage);
}

// A share is given by the highest bits of its rows' numbers: sums over it see the lower ones, its number gives the sign
// of the rest.
void Shape::add_share_sums(DiagonalStage& stage) const {
  if (!share_bits) return;
  const std::uint32_t bits = std::uint32_t(row_bits - share_bits);
  for (const SumTarget& t : stage.sums) {
    if (stage.walsh) stage.share_sums.push_back({t.from & ((1u << bits) - 1), t.accumulator, t.from >> bits});
    else if (t.from < bits || t.from == std::uint32_t(row_bits))
      stage.share_sums.push_back({std::min(t.from, bits), t.accumulator, 0});
    else stage.share_sums.push_back({bits, t.accumulator, std::uint64_t(1) << (t.from - bits)});
  }
}

}  // namespace qmltrain
