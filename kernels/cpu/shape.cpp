#include "shape.hpp"

#include <algorithm>
#include <stdexcept>

namespace qmltrain {

namespace {

// Basis of {u : parity(u & f) = 0 for all f}, as few bits as possible each, ascending.
std::vector<Mask> null_space(std::vector<Mask> functionals, int bits) {
  std::vector<int> pivot;
  std::vector<Mask> reduced;
  for (Mask f : functionals) {
    for (std::size_t i = 0; i < reduced.size(); i++)
      if (f >> pivot[i] & 1) f ^= reduced[i];
    if (!f) continue;
    const int p = 63 - __builtin_clzll(f);
    for (Mask& r : reduced)
      if (r >> p & 1) r ^= f;
    reduced.push_back(f), pivot.push_back(p);
  }
  std::vector<Mask> basis;
  for (int q = 0; q < bits; q++) {
    if (std::find(pivot.begin(), pivot.end(), q) != pivot.end()) continue;
    Mask v = Mask(1) << q;
    for (std::size_t i = 0; i < reduced.size(); i++)
      if (reduced[i] >> q & 1) v |= Mask(1) << pivot[i];
    basis.push_back(v);
  }
  return basis;
}

// Unit vectors that complete `masks` (independent) to a basis.
std::vector<Mask> complement(const std::vector<Mask>& masks, int bits) {
  std::vector<Mask> reduced;
  Mask pivots = 0;
  for (Mask m : masks) {
    for (Mask r : reduced)
      if (m >> (63 - __builtin_clzll(r)) & 1) m ^= r;
    if (!m) throw std::logic_error("masks of a group are dependent");
    const int p = 63 - __builtin_clzll(m);
    for (Mask& r : reduced)
      if (r >> p & 1) r ^= m;
    reduced.push_back(m), pivots |= Mask(1) << p;
  }
  std::vector<Mask> basis;
  for (int q = 0; q < bits; q++)
    if (!(pivots >> q & 1)) basis.push_back(Mask(1) << q);
  return basis;
}

bool independent(const std::vector<Mask>& masks) {
  std::vector<Mask> reduced;
  for (Mask m : masks) {
    for (Mask r : reduced) m = std::min(m, m ^ r);
    if (!m) return false;
    reduced.push_back(m);
  }
  return true;
}

// Vectors e_i with parity(f_j & e_i) = (i == j), for `bits` independent functionals.
std::vector<Mask> dual_basis(std::vector<Mask> f) {
  const std::size_t n = f.size();
  std::vector<Mask> combination(n);  // f_i reduced = sum of the original functionals in combination
  for (std::size_t i = 0; i < n; i++) combination[i] = Mask(1) << i;
  for (std::size_t q = 0; q < n; q++) {  // make f a permutation of unit functionals
    std::size_t i = q;
    while (!(f[i] >> q & 1)) i++;
    std::swap(f[i], f[q]), std::swap(combination[i], combination[q]);
    for (std::size_t j = 0; j < n; j++)
      if (j != q && f[j] >> q & 1) f[j] ^= f[q], combination[j] ^= combination[q];
  }
  // now bit q of u = sum of f_k(u) over k in combination[q], so e_k has bit q exactly when k is in combination[q]
  std::vector<Mask> e(n, 0);
  for (std::size_t q = 0; q < n; q++)
    for (std::size_t k = 0; k < n; k++)
      if (combination[q] >> k & 1) e[k] |= Mask(1) << q;
  return e;
}

std::vector<Mask> span(const std::vector<Mask>& basis, std::size_t first, std::size_t count) {
  std::vector<Mask> all(std::size_t(1) << count, 0);
  for (std::size_t i = 1; i < all.size(); i++) {
    const int p = 63 - __builtin_clzll(i);
    all[i] = all[i ^ (std::size_t(1) << p)] ^ basis[first + p];
  }
  return all;
}

}  // namespace

Shape::Shape(const PlanData& plan, const Runs& runs, int lane_bits_, int lanes, std::size_t row_bytes_, int max_group, bool keep,
             bool split, bool fusion)
    : n(plan.n_qubits), lane_bits(lane_bits_), row_bits(plan.n_qubits - lane_bits_), row_bytes(row_bytes_), lanes_(lanes),
      max_group_(fusion ? max_group : 1), keep_(keep), split_(split), fusion_(fusion),
      amplitude_encoded_(plan.amplitude_encoded), absorbing_(!plan.amplitude_encoded) {
  term_row_ = 3 * int(plan.runs.size());
  for (const StringData& s : plan.strings)
    if (s.x) diagonal_strings_ = false;
  for (const PassData& p : plan.passes) operations_left_ += p.count;
  for (const PassData& p : plan.passes)
    if (int(p.basis.size()) < n) scatter = Scatter(lane_bits, row_bits);
  for (const PassData& p : plan.passes) add_pass(plan, runs, p);
  resident = true;
  for (const TileGeometry& g : geometries)
    if (g.tau_bits) resident = false;
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
      add_diagonal(plan, runs, op);
      if (split_ || !fusion_) open_sweep(geometry);
      continue;
    }
    std::vector<int> members, in_rows, in_lanes;
    for (int i = op.first; i < op.first + op.count; i++) {
      const RotationData& r = plan.rotations[i];
      ShapeRotation rotation{r.run, r.pair, r.parity, r.flip};
      if (plan.runs[r.run].per_sample) {
        rotation.sample_index = int(angles_.size());
        angles_.push_back(plan.angles[plan.runs[r.run].first]);
      }
      rotation.tau = tau_parity(geometries[geometry], row_of(r.parity));
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

// Lane rotation k is of lane bit k, or the step is general.
void Shape::order_lanes(Elementwise& e) {
  std::sort(e.lanes.begin(), e.lanes.end(), [](const auto& a, const auto& b) { return a.lane_xor < b.lane_xor; });
  for (std::size_t k = 0; k < e.lanes.size(); k++)
    if (e.lanes[k].lane_xor != 1 << k) e.general = true;
}

void Shape::add_diagonal(const PlanData& plan, const Runs& runs, const OperationData& op) {
  (void)runs;
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
    PhaseTerm& term = slot_of(t.mask);
    term.constant += t.sign * t.offset;
    if (t.source != kConstant)
      term.parts.push_back({t.source, t.index, t.sign * t.coefficient, t.source == kSlot ? row++ : -1});
  }
  for (int i = op.sample_first; i < op.sample_first + op.sample_count; i++) {
    const TermData& t = plan.terms[i];
    e.diagonal.sample.push_back({{t.mask, 0, {}, 0, 0, lane_of(t.mask)}, t.index, t.sign * t.coefficient, t.sign * t.offset, -1});
  }
  unscaled_ = 0;
  e.v_z = since_diagonal_;
  since_diagonal_.clear();
  attachable_ = add_elementwise(std::move(e));
}

// Coordinates e of the rows of a tile: masks whose signed sums of w are wanted are coordinates as far as they are
// independent, so that a tree of sums yields them all.
void Shape::layout(const TileGeometry& g, Elementwise& e, const Runs& runs) {
  (void)runs;
  std::vector<Mask> wanted;
  auto want = [&](Mask mask) {
    const Mask f = local_parity(g, row_of(mask));
    if (f && std::find(wanted.begin(), wanted.end(), f) == wanted.end()) wanted.push_back(f);
  };
  for (int m : e.v_z) want(rotations[m].parity);
  for (const PhaseTerm& t : e.diagonal.terms)
    for (const auto& part : t.parts)
      if (part.row >= 0) want(t.mask);
  for (const SampleTerm& t : e.diagonal.sample) want(t.where.mask);
  std::stable_sort(wanted.begin(), wanted.end(), [](Mask a, Mask b) {
    const int ca = __builtin_popcountll(a), cb = __builtin_popcountll(b);
    return ca != cb && (ca == 1 || cb == 1) ? ca < cb : a < b;
  });
  std::vector<Mask> functionals;
  auto try_add = [&](Mask f) {
    functionals.push_back(f);
    if (independent(functionals)) return true;
    functionals.pop_back();
    return false;
  };
  for (Mask f : wanted)
    if (!try_add(f)) e.walsh = true;
  for (int q = 0; q < g.tile_bits && int(functionals.size()) < g.tile_bits; q++) try_add(Mask(1) << q);
  std::sort(functionals.begin(), functionals.end(),
            [](Mask a, Mask b) { return (a & -a) != (b & -b) ? (a & -a) < (b & -b) : a < b; });
  const std::vector<Mask> basis = dual_basis(functionals);
  const std::size_t low = std::min<std::size_t>(basis.size(), kBlockBits);
  e.basis = basis;
  e.rows = rows(g, basis, low);
  e.n_low = 1u << low, e.n_high = 1u << (basis.size() - low);
  auto coordinates = [&](Mask mask) {
    const Mask f = local_parity(g, row_of(mask));
    std::uint32_t c = 0;
    for (std::size_t i = 0; i < basis.size(); i++) c |= std::uint32_t(parity_of(basis[i] & f)) << i;
    return c;
  };
  auto place = [&](PhaseTerm& t) { t.tau = tau_parity(g, row_of(t.mask)), t.e = coordinates(t.mask); };
  for (PhaseTerm& t : e.diagonal.terms) place(t);
  for (SampleTerm& t : e.diagonal.sample) place(t.where);
  for (LaneRotationShape& l : e.lanes) {
    const std::uint32_t c = coordinates(rotations[l.rotation].parity);
    l.high_parity = c >> low;
    l.low_signs = 0;
    for (std::uint32_t i = 0; i < e.n_low; i++) l.low_signs |= std::uint32_t(parity_of(i & c & (e.n_low - 1))) << i;
    if (rotations[l.rotation].tau) e.general = true;
  }
  DiagonalShape& d = e.diagonal;
  if (d.terms.empty() && d.sample.empty()) return;
  const std::size_t all_rows = std::size_t(1) << row_bits;
  if (!d.sample.empty()) {
    d.kind = kVector;
  } else if (lane_bits == 0) {
    d.kind = kScalar;
    d.table = table_size;
    table_size += 2 * std::max<std::size_t>(all_rows, lanes_);
  } else {
    const std::uint32_t low_mask = e.n_low - 1;
    for (std::size_t i = 0; i < d.terms.size(); i++) {
      const PhaseTerm& t = d.terms[i];
      const bool in_low = (t.e & low_mask) || t.lane, in_high = (t.e & ~low_mask) || t.tau;
      (in_low && in_high ? d.crossing : in_high ? d.high : d.low).push_back(int(i));
    }
    if (d.crossing.size() <= 4) {
      d.kind = kFactor;
      d.table = table_size;
      table_size += (std::size_t(2) * lanes_ * e.n_low) << d.crossing.size();
    } else {
      d.kind = kVector;
    }
  }
  const std::size_t numbers = 2 * std::size_t(lanes_) << row_bits;
  if (d.kind == kVector && d.sample.empty() && whole_bytes_ + numbers * (row_bytes / (2 * std::size_t(lanes_))) <= kWholeTableBytes) {
    d.whole = true;
    d.table = table_size;
    table_size += numbers;
    whole_bytes_ += numbers * (row_bytes / (2 * std::size_t(lanes_)));
  }
}

int Shape::make_group(const TileGeometry& g, const std::vector<int>& members) {
  Group group;
  group.count = int(members.size());
  std::vector<Mask> masks, parities;
  for (int k = 0; k < group.count; k++) {
    const ShapeRotation& r = rotations[members[k]];
    group.rotation[k] = members[k];
    group.per_sample = r.sample_index >= 0;
    masks.push_back(local_row(g, row_of(r.pair)));
    parities.push_back(local_parity(g, row_of(r.parity)));
    group.parity_lane[k] = std::uint8_t(lane_of(r.parity));
    if (lane_of(r.pair) || lane_of(r.parity)) group.lanes = true;
  }
  std::vector<Offset> member(std::size_t(1) << group.count, 0);
  for (std::size_t j = 0; j < member.size(); j++) {
    Mask u = 0;
    for (int k = 0; k < group.count; k++)
      if (j >> k & 1) u ^= masks[k], group.member_lane[j] ^= std::uint8_t(lane_of(rotations[members[k]].pair));
    member[j] = state_offset(g, u);
  }
  // Bases: one row of each coset of the span of the masks. Rows of zero parities serve where they are a complement of the
  // span; else any complement does, cut into parts of constant parities.
  std::vector<Mask> base = null_space(parities, g.tile_bits), all = base;
  all.insert(all.end(), masks.begin(), masks.end());
  std::vector<std::pair<Mask, int>> parts{{0, 0}};
  if (int(base.size()) + group.count != g.tile_bits || !independent(all)) {
    std::vector<Mask> kernel;
    std::vector<std::pair<Mask, int>> images;  // basis vector with nonzero parities, reduced by leading bit
    for (Mask v : complement(masks, g.tile_bits)) {
      auto signs = [&](Mask u) {
        int s = 0;
        for (int k = 0; k < group.count; k++) s |= parity_of(u & parities[k]) << k;
        return s;
      };
      for (auto& [w, s] : images)
        if ((signs(v) ^ s) < signs(v)) v ^= w;
      if (const int s = signs(v)) images.push_back({v, s});
      else kernel.push_back(v);
    }
    base = kernel;
    for (auto& [w, s] : images) {
      const std::size_t count = parts.size();
      for (std::size_t i = 0; i < count; i++) parts.push_back({parts[i].first ^ w, parts[i].second ^ s});
    }
  }
  const std::size_t low = std::min<std::size_t>(base.size(), 4);
  group.rows = rows(g, base, low);
  group.rows.member = intern(member);
  group.n_low = 1u << low, group.n_high = 1u << (base.size() - low);
  for (auto& [u, s] : parts) group.parts.push_back({state_offset(g, u), s});
  groups.push_back(std::move(group));
  return int(groups.size()) - 1;
}

std::vector<int> Shape::make_groups(const TileGeometry& g, std::vector<int> members, int most) {
  std::vector<int> made;
  for (const bool sample : {false, true}) {
    std::vector<int> rest;
    for (int m : members)
      if ((rotations[m].sample_index >= 0) == sample) rest.push_back(m);
    std::sort(rest.begin(), rest.end(), [&](int a, int b) {
      return local_row(g, row_of(rotations[a].pair)) < local_row(g, row_of(rotations[b].pair));
    });
    const int limit = sample ? std::min(most, 3) : most;
    while (!rest.empty()) {
      // 4 rotations in one plane at a time or 3 in both: 5 = 3 + 2, 6 = 3 + 3, 7 = 4 + 3, 9 = 3 + 3 + 3
      const int left = int(rest.size());
      int want = std::min(limit, left);
      if (limit == 4 && (left == 5 || left == 6 || left == 9)) want = 3;
      if (limit == 3 && left == 4) want = 2;
      std::vector<int> chosen, later;
      std::vector<Mask> masks;
      for (int m : rest) {
        masks.push_back(local_row(g, row_of(rotations[m].pair)));
        if (int(chosen.size()) < want && independent(masks)) {
          chosen.push_back(m);
        } else {
          masks.pop_back();
          later.push_back(m);
        }
      }
      made.push_back(make_group(g, chosen));
      rest = later;
    }
  }
  return made;
}

void Shape::finish(const Runs& runs) {
  std::vector<Sweep> kept;
  for (Sweep& s : sweeps)
    if (!s.items.empty()) kept.push_back(std::move(s));
  sweeps = std::move(kept);
  const int pair = fusion_ ? 2 : 1;
  n_acc = 1;  // accumulator 0 is always zero
  for (Sweep& sweep : sweeps) {
    const TileGeometry& g = geometries[sweep.geometry];
    sweep.acc_first = n_acc;
    longest_elementwise = std::max(longest_elementwise, 1u << g.tile_bits);
    for (Item& item : sweep.items) {
      if (item.elementwise >= 0) {
        layout(g, elementwise[item.elementwise], runs);
        sweep.forward.push_back({Step::kElementwise, item.elementwise});
      } else if (!item.initial) {
        for (int group : make_groups(g, item.rotations, max_group_)) sweep.forward.push_back({Step::kRotate, group});
      }
    }
    auto new_acc = [&](int m) { rotations[m].acc = n_acc, n_acc += 2; };
    auto rows_of = [&](int m, int lane_mask, bool minus) {
      const ShapeRotation& r = rotations[m];
      if (r.sample_index >= 0) {
        const AngleData& angle = angles_[r.sample_index];
        sample_rows.push_back({r.acc + 1, lane_mask, angle.slot, (minus ? -1.0 : 1.0) * angle.coefficient, m, -1, 0});
      } else {
        if (!runs.real(r.run)) raw_rows.push_back({r.acc, 0, 3 * r.run, 'x', m, -1, 0});
        raw_rows.push_back({r.acc + 1, lane_mask, 3 * r.run + 1, minus ? 'm' : 'y', m, -1, 0});
      }
    };
    for (std::size_t i = sweep.items.size(); i-- > 0;) {
      const Item& item = sweep.items[i];
      if (item.elementwise >= 0) {
        Elementwise& e = elementwise[item.elementwise];
        sweep.backward.push_back({Step::kElementwise, item.elementwise});
        for (const LaneRotationShape& l : e.lanes) {
          new_acc(l.rotation);
          if (runs.trainable(rotations[l.rotation].run)) rows_of(l.rotation, l.lane_parity, true);
        }
        std::map<std::pair<std::uint32_t, Mask>, int> by_row;
        auto sum_of = [&](Mask mask) {
          PhaseTerm t;
          const Mask f = local_parity(g, row_of(mask));
          t.tau = tau_parity(g, row_of(mask));
          std::uint32_t c = 0;  // coordinates
          for (std::size_t q = 0; q < e.basis.size(); q++) c |= std::uint32_t(parity_of(e.basis[q] & f)) << q;
          auto [it, fresh] = by_row.try_emplace({c, t.tau}, n_acc);
          if (fresh) {
            const std::uint32_t from = e.walsh ? c : std::uint32_t(c ? std::size_t(__builtin_ctz(c)) : e.basis.size());
            e.sums.push_back({from, std::uint32_t(n_acc++), t.tau});
          }
          return it->second;
        };
        for (int m : e.v_z)
          raw_rows.push_back({sum_of(rotations[m].parity), lane_of(rotations[m].parity), 3 * rotations[m].run + 2, 'z', m,
                              item.elementwise, 0});
        for (const PhaseTerm& t : e.diagonal.terms)
          for (const auto& part : t.parts)
            if (part.row >= 0) raw_rows.push_back({sum_of(t.mask), t.lane, part.row, 't', -1, item.elementwise, t.mask});
        for (const SampleTerm& t : e.diagonal.sample)
          sample_rows.push_back({sum_of(t.where.mask), t.where.lane, t.slot, t.coefficient, -1, item.elementwise, t.where.mask});
        continue;
      }
      std::vector<int> wanted, rest;
      for (int m : item.rotations) (runs.trainable(rotations[m].run) ? wanted : rest).push_back(m);
      for (int m : wanted) new_acc(m);
      if (item.initial) {
        std::vector<int> in_rows;
        Elementwise lanes;  // v of rotations within the rows: a step that turns by nothing
        lanes.measure = true;
        for (int m : wanted) {
          const ShapeRotation& r = rotations[m];
          const bool inside = row_of(r.pair) == 0;
          rows_of(m, lane_of(r.parity), inside);
          if (!inside) {
            in_rows.push_back(m);
            continue;
          }
          lanes.lanes.push_back({m, lane_of(r.pair), lane_of(r.parity)});
          if (row_of(r.parity)) lanes.general = true;
        }
        for (int group : make_groups(g, in_rows, pair)) sweep.backward.push_back({Step::kMeasure, group});
        if (!lanes.lanes.empty()) {
          order_lanes(lanes);
          layout(g, lanes, runs);
          elementwise.push_back(std::move(lanes));
          sweep.backward.push_back({Step::kElementwise, int(elementwise.size()) - 1});
        }
        continue;
      }
      for (int m : wanted) rows_of(m, lane_of(rotations[m].parity), false);
      for (int group : make_groups(g, wanted, pair))
        sweep.backward.push_back({keep_ ? Step::kMeasure : Step::kReverse, group});
      if (keep_) {
        for (int group : make_groups(g, item.rotations, max_group_)) sweep.backward.push_back({Step::kUndoLam, group});
      } else {
        for (int group : make_groups(g, rest, max_group_)) sweep.backward.push_back({Step::kUndo, group});
      }
    }
    sweep.acc_count = n_acc - sweep.acc_first;
  }
  // lanes first, then rows by mask; plain where the rows' masks are the address bits in order
  std::sort(initial.begin(), initial.end(), [&](int a, int b) { return rotations[a].pair < rotations[b].pair; });
  int bit = lane_bits;
  for (int m : initial)
    if (row_of(rotations[m].pair)) plain_initial = plain_initial && rotations[m].pair == Mask(1) << bit++;
}

}  // namespace qmltrain
