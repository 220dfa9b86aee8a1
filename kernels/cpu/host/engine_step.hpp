// Engine: blocks of a training step, forward, the chain and backward; the shared part of a small circuit as one matrix.
// Included by engine.cpp, which has the class.
#pragma once

namespace qmltrain {

template <class Real>
double Engine<Real>::step(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                          const SampleChain& chain, double* block_sums, bool add) {
  prepare(angles);
  if (blocks_.on()) {
    if (!add) throw std::logic_error("samples that meet in one matrix have no sums of blocks");
    step_with_blocks(angles, first, count, chain, block_sums);
    return -1;
  }
  std::vector<Bundle> bundles = make_bundles(count);
  const std::size_t n = std::size_t(n_raw()) + chain.n_sums();
  double* sums = place_sums(bundles, n, block_sums);
  drifts_.assign(bundles.size(), -1);
  const std::size_t with_matrix = chain.wants_sample_gradients() ? 0 : bundles_with_matrix(bundles);
  if (with_matrix) step_with_matrix(bundles, with_matrix, angles, first, chain, sums, n);
  each_bundle(bundles, with_matrix, [&](const Bundle& bundle, int thread, bool one_thread) {
    Worker& worker = workers_[std::size_t(thread)];
    drifts_[std::size_t(bundle.index)] =
        step_bundle(bundle, worker, one_thread, angles, first, chain, sums, n, nullptr);
  });
  add_sums(bundles, n, sums, block_sums);
  if (add) tree_sum(block_sums, (count + kBlock - 1) / kBlock, n, n);
  return *std::max_element(drifts_.begin(), drifts_.end());
}

template <class Real> bool Engine<Real>::as_matrix(int batch, bool sample_gradients) {
  if (blocks_.on()) return true;
  int units = 0;
  for (int first = 0; first < batch; first += kBlock) {
    const int in_block = std::min(kBlock, batch - first), b = lane_bits_of_[std::size_t(in_block)];
    if (b < 0) throw std::logic_error("no shape for a block of " + std::to_string(in_block) + " samples");
    if (b) break;
    units += (in_block + int(context_.lanes) - 1) / int(context_.lanes);
  }
  return units && settings_.own_matrix && !sample_gradients && matrix_.worth(*shapes_[0], units);
}

// The first so many bundles go through the circuit as one matrix.
template <class Real>
std::size_t Engine<Real>::bundles_with_matrix(const std::vector<Bundle>& bundles) {
  if (!settings_.own_matrix) return 0;
  std::size_t count = 0;
  int units = 0;
  for (; count < bundles.size() && !bundles[count].lane_bits; count++) units += bundles[count].count;
  return count && matrix_.worth(*shapes_[0], units) ? count : 0;
}

template <class Real>
void Engine<Real>::step_with_matrix(const std::vector<Bundle>& bundles, std::size_t count,
                                    const std::shared_ptr<const StepAngles>& angles, int first,
                                    const SampleChain& chain, double* sums, std::size_t n_sums) {
  const int sets = std::min<int>(SharedMatrix<Real>::kSets, int(count));
  matrix_.forward(*shapes_[0], angles, workers_[0], check_);
  team_.do_jobs(sets, [&](int set, int thread) {
    const std::size_t begin = count * std::size_t(set) / std::size_t(sets);
    const std::size_t end = count * std::size_t(set + 1) / std::size_t(sets);
    for (std::size_t i = begin; i < end; i++) {
      const MatrixShare share{set, i == begin};
      step_bundle(bundles[i], workers_[std::size_t(thread)], true, angles, first, chain, sums, n_sums, &share);
    }
  });
  matrix_.backward(*shapes_[0], sets, workers_[0], check_, sums + n_sums * std::size_t(bundles[0].unit[0].index));
}

// Angles, their gradients, and states of a bundle's samples, values of its strings: in memory of the worker.
template <class Real>
typename Engine<Real>::OfSamples Engine<Real>::inputs_of(const Bundle& bundle, Worker& worker, int first,
                                                         const SampleChain& chain) {
  const std::size_t units = std::size_t(bundle.count);
  const Unit& last = bundle.unit[units - 1];
  OfSamples of;
  of.from = bundle.unit[0].first, of.count = last.first + last.count - of.from;
  of.n_angles = std::size_t(of.count) * std::size_t(plan_.n_per_sample);
  const std::size_t n_amplitudes = plan_.amplitude_encoded ? std::size_t(of.count) << plan_.n_qubits : 0;
  const bool bras = n_amplitudes && chain.wants_bras();
  worker.sample_inputs.reserve((2 * of.n_angles + (bras ? 2 : 1) * n_amplitudes) * sizeof(double));
  of.angles = worker.sample_inputs.template as<double>();
  of.gradients = of.angles + of.n_angles, of.states = n_amplitudes ? of.gradients + of.n_angles : nullptr;
  of.bras = bras ? of.states + n_amplitudes : nullptr;
  chain.inputs(first + of.from, of.count, of.angles, of.states, worker.chain);
  of.n_values = plan_.strings.size() * kSideBySide;
  worker.string_values.reserve(2 * units * of.n_values * sizeof(double));
  of.strings = worker.string_values.template as<double>(), of.cotangents = of.strings + units * of.n_values;
  return of;
}

// Expectations of the final states, the chain, and the bra.
template <class Real>
void Engine<Real>::outputs_of(Execution<Real>& execution, const OfSamples& of, int first, const SampleChain& chain,
                              double* sums, std::size_t n_sums) {
  const Bundle& bundle = execution.bundle;
  const std::size_t units = std::size_t(bundle.count), M = plan_.strings.size(), R = std::size_t(n_raw());
  for (std::size_t u = 0; u < units; u++)
    if (bundle.unit[u].count < kSideBySide) std::fill_n(of.strings + u * of.n_values, of.n_values, 0.0);
  execution.observe({}, StringValues::by_unit(of.strings, M, kSideBySide));
  for (std::size_t u = 0; u < units; u++) {
    const Unit& unit = bundle.unit[u];
    chain.outputs(first + unit.first, unit.count, of.strings + u * of.n_values, of.cotangents + u * of.n_values,
                   sums + n_sums * std::size_t(unit.index) + R, execution.worker.chain);
  }
  execution.observe(StringValues::by_unit(of.cotangents, M, kSideBySide), {});
}

template <class Real>
void Engine<Real>::give_sample_gradients(const Bundle& bundle, Worker& worker, const OfSamples& of, int first,
                                         const SampleChain& chain, double* sums, std::size_t n_sums) {
  for (int u = 0; chain.wants_sample_gradients() && u < bundle.count; u++) {
    const Unit& unit = bundle.unit[u];
    const std::size_t sample = std::size_t(unit.first - of.from);
    chain.sample_gradients(first + unit.first, unit.count, of.gradients + sample * std::size_t(plan_.n_per_sample),
                            of.bras ? of.bras + (sample << plan_.n_qubits) : nullptr,
                            sums + n_sums * std::size_t(unit.index) + std::size_t(n_raw()), worker.chain);
  }
}

// A bundle of a training step, all the way; its largest drift, or -1. matrix: not nullptr where the circuit is one.
template <class Real>
double Engine<Real>::step_bundle(const Bundle& bundle, Worker& worker, bool one_thread,
                                 const std::shared_ptr<const StepAngles>& angles, int first,
                                 const SampleChain& chain, double* sums, std::size_t n_sums,
                                 const MatrixShare* matrix) {
  const PreparedShape<Real>& shape = *shapes_[std::size_t(bundle.lane_bits)];
  const OfSamples of = inputs_of(bundle, worker, first, chain);
  worker.states.reserve(shape.unit_bytes() * std::size_t(bundle.count));
  const Inputs in{of.count, angles, of.angles, of.states, of.from};
  Execution<Real> execution{context_, shape, bundle, in, worker, one_thread, worker.states.get(), check_};
  if (matrix) matrix_.apply(execution);
  else execution.forward();
  outputs_of(execution, of, first, chain, sums, n_sums);
  if (matrix) {
    matrix_.add(execution, matrix->set, matrix->first);
    return -1;
  }
  const bool drifts = settings_.interval <= 0 && !shape.keep;
  double drift[kMostBundled * kBlock];
  Gradients out;
  if (drifts) out.drift = drift;
  out.first = of.from;
  if (chain.wants_sample_gradients()) of.wanted(out);
  execution.backward(out, sums, n_sums, nullptr);
  give_sample_gradients(bundle, worker, of, first, chain, sums, n_sums);
  return drifts ? *std::max_element(drift, drift + of.count) : -1;
}

}  // namespace qmltrain
