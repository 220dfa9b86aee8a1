// Shape: rows of diagonal stages and of groups of rotations, in coordinates of their tile.
#include <algorithm>

#include "gf2.hpp"
#include "shape.hpp"

namespace qmltrain {

namespace {
constexpr std::size_t kMostCrossing = 4;  // crossing terms of a kFactor diagonal: 2^4 small tables
constexpr Mask kNearRows = 32;            // rows of 128 bytes in a page

// How many rotations the next group takes of so many that are left. 4 rotations in one plane at a time or 3 in both:
// 5 = 3 + 2, 6 = 3 + 3, 7 = 4 + 3, 9 = 3 + 3 + 3.
int group_size(int left, int limit) {
  if (limit == 4 && (left == 5 || left == 6 || left == 9)) return 3;
  if (limit == 3 && left == 4) return 2;
  return std::min(limit, left);
}

// Groups of four after the next one.
int fours_after(int left) {
  int count = 0;
  for (left -= group_size(left, 4); left > 0; left -= group_size(left, 4)) count += group_size(left, 4) == 4;
  return count;
}
}  // namespace

// The order in which a stage visits the rows of a tile: masks whose signed sums of w are wanted are bits of a row's
// number as far as they are independent, so that a tree of sums yields them all.
void Shape::set_rows(const TileGeometry& g, DiagonalStage& stage) {
  DiagonalShape& d = stage.diagonal;
  std::vector<Mask> wanted;
  auto want = [&](Mask mask) {
    const Mask f = local_parity(g, row_of(mask));
    if (f && std::find(wanted.begin(), wanted.end(), f) == wanted.end()) wanted.push_back(f);
  };
  for (int m : stage.v_z) want(rotations[m].parity);
  for (const PhaseTerm& t : d.terms)
    for (const PhaseTerm::Source& source : t.sources)
      if (source.raw_row >= 0) want(t.mask);
  for (const SampleTerm& t : d.sample_terms)
    if (t.source == kSampleSlot) want(t.where.mask);
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
    if (!try_add(f)) stage.walsh = true;
  for (const SampleTerm& t : d.sample_terms)  // not wanted, but a product where they are coordinates
    if (const Mask f = local_parity(g, row_of(t.where.mask)); f && t.source != kSampleSlot) try_add(f);
  for (int q = 0; q < g.tile_bits && int(functionals.size()) < g.tile_bits; q++) try_add(Mask(1) << q);
  std::sort(functionals.begin(), functionals.end(),
            [](Mask a, Mask b) { return (a & -a) != (b & -b) ? (a & -a) < (b & -b) : a < b; });
  stage.basis = dual_basis(functionals);
  const std::vector<Mask>& basis = stage.basis;
  const std::size_t low = std::min<std::size_t>(basis.size(), kLowBits);
  stage.rows = rows(g, basis, low);
  stage.n_low = 1u << low, stage.n_high = 1u << (basis.size() - low);
  auto set_coordinates = [&](PhaseTerm& t) {
    t.tile_parity = tile_parity_of(g, row_of(t.mask)), t.row_parity = row_parity_of(g, stage, t.mask);
  };
  for (PhaseTerm& t : d.terms) set_coordinates(t);
  for (SampleTerm& t : d.sample_terms) set_coordinates(t.where);
  for (LaneRotationShape& l : stage.lanes) {
    const std::uint32_t f = row_parity_of(g, stage, rotations[l.rotation].parity);
    l.high_parity = f >> low;
    l.low_signs = 0;
    for (std::uint32_t i = 0; i < stage.n_low; i++)
      l.low_signs |= std::uint32_t(parity_of(i & f & (stage.n_low - 1))) << i;
    if (rotations[l.rotation].tile_parity) stage.general = true;
  }
  if (stage.exchanges) {
    auto lanes_of = [&](Mask u) {
      Mask row = 0;
      for (int i = 0; i < g.tile_bits; i++)
        if (u >> i & 1) row ^= g.basis[std::size_t(i)];
      return std::uint8_t(stage.exchange.lanes(row));
    };
    for (Mask u : span(basis, 0, low)) stage.exchange_low.push_back(lanes_of(u));
    for (Mask u : span(basis, low, basis.size() - low)) stage.exchange_high.push_back(lanes_of(u));
    for (Mask row : g.number_basis) stage.exchange_tile.push_back(std::uint8_t(stage.exchange.lanes(row)));
  }
  if (!d.terms.empty() || !d.sample_terms.empty()) choose_table(g, stage);
}

// parity(address & mask) as a parity over a row's number (h, l) in this stage, the tile at the origin.
std::uint32_t Shape::row_parity_of(const TileGeometry& g, const DiagonalStage& stage, Mask mask) const {
  const Mask f = local_parity(g, row_of(mask));
  std::uint32_t parity = 0;
  for (std::size_t i = 0; i < stage.basis.size(); i++) parity |= std::uint32_t(parity_of(stage.basis[i] & f)) << i;
  return parity;
}

// Terms of a kFactor diagonal by what their parity depends on. high_vectors: the lanes do not count as low.
void Shape::split_terms(DiagonalStage& stage, bool high_vectors) {
  DiagonalShape& d = stage.diagonal;
  const std::uint32_t low_mask = stage.n_low - 1;
  d.low.clear(), d.high.clear(), d.crossing.clear();
  d.high_vectors = high_vectors;
  for (std::size_t i = 0; i < d.terms.size(); i++) {
    const PhaseTerm& t = d.terms[i];
    const bool in_low = (t.row_parity & low_mask) || (t.lane_parity && !high_vectors);
    const bool in_high = (t.row_parity & ~low_mask) || t.tile_parity;
    (in_low && in_high ? d.crossing : in_high ? d.high : d.low).push_back(int(i));
  }
}

// How the phases of a diagonal are given, and where their table lies.
void Shape::choose_table(const TileGeometry& g, DiagonalStage& stage) {
  if (real_) return choose_signs(g, stage);
  DiagonalShape& d = stage.diagonal;
  const std::size_t lanes = std::size_t(options_.lanes), all_rows = std::size_t(1) << row_bits;
  if (!d.sample_terms.empty()) {
    d.kind = kVector;
    auto one_coordinate = [](const SampleTerm& t) { return __builtin_popcount(t.where.row_parity) <= 1; };
    d.product = options_.sample_angles && lane_bits == 0 && int(stage.basis.size()) <= kMostProductTableBits &&
                std::all_of(d.sample_terms.begin(), d.sample_terms.end(), one_coordinate);
    if (d.product) {
      d.table = table_size;
      table_size += 2 * std::max(all_rows, lanes);
    }
  } else if (lane_bits == 0) {
    d.kind = kScalar;
    d.table = table_size;
    table_size += 2 * std::max(all_rows, lanes);
  } else {
    const int low_bits = __builtin_ctz(stage.n_low);
    split_terms(stage, false);
    // CX makes masks of lanes and rows: too many would cross
    if (d.crossing.size() > kMostCrossing && g.number_bits == 0) split_terms(stage, true);
    if (d.crossing.size() <= kMostCrossing) {
      d.kind = kFactor;
      d.table = table_size;
      table_size += (2 * lanes * stage.n_low) << d.crossing.size();
      if (g.number_bits == 0) {
        d.high_table = table_size;
        table_size += 2 * (d.high_vectors ? lanes * stage.n_high : std::max<std::size_t>(stage.n_high, lanes));
        d.variant.assign(stage.n_high, 0);
        for (std::size_t i = 0; i < d.crossing.size(); i++) {
          const std::uint32_t high_parity = d.terms[std::size_t(d.crossing[i])].row_parity >> low_bits;
          for (std::uint32_t h = 0; h < stage.n_high; h++)
            d.variant[h] |= std::uint8_t(parity_of(h & high_parity) << i);
        }
      }
    } else {
      d.kind = kVector;
    }
  }
  const std::size_t numbers = 2 * lanes << row_bits, bytes = numbers * (row_bytes / (2 * lanes));
  if (d.kind == kVector && d.sample_terms.empty() && whole_table_bytes_ + bytes <= options_.table_bytes) {
    d.whole_table = true;
    d.table = table_size;
    table_size += numbers;
    whole_table_bytes_ += bytes;
  }
}

// The rows of a group of rotations: cosets of the span of their masks, one base row each.
int Shape::make_group(const TileGeometry& g, const std::vector<int>& members) {
  RotationGroup group;
  group.count = int(members.size());
  std::vector<Mask> masks, parities;
  for (int k = 0; k < group.count; k++) {
    const ShapeRotation& r = rotations[members[k]];
    group.rotation[k] = members[k];
    group.per_sample = r.sample_index >= 0;
    masks.push_back(local_row(g, row_of(r.pair)));
    parities.push_back(local_parity(g, row_of(r.parity)));
    group.parity_lane[k] = std::uint8_t(lane_of(r.parity));
    if (lane_of(r.pair)) group.across_lanes = true;
  }
  std::vector<Offset> member(std::size_t(1) << group.count, 0);
  for (std::size_t j = 0; j < member.size(); j++) {
    Mask u = 0;
    for (int k = 0; k < group.count; k++)
      if (j >> k & 1) {
        u ^= masks[k];
        group.member_lane[j] ^= std::uint8_t(lane_of(rotations[members[k]].pair));
      }
    member[j] = state_offset(g, u);
  }
  // Bases: one row of each coset of the span of the masks, and cosets in the order of their addresses, which the
  // prefetchers follow: modulo the span a base is a unit vector, the lowest first. Any row of a coset serves; one with
  // zero parities, where there is one. Else the cosets come in parts of constant parities.
  auto signs = [&](Mask u) {
    int s = 0;
    for (int k = 0; k < group.count; k++) s |= parity_of(u & parities[k]) << k;
    return s;
  };
  std::vector<std::pair<Mask, int>> images, parts{{0, 0}};  // rows with nonzero parities, reduced by leading bit
  auto reduced = [&](Mask u) {
    for (auto& [w, s] : images)
      if ((signs(u) ^ s) < signs(u)) u ^= w;
    return u;
  };
  for (Mask m : masks)
    if (const Mask u = reduced(m); signs(u)) images.push_back({u, signs(u)});
  std::vector<Mask> base;
  for (Mask v : complement(masks, g.tile_bits)) {
    const Mask u = reduced(v);
    const int s = signs(u);
    if (!s) {
      base.push_back(u);
      continue;
    }
    images.push_back({u, s});
    const std::size_t count = parts.size();
    for (std::size_t i = 0; i < count; i++) parts.push_back({parts[i].first ^ u, parts[i].second ^ s});
  }
  const std::size_t low = std::min<std::size_t>(base.size(), kLowBits);
  group.rows = rows(g, base, low);
  group.rows.member = intern(member);
  group.n_low = 1u << low, group.n_high = 1u << (base.size() - low);
  for (auto& [u, s] : parts) group.parts.push_back({state_offset(g, u), s});
  groups.push_back(std::move(group));
  return int(groups.size()) - 1;
}

// Groups of at most `most` of these rotations; per-sample ones apart.
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
    const int limit = sample && !options_.sample_angles ? std::min(most, kMaxSampleGroup) : most;
    while (!rest.empty()) {
      const int left = int(rest.size()), want = group_size(left, limit);
      // Rows that differ in no bit of kNearRows lie on the same sets of a first cache, which has room for eight rows
      // there: every group of four has one such bit, and leaves one to each of those after it.
      auto row = [&](int m) { return local_row(g, row_of(rotations[m].pair)); };
      auto near = [&](int m) { return (row(m) & (kNearRows - 1)) != 0; };
      int spare = int(std::count_if(rest.begin(), rest.end(), near)) - (limit == 4 ? fours_after(left) : 0);
      std::vector<int> chosen, later;
      std::vector<Mask> masks;
      for (int m : rest) {
        masks.push_back(row(m));
        const bool spared = want < 4 || spare > 0 || !near(m) || chosen.empty();
        if (int(chosen.size()) < want && spared && independent(masks)) {
          chosen.push_back(m);
          spare -= near(m);
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

// Groups of rotations whose v is measured and that are not rotated back: fours where there are kernels for them, then
// pairs.
std::vector<int> Shape::measured_groups(const TileGeometry& g, const std::vector<int>& members) {
  if (!options_.fusion) return make_groups(g, members, 1);
  std::vector<int> made, pairs, of_kind[2];
  for (int m : members) {
    const bool sample = rotations[m].sample_index >= 0;
    const bool fits = !lane_of(rotations[m].pair) && (!sample || options_.sample_angles);
    (fits && g.tile_bits > kMaxGroup && options_.max_measured == 4 ? of_kind[sample] : pairs).push_back(m);
  }
  for (std::vector<int>& fours : of_kind) {
    std::sort(fours.begin(), fours.end(), [&](int a, int b) { return rotations[a].pair < rotations[b].pair; });
    pairs.insert(pairs.end(), fours.begin() + std::ptrdiff_t(fours.size() / 4 * 4), fours.end());
    fours.resize(fours.size() / 4 * 4);
    for (int group : make_groups(g, fours, 4)) made.push_back(group);
  }
  for (int group : make_groups(g, pairs, 2)) made.push_back(group);
  return made;
}

}  // namespace qmltrain
