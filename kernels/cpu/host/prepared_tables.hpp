// Layout: tables of phases.
#pragma once
#include "prepared_shape.hpp"

namespace qmltrain {

// One vector of phases for each row of a tile: many masks across the lanes, or per-sample phases, whose turns (a vector a
// term) the caller gives. `a` is scratch of a number a lane.
template <class Real>
void Layout<Real>::vector_phases(int index, std::size_t tile, Turn<Real>* a, Real* table, const Turn<Real>* sample_turns) const {
  const Elementwise& e = shape.elementwise[std::size_t(index)];
  const DiagonalShape& d = e.diagonal;
  const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high), b = shape.lane_bits;
  const std::size_t W = c_.W;
  std::memset(a, 0, (W << tile_bits) * sizeof(Real));
  const Turn<Real>* turn = turns.data() + first_turn[std::size_t(index)];
  for (std::size_t j = 0; j < d.terms.size(); j++) {
    const PhaseTerm& t = d.terms[j];
    const Turn<Real> x = parity_of(tile & t.tau) ? Turn<Real>(0) - turn[j] : turn[j];
    for (std::size_t lane = std::size_t(t.lane); lane < W; lane += std::size_t(1) << b) a[t.e * W + lane] += x;
  }
  for (const SampleTerm& t : d.sample) {
    const bool minus = parity_of(tile & t.where.tau);
    Turn<Real>* to = a + t.where.e * W;
    for (std::size_t lane = std::size_t(t.where.lane); lane < W; lane += std::size_t(1) << b)
      to[lane] += minus ? Turn<Real>(0) - sample_turns[lane] : sample_turns[lane];
    sample_turns += W;
  }
  c_.kernels.vector_table(a, tile_bits, b, Real(scale[std::size_t(index)]), table);
}

// Diagonals that the whole batch shares.
template <class Real> void Layout<Real>::prepare_tables() {
  std::vector<int> todo;
  for (std::size_t i = 0; i < shape.elementwise.size(); i++)
    if (has_table(shape.elementwise[i].diagonal)) todo.push_back(int(i));
  auto one = [&](int which, int thread) { fill_table(todo[std::size_t(which)], c_.workers[std::size_t(thread)]); };
  if (shape.table_size > 1u << 15) c_.team.run(int(todo.size()), one);
  else for (int i = 0; i < int(todo.size()); i++) one(i, 0);
}

template <class Real> void Layout<Real>::fill_table(int index, Worker& worker) {
  const Shape& s = shape;
  const Elementwise& e = s.elementwise[std::size_t(index)];
  const DiagonalShape& d = e.diagonal;
  const Turn<Real>* turn = turns.data() + first_turn[std::size_t(index)];
  Real* table = tables_.template as<Real>() + d.table;
  const std::size_t W = c_.W;
  if (d.kind == kScalar) {
    const std::size_t rows = std::size_t(1) << s.row_bits;
    const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high);
    worker.turns.reserve(std::max(rows, W) * sizeof(Real));
    Turn<Real>* a = worker.turns.template as<Turn<Real>>();
    std::memset(a, 0, std::max(rows, W) * sizeof(Real));
    for (std::size_t j = 0; j < d.terms.size(); j++) a[d.terms[j].tau << tile_bits | d.terms[j].e] += turn[j];
    c_.kernels.scalar_table(a, s.row_bits, Real(scale[std::size_t(index)]), table);
    return;
  }
  if (d.whole) {
    const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high);
    const std::size_t size = W << tile_bits, tiles = std::size_t(1) << (s.row_bits - tile_bits);
    worker.turns.reserve(size * sizeof(Real));
    for (std::size_t tile = 0; tile < tiles; tile++)
      vector_phases(index, tile, worker.turns.template as<Turn<Real>>(), table + 2 * size * tile, nullptr);
    return;
  }
  if (!d.variant.empty()) {
    const std::size_t n = std::max<std::size_t>(e.n_high, W);
    worker.turns.reserve(n * sizeof(Real));
    Turn<Real>* a = worker.turns.template as<Turn<Real>>();
    std::memset(a, 0, n * sizeof(Real));
    for (int j : d.high) a[d.terms[std::size_t(j)].e >> __builtin_ctz(e.n_low)] += turn[j];
    c_.kernels.scalar_table(a, __builtin_ctz(e.n_high), Real(scale[std::size_t(index)]), tables_.template as<Real>() + d.high_table);
  }
  const std::size_t variants = std::size_t(1) << d.crossing.size(), size = W * e.n_low;
  worker.turns.reserve(size * sizeof(Real));
  Turn<Real>* a = worker.turns.template as<Turn<Real>>();
  for (std::size_t variant = 0; variant < variants; variant++) {
    std::memset(a, 0, size * sizeof(Real));
    auto add = [&](const PhaseTerm& t, Turn<Real> x) {
      for (std::size_t lane = std::size_t(t.lane); lane < W; lane += std::size_t(1) << s.lane_bits)
        a[(t.e & (e.n_low - 1)) * W + lane] += x;
    };
    for (int j : d.low) add(d.terms[std::size_t(j)], turn[j]);
    for (std::size_t k = 0; k < d.crossing.size(); k++) {
      const int j = d.crossing[k];
      add(d.terms[std::size_t(j)], variant >> k & 1 ? Turn<Real>(0) - turn[j] : turn[j]);
    }
    c_.kernels.vector_table(a, __builtin_ctz(e.n_low), s.lane_bits, Real(1), table + 2 * size * variant);
  }
}

}  // namespace qmltrain
