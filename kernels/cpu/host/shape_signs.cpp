// Shape: diagonals of real states. Every phase is a sign, but for one that the whole state has; it is taken so that the
// sign is plus at address 0. The signs depend on the plan alone: of a step, the frame X^F moves address 0 (F flips the
// terms that it flips, which is the diagonal at z ^ F), and no table is made anew.
#include <cmath>
#include <cstring>

#include "shape.hpp"

namespace qmltrain {

namespace {
constexpr double kUnitsOfAngle = 65536 / (4 * 3.14159265358979323846);  // half an angle in units of 2 pi / 2^16
}

void Shape::choose_signs(const TileGeometry& g, DiagonalStage& stage) {
  DiagonalShape& d = stage.diagonal;
  d.kind = kSigns;
  std::vector<Mask> key{Mask(g.tile_bits)};
  for (const PhaseTerm& t : d.terms) {
    const std::uint16_t angle = std::uint16_t(std::lround(std::remainder(t.constant * kUnitsOfAngle, 65536.0)));
    d.sign_terms.push_back({t.tile_parity, t.row_parity << lane_bits | std::uint32_t(t.lane_parity), angle});
    d.origin = std::uint16_t(d.origin + angle);
    key.insert(key.end(), {t.tile_parity, d.sign_terms.back().place, angle});
  }
  d.terms.clear();  // nothing of them depends on a step
  for (int q = 0; q < row_bits; q++) {
    Mask row = Mask(1) << q, tile = 0;
    std::uint32_t number = 0;
    for (int i = 0; i < g.tile_bits; i++)
      if (q == 63 - __builtin_clzll(g.basis[std::size_t(i)])) number = 1u << i, row ^= g.basis[std::size_t(i)];
    for (int i = 0; i < g.number_bits; i++)
      if (row & g.number_basis[std::size_t(i)]) tile |= Mask(1) << i;
    d.number_of_bit.push_back(number), d.tile_of_bit.push_back(tile);
  }
  const std::size_t n = std::size_t(1) << g.tile_bits, tiles = std::size_t(1) << g.number_bits;
  auto known = interned_signs_.find(key);
  if (known == interned_signs_.end()) {
    const std::size_t bytes = n * tiles * sizeof(std::uint32_t);
    if (whole_table_bytes_ + bytes > options_.table_bytes) return;
    whole_table_bytes_ += bytes;
    known = interned_signs_.emplace(key, signs.size()).first;
    signs.resize(signs.size() + n * tiles);
    std::vector<std::uint16_t> scratch(n << lane_bits);
    for (std::size_t tile = 0; tile < tiles; tile++)
      tile_signs(stage, tile, scratch.data(), signs.data() + known->second + n * tile);
  }
  d.whole_table = true, d.table = known->second;
}

// sum_S phi_S / 2 (-1)^parity(z & S) of all z of the tile, less that of address 0: a half circle where the sign is
// minus. Angles wrap around exactly.
void Shape::tile_signs(const DiagonalStage& stage, std::size_t tile, std::uint16_t* scratch,
                       std::uint32_t* words) const {
  const DiagonalShape& d = stage.diagonal;
  const std::size_t rows = std::size_t(stage.n_low) * stage.n_high, n = rows << lane_bits;
  std::memset(scratch, 0, n * sizeof(std::uint16_t));
  for (const SignTerm& t : d.sign_terms)
    scratch[t.place] = std::uint16_t(scratch[t.place] + (parity_of(tile & t.tile_parity) ? -t.angle : t.angle));
  for (std::size_t step = 1; step < n; step *= 2)
    for (std::size_t first = 0; first < n; first += 2 * step)
      for (std::size_t i = first; i < first + step; i++) {
        const std::uint16_t a = scratch[i], b = scratch[i + step];
        scratch[i] = std::uint16_t(a + b), scratch[i + step] = std::uint16_t(a - b);
      }
  const std::size_t low = std::size_t(1) << lane_bits;
  for (std::size_t r = 0; r < rows; r++) {
    std::uint32_t word = 0;
    for (std::size_t i = 0; i < low; i++)
      word |= std::uint32_t(std::uint16_t(scratch[r << lane_bits | i] - d.origin) >> 15) << i;
    for (std::size_t bits = low; bits < 32; bits *= 2) word |= word << bits;
    words[r] = word;
  }
}

}  // namespace qmltrain
