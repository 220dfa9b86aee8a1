// Engine: training steps and evaluations where stretches of shared gates are matrices (shared_blocks.hpp). Included by
// engine.cpp, which has the class.
#pragma once

namespace qmltrain {

template <class Real>
void Engine<Real>::step_with_blocks(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                                    const SampleChain& chain, double* block_sums) {
  blocks_.prepare(angles, chain.wants_sample_gradients(), check_);
  const std::vector<Bundle> bundles = blocks_.bundles(count);
  const std::size_t R = std::size_t(n_raw()), n = R + chain.n_sums();
  const int rows = (count + kBlock - 1) / kBlock;
  double* sums = block_sums;
  // of all rows but the first, only what passages and the chain have is looked at
  auto each_range = [&](auto job) {
    for (const auto& [from, numbers] : blocks_.rows_of_passages()) job(from, numbers);
    job(R, chain.n_sums());
  };
  std::fill_n(sums, n, 0.0);
  each_range([&](std::size_t from, std::size_t numbers) {
    for (int row = 1; row < rows; row++) std::fill_n(sums + n * std::size_t(row) + from, numbers, 0.0);
  });
  const int shares = blocks_.shares(bundles);
  blocks_.reserve_shares(shares);
  begin_jobs();
  team_.do_jobs(shares, [&](int share, int thread) {
    Worker& worker = workers_[std::size_t(thread)];
    blocks_.each_of_share(bundles, share, shares, [&](const Bundle& bundle) {
      const OfSamples of_samples = inputs_of(bundle, worker, first, chain);
      const Inputs in{of_samples.count, angles, of_samples.angles, of_samples.states, of_samples.from};
      typename SharedBlocks<Real>::Path path(blocks_, bundle, in, worker, check_);
      path.forward();
      outputs_of(path.last(), of_samples, first, chain, sums, n);
      Gradients out;
      out.first = of_samples.from;
      if (chain.wants_sample_gradients()) of_samples.wanted(out);
      path.backward(out, sums, n, share);
      give_sample_gradients(bundle, worker, of_samples, first, chain, sums, n);
      check(thread == 0);
    });
  });
  each_range([&](std::size_t from, std::size_t numbers) { tree_sum(sums + from, rows, numbers, n); });
  blocks_.backward(shares, check_, sums);
}

template <class Real> template <class Look> void Engine<Real>::each_final_of_blocks(const Inputs& in, Look look) {
  blocks_.prepare(in.angles, false, check_);
  const std::vector<Bundle> bundles = blocks_.bundles(in.batch);
  begin_jobs();
  team_.do_jobs(int(bundles.size()), [&](int i, int thread) {
    typename SharedBlocks<Real>::Path path(blocks_, bundles[std::size_t(i)], in, workers_[std::size_t(thread)], check_);
    path.forward();
    look(path.last());
    check(thread == 0);
  });
}

}  // namespace qmltrain
