#include "shape.hpp"

#include <algorithm>
#include <stdexcept>

#include "gf2.hpp"

namespace qmltrain {

Shape::Shape(const PlanData& plan, const Runs& runs, int lane_bits_, int lanes, std::size_t row_bytes_, int max_group, bool keep,
             bool split, bool fusion, int share_row_bits)
    : n(plan.n_qubits), lane_bits(lane_bits_), row_bits(plan.n_qubits - lane_bits_), row_bytes(row_bytes_), lanes_(lanes),
      max_group_(fusion ? max_group : 1), keep_(keep), split_(split), fusion_(fusion),
      amplitude_encoded_(plan.amplitude_encoded), absorbing_(!plan.amplitude_encoded) {
  term_row_ = 3 * int(plan.runs.size());
  for (const StringData& s : plan.strings)
    if (s.x) diagonal_strings_ = false;
  for (const PassData& p : plan.passes) operations_left_ += p.count;
  for (const PassData& p : plan.passes)
    if (int(p.basis.size()) < n) scatter = Scatter(lane_bits, row_bits);
  lane_frame = LaneFrame(lane_bits, row_bits);
  for (const PassData& p : plan.passes) add_pass(plan, runs, p);
  resident = true;
  for (const TileGeometry& g : geometries)
    if (g.tau_bits) resident = false;
  if (resident && !keep && row_bits >= share_row_bits + 2) share_bits = std::min(row_bits - share_row_bits, kMostShareBits);
  finish(runs);
}

std::size_t Shape::intern(const std::vector<Offset>& table) {
  auto [it, fresh] = interned_.try_emplace(table, offsets.size());
  if (fresh) offsets.insert(offsets.end(), table.begin(), table.end());
  return it->second;
}

int Shape::add_geometry(const std::vector<Mask>& basis) {
  TileGeometry g;
  std::vector<Mask> reduced;
  for (Mask m : basis) {
    m = row_of(m);
    for (Mask r : reduced)
      if (m >> (63 - __builtin_clzll(r)) & 1) m ^= r;
    if (!m) continue;  // lanes are in every tile
    const int p = 63 - __builtin_clzll(m);
    for (Mask& r : reduced)
      if (r >> p & 1) r ^= m;
    reduced.push_back(m);
  }
  std::sort(reduced.begin(), reduced.end());
  g.basis = reduced;
  g.tile_bits = int(reduced.size());
  g.tau_bits = row_bits - g.tile_bits;
  Mask pivots = 0;
  for (Mask r : reduced) pivots |= Mask(1) << (63 - __builtin_clzll(r));
  for (int q = 0; q < row_bits; q++)
    if (!(pivots >> q & 1)) g.tau_basis.push_back(Mask(1) << q);
  for (Mask m : span(g.tau_basis, 0, g.tau_basis.size())) g.tile_base.push_back(Offset(scatter.row(m)) * row_bytes);
  if (g.tau_bits)
    for (Mask m : span(g.basis, 0, g.basis.size())) g.rows.push_back(Offset(scatter.row(m)) * row_bytes);
  geometries.push_back(std::move(g));
  return int(geometries.size()) - 1;
}

Mask Shape::local_row(const TileGeometry& g, Mask row) const {
  Mask u = 0;
  for (int i = 0; i < g.tile_bits; i++)
    if (row >> (63 - __builtin_clzll(g.basis[i])) & 1) u |= Mask(1) << i;
  Mask back = 0;
  for (int i = 0; i < g.tile_bits; i++)
    if (u >> i & 1) back ^= g.basis[i];
  if (back != row) throw std::logic_error("a rotation's pairs do not lie in its tile");
  return u;
}
Mask Shape::local_parity(const TileGeometry& g, Mask row) const {
  Mask f = 0;
  for (int i = 0; i < g.tile_bits; i++) f |= Mask(parity_of(g.basis[i] & row)) << i;
  return f;
}
Mask Shape::tau_parity(const TileGeometry& g, Mask row) const {
  Mask f = 0;
  for (int i = 0; i < g.tau_bits; i++) f |= Mask(parity_of(g.tau_basis[i] & row)) << i;
  return f;
}
Offset Shape::state_offset(const TileGeometry& g, Mask u) const {
  Mask row = 0;
  for (int i = 0; i < g.tile_bits; i++)
    if (u >> i & 1) row ^= g.basis[i];
  return Offset(scatter.row(row)) * row_bytes;
}

RowTable Shape::rows(const TileGeometry& g, const std::vector<Mask>& basis, std::size_t low_bits) {
  auto table = [&](std::size_t first, std::size_t count) {
    std::vector<Offset> t;
    for (Mask u : span(basis, first, count)) t.push_back(state_offset(g, u));
    return intern(t);
  };
  return {table(0, low_bits), table(low_bits, basis.size() - low_bits), 0};
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

int Shape::add_elementwise(Elementwise&& e) {
  elementwise.push_back(std::move(e));
  const int index = int(elementwise.size()) - 1;
  sweeps.back().items.push_back({index, {}, false});
  return index;
}

void Shape::add_pass(const PlanData& plan, const Runs& runs, const PassData& pass) {
  const int geometry = add_geometry(pass.basis);
  open_sweep(geometry);
  attachable_ = -1;
  for (int o = pass.first; o < pass.first + pass.count; o++) {
    const OperationData& op = plan.operations[o];
    operations_left_--;
    if (op.diagonal) {
      add_diagonal(plan, op);
      if (split_ || !fusion_) open_sweep(geometry);
      continue;
    }
    std::vector<int> members, in_rows, in_lanes;
    choose_frame(plan, o);
    for (int i = op.first; i < op.first + op.count; i++) {
      const RotationData& r = plan.rotations[i];
      ShapeRotation rotation{r.run, lane_frame.pair(r.pair), lane_frame.parity(r.parity), r.flip};
      if (plan.runs[r.run].per_sample) {
        rotation.sample_index = int(angles_.size());
        angles_.push_back(plan.angles[plan.runs[r.run].first]);
      }
      rotation.tau = tau_parity(geometries[geometry], row_of(rotation.parity));
      members.push_back(int(rotations.size()));
      rotations.push_back(rotation);
    }
    started_ = true;
    for (int m : members)
      if (runs.trainable(rotations[m].run) && !runs.real(rotations[m].run)) since_diagonal_.push_back(m);
    if (absorbing_ && absorb(members)) {
      sweeps.back().items.push_back({-1, members, true});
      continue;
    }
    absorbing_ = false;
    for (int m : members) (row_of(rotations[m].pair) ? in_rows : in_lanes).push_back(m);
    // Each scaled rotation may grow the state by sqrt(2): bring it back to norm 1 well before float32 overflows.
    if (attachable_ < 0 && unscaled_ > 0 && unscaled_ + int(members.size()) > kMostUnscaled) {
      attachable_ = add_elementwise({});
      unscaled_ = 0;
    }
    unscaled_ += int(members.size());
    // where psi is kept, v is taken from the state right after its rotations: two sets need two states
    if (keep_ && !sweeps.back().items.empty() && sweeps.back().items.back().elementwise < 0) attachable_ = add_elementwise({});
    sweeps.back().rotations += int(members.size());
    if (!in_lanes.empty()) {
      int e = attachable_;
      if (e < 0) e = add_elementwise({});
      for (int m : in_lanes) {
        const ShapeRotation& r = rotations[m];
        elementwise[e].lanes.push_back({m, lane_of(r.pair), lane_of(r.parity)});
        if (r.sample_index >= 0 || row_of(r.parity)) elementwise[e].general = true;
      }
      order_lanes(elementwise[e]);
    }
    attachable_ = -1;
    if (!in_rows.empty()) sweeps.back().items.push_back({-1, in_rows, false});
    if (!fusion_) open_sweep(geometry);
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
  Elementwise& e = elementwise[std::size_t(attachable_)];
  e.exchanges = e.general = true;
  e.exchange = lane_frame.to(next);
  lane_frame = next;
}

// Lane rotation k is of lane bit k, or the step is general.
void Shape::order_lanes(Elementwise& e) {
  std::sort(e.lanes.begin(), e.lanes.end(), [](const auto& a, const auto& b) { return a.lane_xor < b.lane_xor; });
  for (std::size_t k = 0; k < e.lanes.size(); k++)
    if (e.lanes[k].lane_xor != 1 << k) e.general = true;
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
  Elementwise e;
  e.diagonal.layer = op.layer;
  std::map<Mask, int> by_mask;
  auto slot_of = [&](Mask mask) -> PhaseTerm& {
    auto [it, fresh] = by_mask.try_emplace(mask, int(e.diagonal.terms.size()));
    if (fresh) e.diagonal.terms.push_back({mask, 0, {}, 0, 0, lane_of(mask)});
    return e.diagonal.terms[it->second];
  };
  for (int i = op.first; i < op.first + op.count; i++) {
    const TermData& t = plan.terms[i];
    PhaseTerm& term = slot_of(lane_frame.parity(t.mask));
    term.constant += t.sign * t.offset;
    if (t.source != kConstant)
      term.parts.push_back({t.source, t.index, t.sign * t.coefficient, t.source == kSlot ? row++ : -1});
  }
  for (int i = op.sample_first; i < op.sample_first + op.sample_count; i++) {
    const TermData& t = plan.terms[i];
    const Mask mask = lane_frame.parity(t.mask);
    e.diagonal.sample.push_back({{mask, 0, {}, 0, 0, lane_of(mask)}, t.index, t.sign * t.coefficient, t.sign * t.offset, -1});
  }
  unscaled_ = 0;
  e.v_z = since_diagonal_;
  since_diagonal_.clear();
  attachable_ = add_elementwise(std::move(e));
}

}  // namespace qmltrain
