// Shape: coordinates of elementwise steps, groups of rotations, and the steps of a sweep with where their sums go.
#include <algorithm>

#include "gf2.hpp"
#include "shape.hpp"

namespace qmltrain {

// Coordinates e of the rows of a tile: masks whose signed sums of w are wanted are coordinates as far as they are
// independent, so that a tree of sums yields them all.
void Shape::layout(const TileGeometry& g, Elementwise& e) {
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
  if (e.exchanges) {
    auto lanes_of = [&](Mask u) {  // of a row in coordinates of the tile
      Mask r = 0;
      for (int i = 0; i < g.tile_bits; i++)
        if (u >> i & 1) r ^= g.basis[std::size_t(i)];
      return std::uint8_t(e.exchange.lanes(r));
    };
    for (Mask u : span(basis, 0, low)) e.exchange_low.push_back(lanes_of(u));
    for (Mask u : span(basis, low, basis.size() - low)) e.exchange_high.push_back(lanes_of(u));
    for (Mask r : g.tau_basis) e.exchange_tau.push_back(std::uint8_t(e.exchange.lanes(r)));
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
      if (g.tau_bits == 0) {
        d.high_table = table_size;
        table_size += 2 * std::max<std::size_t>(e.n_high, lanes_);
        d.variant.assign(e.n_high, 0);
        for (std::size_t i = 0; i < d.crossing.size(); i++)
          for (std::uint32_t h = 0; h < e.n_high; h++)
            d.variant[h] |= std::uint8_t(parity_of(h & (d.terms[std::size_t(d.crossing[i])].e >> low)) << i);
      }
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
    if (lane_of(r.pair)) group.lanes = true;
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
      const bool a_lanes = lane_of(rotations[a].pair), b_lanes = lane_of(rotations[b].pair);
      if (a_lanes != b_lanes) return b_lanes;  // those that exchange lanes stay among themselves
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

// A share is given by the highest coordinates of its rows: sums over it see the lower ones, its number gives the sign of the rest.
void Shape::add_share_sums(Elementwise& e) const {
  if (!share_bits) return;
  const std::uint32_t bits = std::uint32_t(row_bits - share_bits);
  for (const SumTarget& t : e.sums) {
    if (e.walsh) e.share_sums.push_back({t.from & ((1u << bits) - 1), t.acc, t.from >> bits});
    else if (t.from < bits || t.from == std::uint32_t(row_bits)) e.share_sums.push_back({std::min(t.from, bits), t.acc, 0});
    else e.share_sums.push_back({bits, t.acc, std::uint64_t(1) << (t.from - bits)});
  }
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
    for (Item& item : sweep.items) {
      if (item.elementwise >= 0) {
        layout(g, elementwise[item.elementwise]);
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
        add_share_sums(e);
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
          layout(g, lanes);
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
