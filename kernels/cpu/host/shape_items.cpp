// Shape: the plan's operations to items of passes.
#include <algorithm>

#include "gf2.hpp"
#include "shape.hpp"

namespace qmltrain {

namespace {
constexpr int kMostUnscaled = 48;  // shared rotations between two diagonal stages
}

// Rotations before the first diagonal act on |0...0> and make a product state, as long as they act on different qubits.
bool Shape::absorb(const std::vector<int>& members) {
  for (int a : members)
    for (int b : initial) {
      const ShapeRotation &r = rotations[a], &s = rotations[b];
      if (parity_of(r.pair & s.parity) || parity_of(s.pair & r.parity)) return false;
    }
  std::vector<Mask> row_masks, lane_masks;
  for (const std::vector<int>* list : {static_cast<const std::vector<int>*>(&initial), &members})
    for (int m : *list) {
      const Mask pair = rotations[m].pair;
      if (row_of(pair)) row_masks.push_back(row_of(pair));
      else lane_masks.push_back(pair);
    }
  if (!independent(row_masks) || !independent(lane_masks)) return false;
  initial.insert(initial.end(), members.begin(), members.end());
  return true;
}

int Shape::add_stage(DiagonalStage&& stage) {
  stages.push_back(std::move(stage));
  const int index = int(stages.size()) - 1;
  passes.back().items.push_back({index, {}, false});
  return index;
}

void Shape::add_pass(const PlanData& plan, const GateRuns& gate_runs, const PassData& pass) {
  const int geometry = add_geometry(pass.basis);
  open_pass(geometry);
  attachable_ = -1;
  for (int o = pass.first; o < pass.first + pass.count; o++) {
    const OperationData& op = plan.operations[o];
    operations_left_--;
    if (op.diagonal) {
      add_diagonal(plan, op);
      if (options_.pass_per_diagonal || !options_.fusion) open_pass(geometry);
      continue;
    }
    std::vector<int> members, in_rows, in_lanes;
    choose_frame(plan, o);
    for (int i = op.first; i < op.first + op.count; i++) {
      const RotationData& r = plan.rotations[i];
      ShapeRotation rotation{r.gate_run, lane_frame.pair(r.pair), lane_frame.parity(r.parity), r.flip};
      if (plan.gate_runs[r.gate_run].per_sample) rotation.sample_index = sample_run(plan, r.gate_run);
      rotation.tile_parity = tile_parity_of(geometries[geometry], row_of(rotation.parity));
      members.push_back(int(rotations.size()));
      rotations.push_back(rotation);
    }
    started_ = true;
    for (int m : members)
      if (const int run = rotations[m].gate_run; gate_runs.trainable(run) && !gate_runs.real(run))
        since_diagonal_.push_back(m);
    if (absorbing_ && absorb(members)) {
      passes.back().items.push_back({-1, members, true});
      continue;
    }
    absorbing_ = false;
    for (int m : members) (row_of(rotations[m].pair) ? in_rows : in_lanes).push_back(m);
    // Each scaled rotation may grow the state by sqrt(2): bring it back to norm 1 well before float32 overflows.
    if (attachable_ < 0 && unscaled_ > 0 && unscaled_ + int(members.size()) > kMostUnscaled) {
      attachable_ = add_stage({});
      unscaled_ = 0;
    }
    unscaled_ += int(members.size());
    // where psi is kept, v is taken from the state right after its rotations: two sets need two states
    if (options_.keep && !passes.back().items.empty() && passes.back().items.back().stage < 0)
      attachable_ = add_stage({});
    passes.back().rotations += int(members.size());
    if (!in_lanes.empty()) {
      int stage = attachable_;
      if (stage < 0) stage = add_stage({});
      for (int m : in_lanes) {
        const ShapeRotation& r = rotations[m];
        stages[stage].lanes.push_back({m, lane_of(r.pair), lane_of(r.parity)});
        if (r.sample_index >= 0 || row_of(r.parity)) stages[stage].general = true;
      }
      order_lanes(stages[stage]);
    }
    attachable_ = -1;
    if (!in_rows.empty()) passes.back().items.push_back({-1, in_rows, false});
    if (!options_.fusion) open_pass(geometry);
  }
}

// A per-sample gate run's place in sample_runs. Its phases may be here while its R is in another part of the circuit.
int Shape::sample_run(const PlanData& plan, int gate_run) {
  int& place = sample_run_of[std::size_t(gate_run)];
  if (place >= 0) return place;
  place = int(sample_runs.size());
  const GateRunData& run = plan.gate_runs[gate_run];
  SampleRun added{gate_run, run.first, run.count, run.real, false};
  std::vector<std::uint8_t> axes;
  for (int k = run.first; k < run.first + run.count; k++) {
    const AngleData& angle = plan.angles[k];
    axes.push_back(std::uint8_t(angle.axis));
    added.has_shared = added.has_shared || (angle.slot >= 0 && !angle.per_sample);
  }
  if (!run.real) {
    auto same = [&](const MergedRuns& m) { return m.axes == axes; };
    const auto group = std::find_if(merged.begin(), merged.end(), same);
    added.group = int(group - merged.begin());
    if (group == merged.end()) merged.push_back({axes, {}, 0, 0});
    added.place = int(merged[added.group].runs.size());
    merged[added.group].runs.push_back(place);
  }
  sample_runs.push_back(added);
  return place;
}

// Of each: cosines and sines of its gates, alpha, gamma.
void Shape::place_merged() {
  const std::size_t lanes = std::size_t(options_.lanes), samples = lanes >> lane_bits;
  for (MergedRuns& m : merged) {
    m.vectors = (m.runs.size() * samples + lanes - 1) / lanes, m.first = merged_numbers;
    merged_numbers += lanes * m.vectors * (2 * m.axes.size() + 2);
  }
}

// Where a diagonal comes right before, it may leave the lanes in a frame that suits the rotations up to the next one.
void Shape::choose_frame(const PlanData& plan, int operation) {
  if (attachable_ < 0 || lane_bits == 0) return;
  std::vector<Mask> pairs;
  for (std::size_t o = std::size_t(operation); o < plan.operations.size() && !plan.operations[o].diagonal; o++)
    for (int i = plan.operations[o].first; i < plan.operations[o].first + plan.operations[o].count; i++)
      pairs.push_back(plan.rotations[std::size_t(i)].pair);
  const LaneFrame next = lane_frame.for_pairs(pairs);
  if (lane_frame.across(pairs) < next.across(pairs) + 2) return;
  DiagonalStage& stage = stages[std::size_t(attachable_)];
  stage.exchanges = stage.general = true;
  stage.exchange = lane_frame.to(next);
  lane_frame = next;
}

// Lane rotation k is of lane bit k, or the stage is general.
void Shape::order_lanes(DiagonalStage& stage) {
  std::vector<LaneRotationShape>& lanes = stage.lanes;
  std::sort(lanes.begin(), lanes.end(), [](const auto& a, const auto& b) { return a.lane_xor < b.lane_xor; });
  for (std::size_t k = 0; k < lanes.size(); k++)
    if (lanes[k].lane_xor != 1 << k) stage.general = true;
}

void Shape::add_diagonal(const PlanData& plan, const OperationData& op) {
  int row = term_row_;
  for (int i = op.first; i < op.first + op.count; i++) term_row_ += plan.terms[i].source == kSlot;
  if (started_) absorbing_ = false;
  if (!started_ && !amplitude_encoded_) return;  // a phase of |0...0>
  if (operations_left_ == 0 && diagonal_strings_) {  // commutes with what is measured: no effect, zero gradients
    since_diagonal_.clear();
    return;
  }
  DiagonalStage stage;
  std::vector<PhaseTerm>& terms = stage.diagonal.terms;
  std::map<Mask, int> by_mask;
  auto term_of = [&](Mask mask) -> PhaseTerm& {
    auto [it, fresh] = by_mask.try_emplace(mask, int(terms.size()));
    if (fresh) terms.emplace_back(mask, lane_of(mask));
    return terms[it->second];
  };
  for (int i = op.first; i < op.first + op.count; i++) {
    const TermData& t = plan.terms[i];
    PhaseTerm& term = term_of(lane_frame.parity(t.mask));
    term.constant += t.sign * t.offset;
    if (t.source != kConstant)
      term.sources.push_back({t.source, t.index, t.sign * t.coefficient, t.source == kSlot ? row++ : -1});
  }
  for (int i = op.sample_first; i < op.sample_first + op.sample_count; i++) {
    const TermData& t = plan.terms[i];
    const Mask mask = lane_frame.parity(t.mask);
    const PhaseTerm where(mask, lane_of(mask));
    if (t.source != kSampleSlot) sample_run(plan, t.index);
    stage.diagonal.sample_terms.push_back({where, t.source, t.index, t.sign * t.coefficient, t.sign * t.offset});
  }
  unscaled_ = 0;
  stage.v_z = since_diagonal_;
  since_diagonal_.clear();
  attachable_ = add_stage(std::move(stage));
}

}  // namespace qmltrain
