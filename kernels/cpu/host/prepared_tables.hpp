// PreparedShape: tables of phases.
#pragma once
#include <stdexcept>

#include "prepared_shape.hpp"

namespace qmltrain {

// One vector of phases for each row of a tile: many masks across the lanes, or per-sample phases, whose angles (a
// vector a term) the caller gives. worker.angles is scratch.
template <class Real>
void PreparedShape<Real>::vector_phases(int index, std::size_t tile, Worker& worker, Real* table,
                                        const IntegerAngle<Real>* term_angles) const {
  const DiagonalStage& stage = shape.stages[std::size_t(index)];
  const DiagonalShape& d = stage.diagonal;
  const int tile_bits = __builtin_ctz(stage.n_low) + __builtin_ctz(stage.n_high);
  const std::size_t W = context_.lanes;
  if (d.product) {  // angles of the coordinates, then of the tile
    worker.angles.reserve(W * (std::size_t(tile_bits) + 1) * sizeof(Real));
    IntegerAngle<Real>* a = worker.angles.template as<IntegerAngle<Real>>();
    std::memset(a, 0, W * (std::size_t(tile_bits) + 1) * sizeof(Real));
    for (const SampleTerm& t : d.sample_terms) {
      const std::uint32_t row = t.where.row_parity;
      const bool minus = parity_of(tile & t.where.tile_parity);
      IntegerAngle<Real>* to = a + W * std::size_t(row ? __builtin_ctz(row) : tile_bits);
      for (std::size_t lane = 0; lane < W; lane++)
        to[lane] += minus ? IntegerAngle<Real>(0) - term_angles[lane] : term_angles[lane];
      term_angles += W;
    }
    const Real* shared = tables_.template as<Real>() + d.table + (std::size_t(2) * tile << tile_bits);
    context_.kernels.product_table(a, tile_bits, shared, table);
    return;
  }
  ListedAngles listed(context_, worker, d.terms.size() + d.sample_terms.size(), tile_bits);
  const IntegerAngle<Real>* angle = angles + first_angle[std::size_t(index)];
  for (std::size_t j = 0; j < d.terms.size(); j++)
    listed.add(d.terms[j].row_parity, d.terms[j], parity_of(tile & d.terms[j].tile_parity), angle + j, 0);
  for (const SampleTerm& t : d.sample_terms) {
    listed.add(t.where.row_parity, t.where, parity_of(tile & t.where.tile_parity), term_angles, 1);
    term_angles += W;
  }
  listed.fill(Real(scale[std::size_t(index)]), table);
}

// Diagonals that the whole batch shares.
template <class Real> void PreparedShape<Real>::prepare_tables() {
  const std::size_t n = short_stages_.size(), W = context_.lanes;
  if (n) {
    Buffer& placed = context_.workers[0].angles;
    placed.reserve(n * W * sizeof(Real));
    IntegerAngle<Real>* a = placed.template as<IntegerAngle<Real>>();
    for (std::size_t i = 0; i < n * W; i++) a[i] = angles[short_angles_[i]];
    for (std::size_t i = 0; i < n; i++) short_scales_[i] = Real(scale[std::size_t(short_stages_[i])]);
    context_.kernels.scalar_tables(a, n, shape.row_bits, short_scales_.data(), short_tables_.data());
  }
  auto one = [&](int which, int thread) {
    fill_table(long_tables_[std::size_t(which)], context_.workers[std::size_t(thread)]);
  };
  if (shape.table_size > 1u << 15) context_.team.do_jobs(int(long_tables_.size()), one);
  else for (int i = 0; i < int(long_tables_.size()); i++) one(i, 0);
}

// Which tables are worked out how: those of small circuits all at once, with what is added up for them listed.
template <class Real> void PreparedShape<Real>::list_tables() {
  const std::size_t W = context_.lanes;
  for (std::size_t index = 0; index < shape.stages.size(); index++) {
    const DiagonalStage& stage = shape.stages[index];
    if (!has_table(stage.diagonal)) continue;
    if (stage.diagonal.kind != kScalar || std::size_t(1) << shape.row_bits > W) {
      long_tables_.push_back(int(index));
      continue;
    }
    const int tile_bits = __builtin_ctz(stage.n_low) + __builtin_ctz(stage.n_high);
    std::vector<std::uint32_t> at(W, std::uint32_t(terms_.size()));  // which is 0
    for (std::size_t j = 0; j < stage.diagonal.terms.size(); j++) {
      const PhaseTerm& t = stage.diagonal.terms[j];
      std::uint32_t& place = at[std::size_t(t.tile_parity << tile_bits | t.row_parity)];
      if (place != terms_.size()) throw std::logic_error("two terms of a diagonal are of one mask");
      place = std::uint32_t(first_angle[index] + j);
    }
    short_angles_.insert(short_angles_.end(), at.begin(), at.end());
    short_stages_.push_back(int(index)), short_scales_.push_back(0);
    short_tables_.push_back(tables_.template as<Real>() + stage.diagonal.table);
  }
}

// A block stays in the first cache, unless there are so many masks that adding them for each would cost more than the
// transform of a longer one: a coordinate more is an addition a row, a mask about three in each block.
template <class Real>
PreparedShape<Real>::ListedAngles::ListedAngles(const Context<Real>& context, Worker& worker, std::size_t most,
                                                int bits)
    : context_(context), bits_(bits), block_bits_(std::min(bits, kBlockBits)) {
  while (block_bits_ < bits && 3 * most >> (block_bits_ + 1)) block_bits_++;
  const std::size_t block = std::size_t(1) << block_bits_;
  worker.angles.reserve((block + most) * context.lanes * sizeof(Real) + most * sizeof(std::uint32_t));
  block_ = worker.angles.template as<IntegerAngle<Real>>(), angles_ = block_ + block * context.lanes;
  rows_ = reinterpret_cast<std::uint32_t*>(angles_ + most * context.lanes);
}

// Each lane with the sign of its qubits; `angles` has one of each lane, or `stride` is 0.
template <class Real>
void PreparedShape<Real>::ListedAngles::add(std::uint32_t row, const PhaseTerm& term, bool minus,
                                            const IntegerAngle<Real>* angles, std::size_t stride) {
  const IntegerAngle<Real> all = IntegerAngle<Real>(0) - IntegerAngle<Real>(minus);
  const IntegerAngle<Real>* flips = kLaneFlips<IntegerAngle<Real>>.of[std::size_t(term.lane_parity)].data();
  IntegerAngle<Real>* to = angles_ + context_.lanes * count_;
  for (std::size_t lane = 0; lane < context_.lanes; lane++) {
    const IntegerAngle<Real> flip = flips[lane] ^ all;
    to[lane] = (angles[stride * lane] ^ flip) - flip;
  }
  rows_[count_++] = row;
}
template <class Real> void PreparedShape<Real>::ListedAngles::fill(Real scale, Real* table) const {
  context_.kernels.vector_table({count_, rows_, angles_, block_, block_bits_}, bits_, scale, table);
}

template <class Real> void PreparedShape<Real>::fill_table(int index, Worker& worker) {
  const Shape& s = shape;
  const DiagonalStage& stage = s.stages[std::size_t(index)];
  const DiagonalShape& d = stage.diagonal;
  const IntegerAngle<Real>* angle = angles + first_angle[std::size_t(index)];
  Real* table = tables_.template as<Real>() + d.table;
  const std::size_t W = context_.lanes;
  if (d.kind == kScalar || d.product) {
    const std::size_t rows = std::size_t(1) << s.row_bits;
    const int tile_bits = __builtin_ctz(stage.n_low) + __builtin_ctz(stage.n_high);
    worker.angles.reserve(std::max(rows, W) * sizeof(Real));
    IntegerAngle<Real>* a = worker.angles.template as<IntegerAngle<Real>>();
    std::memset(a, 0, std::max(rows, W) * sizeof(Real));
    for (std::size_t j = 0; j < d.terms.size(); j++)
      a[d.terms[j].tile_parity << tile_bits | d.terms[j].row_parity] += angle[j];
    context_.kernels.scalar_table(a, s.row_bits, Real(scale[std::size_t(index)]), table);
    return;
  }
  if (d.whole_table) {
    const int tile_bits = __builtin_ctz(stage.n_low) + __builtin_ctz(stage.n_high);
    const std::size_t size = W << tile_bits, tiles = std::size_t(1) << (s.row_bits - tile_bits);
    for (std::size_t tile = 0; tile < tiles; tile++)
      vector_phases(index, tile, worker, table + 2 * size * tile, nullptr);
    return;
  }
  if (!d.variant.empty()) {
    const int low_bits = __builtin_ctz(stage.n_low), high_bits = __builtin_ctz(stage.n_high);
    Real *high_table = tables_.template as<Real>() + d.high_table, factor = Real(scale[std::size_t(index)]);
    if (d.high_vectors) {
      ListedAngles listed(context_, worker, d.high.size(), high_bits);
      for (int j : d.high)
        listed.add(d.terms[std::size_t(j)].row_parity >> low_bits, d.terms[std::size_t(j)], false, angle + j, 0);
      listed.fill(factor, high_table);
    } else {
      const std::size_t n = std::max<std::size_t>(stage.n_high, W);
      worker.angles.reserve(n * sizeof(Real));
      IntegerAngle<Real>* a = worker.angles.template as<IntegerAngle<Real>>();
      std::memset(a, 0, n * sizeof(Real));
      for (int j : d.high) a[d.terms[std::size_t(j)].row_parity >> low_bits] += angle[j];
      context_.kernels.scalar_table(a, high_bits, factor, high_table);
    }
  }
  const std::size_t variants = std::size_t(1) << d.crossing.size(), size = W * stage.n_low;
  for (std::size_t variant = 0; variant < variants; variant++) {
    ListedAngles listed(context_, worker, d.low.size() + d.crossing.size(), __builtin_ctz(stage.n_low));
    auto add = [&](int j, bool minus) {
      const PhaseTerm& t = d.terms[std::size_t(j)];
      listed.add(t.row_parity & (stage.n_low - 1), t, minus, angle + j, 0);
    };
    for (int j : d.low) add(j, false);
    for (std::size_t k = 0; k < d.crossing.size(); k++) add(d.crossing[k], variant >> k & 1);
    listed.fill(Real(1), table + 2 * size * variant);
  }
}

}  // namespace qmltrain
