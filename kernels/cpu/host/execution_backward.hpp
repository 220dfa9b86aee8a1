// Execution: backward, pass by pass in reverse; psi is un-applied, recomputed from checkpoints, or was kept.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// unit_sums (units of the program, at sums_stride) gets a row of raw sums (R) per unit; raw (B, R) a row per sample,
// where wanted.
template <class Real>
inline void Execution<Real>::backward(const Gradients& out, double* unit_sums, std::size_t sums_stride, double* raw) {
  worker.accumulators.reserve(std::size_t(units) * accumulator_stride * sizeof(Real));
  Real* accumulators = worker.accumulators.template as<Real>();
  // Where states are kept there is one tile, and every accumulator but the first has one call that writes it.
  const std::size_t cleared = prepared.keep ? lanes : accumulator_stride;
  for (std::size_t u = 0; u < std::size_t(units); u++)
    std::memset(accumulators + accumulator_stride * u, 0, cleared * sizeof(Real));
  int stored_index = prepared.stored_states() - 1;
  const int n = int(shape.passes.size());
  const bool recompute = context.settings.mode == Mode::kCheckpoint;
  int segment_start = n;  // states after passes segment_start .. are in worker.segment
  for (int i = n; i-- > 0;) {
    if (recompute) {
      if (i < segment_start) segment_start = recompute_segment(i);
      psi = segment_state(i - segment_start);
    } else if (const int checkpoint = prepared.checkpoint_before[std::size_t(i) + 1]; checkpoint >= 0) {
      psi = stored(checkpoint);
    }
    pass_backward(std::size_t(i), accumulators, stored_index, out.per_sample != nullptr);
  }
  for (int u = 0; u < units; u++) {
    Real* of_unit = accumulators + accumulator_stride * std::size_t(u);
    if (!shape.start.empty()) start_backward(u, of_unit, out.per_sample != nullptr);
    collect(u, of_unit, out, unit_sums + sums_stride * std::size_t(bundle.unit[u].index), raw);
  }
}

template <class Real> inline char* Execution<Real>::segment_state(int i) const {
  return worker.segment.get() + prepared.state_stride() * std::size_t(i);
}

// States after each pass of the segment that ends with pass `last`; returns its first pass.
template <class Real> inline int Execution<Real>::recompute_segment(int last) {
  int first = last;
  while (prepared.checkpoint_before[std::size_t(first)] < 0) first--;
  worker.segment.reserve(prepared.state_stride() * std::size_t(last - first + 1));
  const char* from = stored(prepared.checkpoint_before[std::size_t(first)]);
  for (int i = first; i <= last; i++) {
    std::memcpy(segment_state(i - first), from, rows * row_bytes);
    pass_forward(std::size_t(i), segment_state(i - first));
    from = segment_state(i - first);
  }
  return first;
}

// samples: whether gradients of per-sample angles are wanted
template <class Real>
inline void Execution<Real>::pass_backward(std::size_t index, Real* total, int& stored_index, bool samples) {
  const Pass& pass = shape.passes[index];
  const std::vector<PreparedCall<Real>>& calls = prepared.backward[index];
  if (calls.empty()) return;
  const TileGeometry& g = shape.geometries[pass.geometry];
  const std::size_t tiles = g.tile_base.size();
  const int sections = shape.share_bits ? 1 << shape.share_bits : int(std::min<std::size_t>(tiles, kSections));
  const std::size_t first = lanes * std::size_t(pass.first_accumulator);
  const std::size_t count = lanes * std::size_t(pass.accumulator_count);
  Real* partial = nullptr;  // of all sections but the first, which adds to the total
  if (sections > 1) {
    worker.section_sums.reserve(count * std::size_t(sections - 1) * sizeof(Real) + 64);
    partial = worker.section_sums.template as<Real>();
    std::memset(partial, 0, count * std::size_t(sections - 1) * sizeof(Real));
  }
  const auto accumulators_of = [&](int section) {
    return section ? partial + count * std::size_t(section - 1) - first : total;
  };
  if (shape.share_bits) shares_backward(calls, samples, [&](Share share) { return accumulators_of(share.index); });
  else each_section(tiles, [&](int section, int n, Worker& scratch) {
    Real* accumulators = accumulators_of(section);
    const std::size_t end = (section + 1) * tiles / n;
    for (std::size_t tile = section * tiles / n; tile < end; tile++) {
      const bool ahead = far() && tile + 1 < end;
      for (const PreparedCall<Real>& call : calls) {
        if (call.for_samples && !samples) continue;
        const std::size_t part = std::size_t(&call - calls.data());
        if (ahead) prefetch(g, tile + 1, part, calls.size(), psi), prefetch(g, tile + 1, part, calls.size(), bra);
        call_backward(call, g, tile, accumulators, stored_index, scratch);
      }
    }
    if (tiles > 1) check(&scratch == &context.workers[0]);
  });
  for (int i = 0; i + 1 < sections; i++)
    for (std::size_t j = 0; j < count; j++) total[first + j] += partial[count * std::size_t(i) + j];
}

