// Run: long resident states. One tile, and every call is cut into shares of its rows: a fixed number of them, whatever the
// number of threads, each with accumulators of its own that are added in order. Rows stream through the caches in the order
// of their addresses, which the processor's prefetchers follow; tiles gather rows from far apart, which they do not.
#pragma once
#include "execution.hpp"

namespace qmltrain {

// job(share, worker), by the whole team where this bundle is alone
template <class Real> template <class Job> void Run<Real>::each_share(Job job) {
  each_context(std::size_t(1) << s.share_bits, [&](int context, int n, Worker& w) { job(Share{context, n}, w); });
  check(&worker == &c.workers[0]);
}

// The rows of a share are consecutive blocks.
template <class Real>
ElementwiseCall<Real> Run<Real>::share_of(ElementwiseCall<Real> call, const Elementwise& e, Share share) const {
  const std::uint32_t n = e.n_high / std::uint32_t(share.count), first = n * std::uint32_t(share.index);
  call.high += first, call.n_high = n;
  if (call.exchange_high) call.exchange_high += first;
  if (e.diagonal.kind == kScalar) call.table += std::size_t(2) * e.n_low * first;
  if (e.diagonal.kind == kVector) call.table += 2 * W * e.n_low * first;
  if (e.diagonal.kind == kFactor) call.high_phase += 2 * first, call.variant += first;
  for (int q = 0; q < call.n_lane; q++)
    if (parity_of(first & call.lane[q].high_parity)) call.lane[q].low_signs = ~call.lane[q].low_signs;
  return call;
}

template <class Real> ElementwiseCall<Real> Run<Real>::filled(const Call<Real>& prepared) {
  if (prepared.plain) return prepared.elementwise;
  ElementwiseCall<Real> call;
  fill_elementwise(call, prepared, 0, 0, worker);
  return call;
}

template <class Real> void Run<Real>::shares_forward(const std::vector<Call<Real>>& calls, char* state) {
  const Place<Real> at = place(state, psi_stride);
  for (const Call<Real>& call : calls) {
    if (call.kind == Step::kRotate) {
      each_share([&](Share share, Worker&) { run_group(call, 0, 0, at, share); });
      continue;
    }
    const ElementwiseCall<Real> whole = filled(call);
    each_share([&](Share share, Worker&) { call.kernel(share_of(whole, s.elementwise[call.index], share), at, {}); });
  }
}

// acc(share): accumulators of a share
template <class Real>
template <class Acc> void Run<Real>::shares_backward(const std::vector<Call<Real>>& calls, bool samples, Acc acc) {
  for (const Call<Real>& call : calls) {
    if (call.for_samples && !samples) continue;
    if (call.kind == Step::kElementwise) {
      const ElementwiseCall<Real> whole = filled(call);
      const Elementwise& e = s.elementwise[call.index];
      each_share([&](Share share, Worker& w) {
        const int bits = s.row_bits - s.share_bits;
        const Place<Real> at = place(psi, lam, acc(share));
        w.w.reserve((W << bits) * sizeof(Real)), w.sums.reserve((std::size_t(bits) + 3) * W * sizeof(Real));
        Real *values = w.w.template as<Real>(), *sums = w.sums.template as<Real>();
        call.kernel(share_of(whole, e, share), at, {values, sums, 0, 0});
        if (!e.sums.empty()) add_sums_of(call, values, sums, bits, e.share_sums, std::size_t(share.index), at.acc, false);
      });
      continue;
    }
    each_share([&](Share share, Worker&) {
      if (call.kind == Step::kUndo) run_group(call, 0, 0, place(psi, psi_stride), share);
      if (call.kind == Step::kUndo || call.kind == Step::kUndoLam) run_group(call, 0, 0, place(lam, lam_stride), share);
      else run_group(call, 0, 0, place(psi, lam, acc(share)), share);
    });
  }
}

}  // namespace qmltrain
