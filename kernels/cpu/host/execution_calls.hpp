// Execution: one kernel call on one tile, with what changes from tile to tile and unit to unit filled in.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// One group of rotations on one tile: forward or inverse on one state, or v and inverse on psi and bra.
template <class Real>
inline void Execution<Real>::rotate_group(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base,
                                          Operands<Real> operands, Share share) {
  const auto launch = [&](const RotateBackCall<Real>& call, Offset at) {
    operands.base = at;
    if (prepared_call.rotate_back) prepared_call.rotate_back(call, operands);
    else prepared_call.rotate(call.rotate, operands);
  };
  if (prepared_call.plain && share.count == 1) return launch(prepared_call.group, base);
  const RotationGroup& g = shape.groups[prepared_call.index];
  RotateBackCall<Real> call = prepared_call.group;
  std::size_t first = 0, count = g.parts.size();
  if (share.count > 1) {  // a share is some of the parts, or some high rows of one part; all are powers of two
    const int parts = __builtin_ctzll(count), shares = __builtin_ctz(unsigned(share.count));
    const int of_part = std::max(shares - parts, 0), of_share = std::max(parts - shares, 0);
    first = std::size_t(share.index) >> of_part << of_share, count = std::size_t(1) << of_share;
    const int pieces = std::min(of_part, __builtin_ctz(g.n_high));
    const std::uint32_t piece = std::uint32_t(share.index) & ((1u << of_part) - 1);
    if (piece >> pieces) return;  // fewer pieces than shares
    call.rotate.n_high = g.n_high >> pieces, call.rotate.rows.high += piece * call.rotate.n_high;
    if (prepared_call.plain) return launch(call, base);
  }
  for (std::size_t i = first; i < first + count; i++) {
    const RotationGroup::Part& part = g.parts[i];
    for (int q = 0; q < g.count; q++) {
      const bool minus = (part.signs >> q & 1) ^ parity_of(tile & shape.rotations[g.rotation[q]].tile_parity);
      call.rotate.t[q] = minus ? -prepared_call.group.rotate.t[q] : prepared_call.group.rotate.t[q];
      if (q < kMaxMeasured) call.y_sign[q] = minus ? Real(-1) : Real(1);
    }
    launch(call, base ^ part.offset);
    operands.fresh = false;
  }
}

template <class Real>
inline void Execution<Real>::apply_stage(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base,
                                         Operands<Real> operands, WScratch<Real> w, Worker& scratch) {
  operands.base = base;
  if (prepared_call.plain) {
    prepared_call.diagonal_kernel(prepared_call.diagonal, operands, w);
    return;
  }
  const int count = operands.units;
  operands.units = 1;
  for (int u = 0; u < count; u++) {
    DiagonalCall<Real> call;
    fill_stage(call, prepared_call, u, tile, scratch);
    prepared_call.diagonal_kernel(call, operands, w);
    operands.psi += operands.psi_stride, operands.other_psi += operands.psi_stride;
    operands.bra += operands.bra_stride, operands.accumulators += operands.accumulator_stride;
    w.w += w.w_stride, w.pair_sums += w.pair_sums_stride;
  }
}

