// SharedBlocks: columns to matrices in tiles, sums over samples, and these to columns again.
#pragma once
#include "shared_blocks.hpp"

namespace qmltrain {

// U of block b from its columns, and U^dagger where a bra goes on. psi_{z ^ flips} = scale (-1)^parity(z & signs) s_z
// are the true states of stored ones.
template <class Real> void SharedBlocks<Real>::pack(std::size_t b, bool samples) {
  Block& block = blocks_[b];
  const PreparedShape<Real>&shape = *block.shape, &before = *passages_[b];
  const std::size_t lanes = context_.lanes;
  block.forward.reserve(numbers() * sizeof(Real)), block.back.reserve(numbers() * sizeof(Real));
  Real *forward = block.forward.template as<Real>(), *back = block.back.template as<Real>();
  const double into = shape.final_scale * before.final_scale, out = shape.final_scale * bra_scale(b + 1) / before.final_scale;
  const bool goes_back = b > 0 || wanted_first(samples);
  const std::vector<double> signs = signs_of(before), row_signs = signs_of(shape);
  for (std::size_t z = 0; z < size_; z++) {
    const std::size_t a = z ^ std::size_t(shape.final_flips);
    const double into_row = into * row_signs[z], out_of_row = out * row_signs[z];
    const char* row = block.ends.get() + context_.row_bytes * z;
    Real* to_row = forward + places_[a].first;
    for (std::size_t y = 0; y < size_; y++) {
      const std::size_t k = y ^ std::size_t(before.final_flips);
      const Real* column = reinterpret_cast<const Real*>(row + shape.state_bytes() * (k / lanes)) + k % lanes;
      const double re = signs[y] * double(column[0]), im = signs[y] * double(column[lanes]);
      Real* to = to_row + places_[a].stride * y;
      to[0] = Real(into_row * re), to[1] = Real(into_row * im);
      if (!goes_back) continue;
      to = back + places_[y].first + places_[y].stride * a;
      to[0] = Real(out_of_row * re), to[1] = Real(-out_of_row * im);
    }
  }
}

template <class Real> std::vector<double> SharedBlocks<Real>::signs_of(const PreparedShape<Real>& shape) const {
  std::vector<double> signs(size_);
  for (std::size_t z = 0; z < size_; z++) signs[z] = parity_of(z & shape.final_signs) ? -1.0 : 1.0;
  return signs;
}

// Lambda of a bundle: of the states behind and before block b.
template <class Real>
void SharedBlocks<Real>::add_outer(std::size_t b, const Execution<Real>& before, const Execution<Real>& after,
                                   Worker& worker, int share) const {
  const Block& block = blocks_[b];
  worker.by_sample.reserve(2 * padded_ * context_.lanes * std::size_t(before.units) * sizeof(Real));
  Real* by_sample = worker.by_sample.template as<Real>();
  kernels_.transpose[block.complex](size_, before.units, before.end(), before.psi_stride, by_sample);
  kernels_.outer[block.complex](size_, before.units, after.bra, after.bra_stride, by_sample, partial(block, share));
}

// What was summed in the precision of the states goes into the float64 sums.
template <class Real> void SharedBlocks<Real>::flush(int share) {
  for (Block& block : blocks_) {
    Real* from = partial(block, share);
    double* to = total(block, share);
    for (std::size_t i = 0; i < numbers(); i++) to[i] += double(from[i]);
    std::fill_n(from, numbers(), Real(0));
  }
}

// The bra of columns of block b: Lambda, as the block stores states.
template <class Real> void SharedBlocks<Real>::write_columns(std::size_t b, const Execution<Real>& execution) const {
  const PreparedShape<Real>&shape = *blocks_[b].shape, &before = *passages_[b];
  const double factor = bra_scale(b + 1) * before.final_scale / shape.final_scale;
  const std::vector<double> signs = signs_of(before), row_signs = signs_of(shape);
  const double* sums = total(blocks_[b], 0);
  for (int u = 0; u < execution.units; u++) {
    Real* bra = reinterpret_cast<Real*>(execution.bra + execution.bra_stride * std::size_t(u));
    const std::size_t first = std::size_t(execution.bundle.unit[u].first), used = std::min(context_.lanes, size_ - first);
    for (std::size_t z = 0; z < size_; z++, bra += 2 * context_.lanes) {
      const double* of_row = sums + 2 * padded_ * (z ^ std::size_t(shape.final_flips));
      const double f = factor * row_signs[z];
      for (std::size_t lane = 0; lane < used; lane++) {
        const std::size_t y = (first + lane) ^ std::size_t(before.final_flips);
        bra[lane] = Real(f * signs[y] * of_row[y]), bra[context_.lanes + lane] = Real(f * signs[y] * of_row[padded_ + y]);
      }
      std::fill(bra + used, bra + context_.lanes, Real(0));
      std::fill(bra + context_.lanes + used, bra + 2 * context_.lanes, Real(0));
    }
  }
}

// Raw sums of the blocks over all samples, added to sums (R).
template <class Real>
void SharedBlocks<Real>::backward(int shares, const std::function<void(bool)>& check, double* sums) {
  for (std::size_t b = 0; b < blocks_.size(); b++)
    for (int share = 1; share < shares; share++)
      for (std::size_t i = 0; i < numbers(); i++) total(blocks_[b], 0)[i] += total(blocks_[b], share)[i];
  const std::size_t R = std::size_t(context_.gate_runs.n_raw()), jobs = blocks_.size() * columns_.size();
  raw_.assign(jobs * R, 0.0);
  each_column([&](std::size_t b, const Bundle& bundle, Worker& worker, std::size_t job) {
    Execution<Real> execution = of_columns(blocks_[b], bundle, worker, check);
    if (blocks_[b].again) execution.forward();
    worker.bra.reserve(execution.bra_stride * std::size_t(execution.units) + execution.kSkew * context_.row_bytes);
    execution.psi = execution.end();
    execution.bra = worker.bra.get() + execution.kSkew * context_.row_bytes;
    write_columns(b, execution);
    execution.backward({}, raw_.data() + R * job, 0, nullptr);
  });
  for (std::size_t job = 0; job < jobs; job++)
    for (const auto& [first, count] : blocks_[job / columns_.size()].shape->raw_ranges)
      for (std::size_t i = first; i < first + count; i++) sums[i] += raw_[R * job + i];
}

}  // namespace qmltrain
