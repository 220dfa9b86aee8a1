// Steps: see steps.hpp.
#include "steps.hpp"

#include "../host/engine.hpp"

#include <chrono>
#include <cmath>
#include <limits>

namespace qmltrain {

namespace {

constexpr std::size_t kSumBytes = 32 << 20;  // of block sums at a time
constexpr auto kAskEvery = std::chrono::milliseconds(50);

using Clock = std::chrono::steady_clock;

double seconds_between(Clock::time_point begin, Clock::time_point end) {
  return std::chrono::duration<double>(end - begin).count();
}

// The engine while a span runs; as it was afterwards, however the span ends.
struct Borrowed {
  Borrowed(StepEngine& borrowed, const std::function<bool()>& stop, bool one_bundle)
      : engine(borrowed), interrupted(borrowed.interrupted) {
    engine.interrupted = stop;
    engine.one_bundle_at_a_time(one_bundle);
  }
  ~Borrowed() {
    engine.interrupted = interrupted;
    engine.work_alone(false), engine.one_bundle_at_a_time(false);
  }
  Borrowed(const Borrowed&) = delete;
  Borrowed& operator=(const Borrowed&) = delete;
  StepEngine& engine;
  std::function<bool()> interrupted;
};

}  // namespace

Steps::Steps(StepEngine& engine, const StepKernels& kernels, StepRecipe recipe, std::unique_ptr<Chain> chain,
             std::unique_ptr<Optimizer> optimizer)
    : engine_(engine), kernels_(kernels), recipe_(std::move(recipe)), chain_(std::move(chain)),
      optimizer_(std::move(optimizer)), norms_(recipe_.layer, recipe_.n_layers), threads_(engine.threads()),
      parameters_(size()), gradient_(size()), slots_(recipe_.n_shared),
      sums_(std::size_t(engine.n_raw()) + chain_->n_sums()) {
  for (auto& angles : angles_) {
    angles = std::make_shared<StepAngles>();
    angles->shared.resize(recipe_.n_shared);
  }
  if (!recipe_.frozen.empty()) {
    frozen_.assign(parameters_.padded(), 0);
    for (std::size_t p = 0; p < size(); p++) frozen_[p] = recipe_.frozen[p] ? -1 : 0;
  }
}

// Of the mean loss over the batch: fills sums_, gradient_ and largest_drift_. False where something is not finite.
bool Steps::gradient(const Batch& batch) {
  // The engine tells steps apart by their angles: two take turns, once they are handed over.
  const std::shared_ptr<StepAngles>& angles = angles_[1 - turn_];
  chain_->begin(batch, parameters_.data(), recipe_.n_circuit, angles->shared.data());
  const std::size_t n = sums_.size(), of_blocks = std::max<std::size_t>(1, kSumBytes / (n * sizeof(double)));
  std::size_t together = 1;  // blocks: a power of two, so that they make one node of the tree
  while (2 * together <= of_blocks) together *= 2;
  const int chunk = int(std::min<std::size_t>(together * kBlock, std::size_t(batch.size)));
  const std::size_t blocks = std::size_t(chunk + kBlock - 1) / kBlock;
  block_sums_.resize(blocks * n);
  double largest_drift = -1;
  if (!kernels_.all_finite(angles->shared.data(), angles->shared.size())) return false;
  tree_.clear(n);
  turn_ = 1 - turn_;
  for (int first = 0; first < batch.size; first += chunk) {
    const int count = std::min(chunk, batch.size - first);
    largest_drift = std::max(largest_drift, engine_.step(angles, first, count, *chain_, block_sums_.data()));
    if (count == batch.size) std::copy_n(block_sums_.data(), n, sums_.data());
    else tree_.add(block_sums_.data(), std::size_t(count + kBlock - 1) / kBlock);
  }
  // Here, and nowhere else, ranks will exchange the nodes of their samples.
  if (chunk < batch.size) tree_.total(sums_.data());
  std::fill(slots_.begin(), slots_.end(), 0.0);
  engine_.slot_gradient(sums_.data(), angles, slots_.data());
  chain_->gradient(slots_.data(), sums_.data() + engine_.n_raw(), recipe_.n_circuit, gradient_.data());
  for (std::size_t p = 0; p < frozen_.size(); p++)
    if (frozen_[p]) gradient_[p] = 0.0;
  largest_drift_ = largest_drift < 0 ? std::numeric_limits<double>::quiet_NaN() : largest_drift;
  return chain_->finite() && kernels_.all_finite(sums_.data(), sums_.size());
}

// One whole step; false, and nothing is changed, where something is not finite.
bool Steps::step(const Span& span, std::size_t t, std::size_t& gradients, std::size_t& after) {
  const std::size_t P = size();
  Batch batch;
  batch.features = span.features, batch.targets = span.targets, batch.n_features = span.n_features;
  batch.rows = span.rows + span.offsets[t], batch.size = int(span.offsets[t + 1] - span.offsets[t]);
  batch.ahead = int(std::min<std::int64_t>(span.offsets[span.n_steps] - span.offsets[t], 1 << 30));
  if (!gradient(batch)) return false;
  const double* of_stages = sums_.data() + engine_.n_raw();
  const double norm = norms_.norm(kernels_, gradient_), loss_sum = chain_->loss_of(of_stages);
  if (!std::isfinite(norm)) return false;
  span.losses[t] = loss_sum / double(batch.size), span.loss_sums[t] = loss_sum;
  span.hits[t] = chain_->hits_of(of_stages);
  span.norms[t] = norm, span.drifts[t] = largest_drift_;
  if (span.layer_norms) norms_.layers(span.layer_norms + t * recipe_.n_layers);
  if (gradients < span.n_gradients && span.gradient_steps[gradients] == std::int64_t(t))
    std::copy_n(gradient_.data(), P, span.gradients + P * gradients++);
  const double limit = recipe_.clip_norm, clip = limit > 0.0 && norm > limit ? limit / norm : 1.0;
  optimizer_->update(kernels_, span.steps_before + std::int64_t(t) + 1, span.learning_rates[t], clip,
                     frozen_.empty() ? nullptr : frozen_.data(), gradient_, parameters_);
  if (after < span.n_parameters && span.parameter_steps[after] == std::int64_t(t))
    std::copy_n(parameters_.data(), P, span.after + P * after++);
  return true;
}

SpanEnd Steps::run(const Span& span, const std::function<bool()>& stop, std::size_t& done) {
  const std::size_t P = size();
  std::copy_n(span.parameters, P, parameters_.data());
  for (std::size_t i = 0; i < optimizer_->n_arrays(); i++)
    std::copy_n(span.optimizer[i], P, optimizer_->array(i).data());
  const auto begin = Clock::now();
  auto now = begin, asked = begin;
  std::size_t gradients = 0, after = 0;
  SpanEnd end = SpanEnd::kDone;
  const Borrowed engine(engine_, stop, recipe_.one_bundle);
  done = 0;
  try {
    while (done < span.n_steps) {
      engine_.work_alone(threads_.alone());
      if (!step(span, done, gradients, after)) {
        end = SpanEnd::kNotFinite;
        break;
      }
      done++;
      const auto last = now;
      now = Clock::now();
      threads_.took(seconds_between(last, now));
      if (done == span.n_steps) break;
      if (now - asked >= kAskEvery) {
        asked = now;
        if (stop()) {
          end = SpanEnd::kStopped;
          break;
        }
      }
      if (seconds_between(begin, now) >= span.seconds) {
        end = SpanEnd::kTime;
        break;
      }
    }
  } catch (const Interrupted&) {  // asked to stop in the middle of a long step: it leaves no trace
    end = SpanEnd::kStopped;
  }
  std::copy_n(parameters_.data(), P, span.parameters);
  for (std::size_t i = 0; i < optimizer_->n_arrays(); i++)
    std::copy_n(optimizer_->array(i).data(), P, span.optimizer[i]);
  return end;
}

}  // namespace qmltrain