// What changes from tile to tile and unit to unit in a diagonal stage that is not plain.
template <class Real>
inline void Execution<Real>::fill_stage(DiagonalCall<Real>& call, const PreparedCall<Real>& prepared_call, int u,
                                        std::size_t tile, Worker& scratch) {
  const DiagonalStage& stage = shape.stages[prepared_call.index];
  call = prepared_call.diagonal;
  for (int q = 0; q < call.n_lane; q++) {
    const ShapeRotation& r = shape.rotations[stage.lanes[std::size_t(q)].rotation];
    LaneRotation<Real>& lane = call.lane[q];
    if (parity_of(tile & r.tile_parity)) lane.low_signs = ~lane.low_signs;
    if (r.sample_index >= 0 && !stage.measure) {
      lane.cosine = lane_cos_sin + cos_sin_stride * std::size_t(u) + 2 * lanes * std::size_t(r.sample_index);
      lane.sine = lane.cosine + lanes;
    }
  }
  for (std::size_t i = 0; i < stage.exchange_tile.size(); i++)
    if (tile >> i & 1) call.exchange ^= stage.exchange_tile[i];
  switch (stage.diagonal.kind) {
    case kScalar: call.table += std::size_t(2) * tile * stage.n_low * stage.n_high; break;
    case kFactor:
      if (stage.diagonal.variant.empty()) factor_tile(call, stage, prepared_call.index, tile, scratch);
      break;
    case kVector:
      if (stage.diagonal.whole_table) call.table += 2 * lanes * tile * stage.n_low * stage.n_high;
      else vector_tile(call, stage, prepared_call.index, u, tile, scratch);
      break;
    case kSigns: {
      const std::size_t at = tile ^ prepared.sign_tile(prepared_call.index), n = std::size_t(stage.n_low) * stage.n_high;
      if (stage.diagonal.whole_table) {
        call.signs += n * at;
        break;
      }
      scratch.variant.reserve(n * sizeof(std::uint32_t)), scratch.angles.reserve((n << lane_bits) * sizeof(std::uint16_t));
      std::uint32_t* words = scratch.variant.template as<std::uint32_t>();
      shape.tile_signs(stage, at, scratch.angles.template as<std::uint16_t>(), words);
      call.signs = words;
      break;
    }
    default: break;
  }
}

// Phases of the high indices of a tile, and which of the small tables goes with each.
template <class Real>
inline void Execution<Real>::factor_tile(DiagonalCall<Real>& call, const DiagonalStage& stage, int index,
                                         std::size_t tile, Worker& scratch) {
  const DiagonalShape& d = stage.diagonal;
  const IntegerAngle<Real>* angles = prepared.angles + prepared.first_angle[index];
  const std::size_t n = std::max<std::size_t>(stage.n_high, lanes);
  const int low_bits = __builtin_ctz(stage.n_low);
  scratch.phase.reserve(3 * n * sizeof(Real)), scratch.variant.reserve(n);
  IntegerAngle<Real>* a = scratch.phase.template as<IntegerAngle<Real>>();
  Real* table = reinterpret_cast<Real*>(a + n);
  std::memset(a, 0, n * sizeof(Real));
  for (int j : d.high) {
    const PhaseTerm& t = d.terms[std::size_t(j)];
    const IntegerAngle<Real> x = angles[j];
    a[t.row_parity >> low_bits] += parity_of(tile & t.tile_parity) ? IntegerAngle<Real>(0) - x : x;
  }
  kernels.scalar_table(a, __builtin_ctz(stage.n_high), Real(prepared.scale[index]), table);
  std::uint8_t* variant = scratch.variant.template as<std::uint8_t>();
  std::memset(variant, 0, stage.n_high);
  for (std::size_t i = 0; i < d.crossing.size(); i++) {
    const PhaseTerm& t = d.terms[std::size_t(d.crossing[i])];
    const int of_tile = parity_of(tile & t.tile_parity);
    for (std::uint32_t h = 0; h < stage.n_high; h++)
      variant[h] |= std::uint8_t((of_tile ^ parity_of(h & (t.row_parity >> low_bits))) << i);
  }
  call.high_phase = table, call.variant = variant;
}

// Phases that are worked out for every tile: per-sample ones, and those whose table would be too long to keep.
template <class Real>
inline void Execution<Real>::vector_tile(DiagonalCall<Real>& call, const DiagonalStage& stage, int index, int u,
                                         std::size_t tile, Worker& scratch) {
  const std::size_t n = lanes * stage.n_low * stage.n_high;
  scratch.table.reserve(2 * n * sizeof(Real));
  std::size_t term = n_sample_terms * std::size_t(u);
  for (int i = 0; i < index; i++) term += shape.stages[std::size_t(i)].diagonal.sample_terms.size();
  Real* table = scratch.table.template as<Real>();
  prepared.vector_phases(index, tile, scratch, table, term_angles + lanes * term);
  call.table = table;
}

}  // namespace qmltrain
