// Shape: its parts in order, tiles and rows.
#include "shape.hpp"

#include <algorithm>
#include <stdexcept>

#include "gf2.hpp"

namespace qmltrain {

namespace {
constexpr int kMostShareBits = 4;
}

Shape::Shape(const PlanData& plan, const GateRuns& gate_runs, const ShapeOptions& options)
    : n_qubits(plan.n_qubits), lane_bits(options.lane_bits), row_bits(plan.n_qubits - options.lane_bits),
      row_bytes(options.row_bytes), factored(options.sample_angles), options_(options),
      max_group_(options.fusion ? options.max_group : 1), amplitude_encoded_(plan.amplitude_encoded), real_(plan.real),
      absorbing_(!plan.amplitude_encoded && plan.start.empty()), started_(!plan.start.empty()), angles_(plan.angles) {
  sample_run_of.assign(plan.gate_runs.size(), -1);
  term_row_ = 3 * int(plan.gate_runs.size()) + plan.terms_before;
  if (plan.followed || plan.strings.empty()) diagonal_strings_ = false;
  for (const StringData& s : plan.strings)
    if (s.x) diagonal_strings_ = false;
  for (const PassData& p : plan.passes) operations_left_ += p.count;
  for (const PassData& p : plan.passes)
    if (int(p.basis.size()) < n_qubits) spread = CacheSpread(lane_bits, row_bits);
  lane_frame = LaneFrame(lane_bits, row_bits);
  for (const PassData& p : plan.passes) add_pass(plan, gate_runs, p);
  place_merged();
  resident = true;
  for (const TileGeometry& g : geometries)
    if (g.number_bits) resident = false;
  if (resident && !options.keep && row_bits >= options.share_row_bits + 2)
    share_bits = std::min(row_bits - options.share_row_bits, kMostShareBits);
  add_calls(gate_runs);
  if (!plan.start.empty()) add_start(plan, gate_runs);
}

// Where `table` starts in `offsets`; equal tables are there once.
std::size_t Shape::intern(const std::vector<Offset>& table) {
  auto [it, fresh] = interned_.try_emplace(table, offsets.size());
  if (fresh) offsets.insert(offsets.end(), table.begin(), table.end());
  return it->second;
}

// The tiles of a pass with these address masks.
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
  g.number_bits = row_bits - g.tile_bits;
  Mask pivots = 0;
  for (Mask r : reduced) pivots |= Mask(1) << (63 - __builtin_clzll(r));
  for (int q = 0; q < row_bits; q++)
    if (!(pivots >> q & 1)) g.number_basis.push_back(Mask(1) << q);
  for (Mask m : span(g.number_basis, 0, g.number_basis.size()))
    g.tile_base.push_back(Offset(spread.row(m)) * row_bytes);
  if (g.number_bits)
    for (Mask m : span(g.basis, 0, g.basis.size())) g.rows.push_back(Offset(spread.row(m)) * row_bytes);
  geometries.push_back(std::move(g));
  return int(geometries.size()) - 1;
}

// The u of a row of the tile at the origin.
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
// parity(address & row) as a parity over u, over the tile's number.
Mask Shape::local_parity(const TileGeometry& g, Mask row) const {
  Mask f = 0;
  for (int i = 0; i < g.tile_bits; i++) f |= Mask(parity_of(g.basis[i] & row)) << i;
  return f;
}
Mask Shape::tile_parity_of(const TileGeometry& g, Mask row) const {
  Mask f = 0;
  for (int i = 0; i < g.number_bits; i++) f |= Mask(parity_of(g.number_basis[i] & row)) << i;
  return f;
}
// Where the row u of the tile at the origin lies.
Offset Shape::state_offset(const TileGeometry& g, Mask u) const {
  Mask row = 0;
  for (int i = 0; i < g.tile_bits; i++)
    if (u >> i & 1) row ^= g.basis[i];
  return Offset(spread.row(row)) * row_bytes;
}

// Rows u in the span of `basis`; its first low_bits vectors are the bits of the low index.
RowTable Shape::rows(const TileGeometry& g, const std::vector<Mask>& basis, std::size_t low_bits) {
  auto table = [&](std::size_t first, std::size_t count) {
    std::vector<Offset> t;
    for (Mask u : span(basis, first, count)) t.push_back(state_offset(g, u));
    return intern(t);
  };
  return {table(0, low_bits), table(low_bits, basis.size() - low_bits), 0};
}

}  // namespace qmltrain