// stored_index: of the state that psi is now, where states are kept. Always inlined: a small circuit notices a call.
template <class Real>
[[gnu::always_inline]] inline void Execution<Real>::call_backward(const PreparedCall<Real>& call,
                                                                  const TileGeometry& g, std::size_t tile,
                                                                  Real* accumulators, int& stored_index,
                                                                  Worker& scratch) {
  const Offset base = g.tile_base[tile];
  switch (call.kind) {
    case CallShape::kDiagonal:
      if (call.diagonal_rotate_back) {
        Operands<Real> operands = both_states(accumulators);
        psi = operands.other_psi = stored(--stored_index);
        call.diagonal_rotate_back(call.joined_back, operands);
        break;
      }
      if (prepared.keep) psi = stored(--stored_index);
      stage_backward(call, tile, base, both_states(accumulators), g.tile_bits, scratch);
      break;
    case CallShape::kUndo:
      rotate_group(call, tile, base, one_state(psi, psi_stride));
      [[fallthrough]];
    case CallShape::kUndoBra: rotate_group(call, tile, base, one_state(bra, bra_stride)); break;
    default: rotate_group(call, tile, base, both_states(accumulators));
  }
}

template <class Real>
inline void Execution<Real>::stage_backward(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base,
                                            const Operands<Real>& operands, int bits, Worker& scratch) {
  const DiagonalStage& stage = shape.stages[prepared_call.index];
  const std::size_t w_stride = lanes << bits, sums_stride = (std::size_t(bits) + 3) * lanes;
  scratch.w.reserve(std::size_t(units) * w_stride * sizeof(Real));
  scratch.sums.reserve(std::size_t(units) * sums_stride * sizeof(Real));
  Real *w = scratch.w.template as<Real>(), *sums = scratch.sums.template as<Real>();
  apply_stage(prepared_call, tile, base, operands, {w, sums, w_stride, sums_stride}, scratch);
  if (stage.sums.empty()) return;
  for (int u = 0; u < units; u++, w += w_stride, sums += sums_stride)
    add_sums_of(prepared_call, w, sums, bits, stage.sums, tile,
                operands.accumulators + accumulator_stride * std::size_t(u), operands.fresh);
}

// w over 2^bits rows to the accumulators.
template <class Real>
inline void Execution<Real>::add_sums_of(const PreparedCall<Real>& prepared_call, Real* w, Real* sums, int bits,
                                         const std::vector<SumTarget>& targets, std::size_t tile, Real* accumulators,
                                         bool fresh) const {
  const bool walsh = shape.stages[prepared_call.index].walsh;
  if (walsh) kernels.walsh(w, bits);
  else if (prepared_call.compressed) kernels.tree(w, bits - 2, sums + 2 * lanes);
  else kernels.tree(w, bits, sums);
  kernels.add_sums(walsh ? w : sums, targets.data(), targets.size(), tile, accumulators, fresh);
}

}  // namespace qmltrain
