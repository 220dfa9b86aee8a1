// Execution: long resident states. One tile, and every call is cut into shares of its rows.
//
// There is a fixed number of shares, whatever the number of threads, each with accumulators of its own that are added
// in order. Rows stream through the caches in the order of their addresses, which the processor's prefetchers follow;
// tiles gather rows from far apart, which they do not.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// job(share, worker), by the whole team where this bundle is alone
template <class Real> template <class Job> void Execution<Real>::each_share(Job job) {
  each_section(std::size_t(1) << shape.share_bits,
               [&](int section, int n, Worker& scratch) { job(Share{section, n}, scratch); });
  check(&worker == &context.workers[0]);
}

// The rows of a share are consecutive high indices.
template <class Real>
DiagonalCall<Real> Execution<Real>::share_of(const DiagonalCall<Real>& whole, const DiagonalStage& stage,
                                             Share share) const {
  DiagonalCall<Real> call = whole;
  const std::uint32_t n = stage.n_high >> __builtin_ctz(unsigned(share.count)), first = n * std::uint32_t(share.index);
  call.high += first, call.n_high = n;
  if (call.exchange_high) call.exchange_high += first;
  if (stage.diagonal.kind == kScalar) call.table += std::size_t(2) * stage.n_low * first;
  if (stage.diagonal.kind == kVector) call.table += 2 * lanes * stage.n_low * first;
  if (stage.diagonal.kind == kSigns) call.sign_index ^= stage.n_low * first;
  if (stage.diagonal.kind == kFactor) 
    call.high_phase += 2 * first * (call.high_vectors ? lanes : 1), call.variant += first;
  for (int q = 0; q < call.n_lane; q++)
    if (parity_of(first & call.lane[q].high_parity)) call.lane[q].low_signs = ~call.lane[q].low_signs;
  return call;
}

template <class Real> DiagonalCall<Real> Execution<Real>::filled(const PreparedCall<Real>& prepared_call) {
  if (prepared_call.plain) return prepared_call.diagonal;
  DiagonalCall<Real> call;
  fill_stage(call, prepared_call, 0, 0, worker);
  return call;
}

// job(call, its diagonal, share, worker) for all calls. Calls in a row that work on one share at a time are done share
// by share: psi and the bra of a share stay in the second cache from one to the next.
template <class Real>
template <class Job>
void Execution<Real>::each_call(const std::vector<PreparedCall<Real>>& calls, Job job) {
  for (std::size_t first = 0, end; first < calls.size(); first = end) {
    for (end = first + 1; calls[end - 1].in_shares && end < calls.size() && calls[end].in_shares;) end++;
    DiagonalCall<Real> whole{};
    if (calls[first].kind == CallShape::kDiagonal) whole = filled(calls[first]);
    each_share([&](Share share, Worker& scratch) {
      for (std::size_t i = first; i < end; i++) job(calls[i], i == first ? whole : calls[i].diagonal, share, scratch);
    });
  }
}

template <class Real>
void Execution<Real>::shares_forward(const std::vector<PreparedCall<Real>>& calls, char* state) {
  const Operands<Real> operands = one_state(state, psi_stride);
  each_call(calls, [&](const PreparedCall<Real>& call, const DiagonalCall<Real>& whole, Share share, Worker&) {
    if (call.kind == CallShape::kRotate) rotate_group(call, 0, 0, operands, share);
    else call.diagonal_kernel(share_of(whole, shape.stages[call.index], share), operands, {});
  });
}

// accumulators_of(share)
template <class Real>
template <class Accumulators>
void Execution<Real>::shares_backward(const std::vector<PreparedCall<Real>>& calls, bool samples,
                                      Accumulators accumulators_of) {
  each_call(calls, [&](const PreparedCall<Real>& call, const DiagonalCall<Real>& whole, Share share, Worker& scratch) {
    if (call.for_samples && !samples) return;
    const Operands<Real> operands = both_states(accumulators_of(share));
    if (call.kind == CallShape::kDiagonal) {
      const DiagonalStage& stage = shape.stages[call.index];
      const int bits = shape.row_bits - shape.share_bits;
      scratch.w.reserve((lanes << bits) * sizeof(Real));
      scratch.sums.reserve((std::size_t(bits) + 3) * lanes * sizeof(Real));
      Real *w = scratch.w.template as<Real>(), *sums = scratch.sums.template as<Real>();
      call.diagonal_kernel(share_of(whole, stage, share), operands, {w, sums, 0, 0});
      if (!stage.sums.empty())
        add_sums_of(call, w, sums, bits, stage.share_sums, std::size_t(share.index), operands.accumulators, false);
      return;
    }
    if (call.kind == CallShape::kUndo) rotate_group(call, 0, 0, one_state(psi, psi_stride), share);
    if (call.kind == CallShape::kUndo || call.kind == CallShape::kUndoBra)
      rotate_group(call, 0, 0, one_state(bra, bra_stride), share);
    else rotate_group(call, 0, 0, operands, share);
  });
}

}  // namespace qmltrain
