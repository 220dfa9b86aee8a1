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

// Blocks whose sums are in memory at a time: a power of two, so that they make one node of the tree.
std::size_t Steps::blocks_together() const {
  const std::size_t most = std::max<std::size_t>(1, kSumBytes / (sums_.size() * sizeof(double)));
  std::size_t together = 1;
  while (2 * together <= most) together *= 2;
  return together;
}

// Of the mean loss over the batch: fills sums_, gradient_ and largest_drift_. False where something is not finite.
bool Steps::gradient(const Batch& batch) {
  // The engine tells steps apart by their angles: two take turns, once they are handed over.
  const std::shared_ptr<StepAngles>& angles = angles_[1 - turn_];
  chain_->begin(batch, parameters_.data(), recipe_.n_circuit, angles->shared.data());
  if (!kernels_.all_finite(angles->shared.data(), angles->shared.size())) return false;
  turn_ = 1 - turn_;
  if (!(ranks_ ? sums_of_ranks(batch, angles) : own_sums(batch, angles))) return false;
  std::fill(slots_.begin(), slots_.end(), 0.0);
  engine_.slot_gradient(sums_.data(), angles, slots_.data());
  chain_->gradient(slots_.data(), sums_.data() + engine_.n_raw(), recipe_.n_circuit, gradient_.data());
  for (std::size_t p = 0; p < frozen_.size(); p++)
    if (frozen_[p]) gradient_[p] = 0.0;
  if (largest_drift_ < 0) largest_drift_ = std::numeric_limits<double>::quiet_NaN();
  return kernels_.all_finite(sums_.data(), sums_.size());
}

// Sums over the batch, all computed here.
bool Steps::own_sums(const Batch& batch, const std::shared_ptr<const StepAngles>& angles) {
  const std::size_t n = sums_.size();
  const int chunk = int(std::min<std::size_t>(blocks_together() * kBlock, std::size_t(batch.size)));
  block_sums_.resize(std::size_t(chunk + kBlock - 1) / kBlock * n);
  largest_drift_ = -1;
  tree_.clear(n);
  for (int first = 0; first < batch.size; first += chunk) {
    const int count = std::min(chunk, batch.size - first);
    largest_drift_ = std::max(largest_drift_, engine_.step(angles, first, count, *chain_, block_sums_.data(), true));
    if (count == batch.size) std::copy_n(block_sums_.data(), n, sums_.data());
    else tree_.add(block_sums_.data(), std::size_t(count + kBlock - 1) / kBlock);
  }
  if (chunk < batch.size) tree_.total(sums_.data());
  return chain_->finite();
}

// Adds blocks first .. end - 1 of the batch to the tree; their largest drift. The engine gets whole nodes, as many at a
// time as memory allows: its threads share them all.
double Steps::add_blocks(const Batch& batch, const std::shared_ptr<const StepAngles>& angles, std::size_t first,
                         std::size_t end) {
  const std::size_t n = sums_.size(), most = blocks_together();
  const std::vector<TreeNode> nodes = tree_nodes(first, end, most);
  double largest = -1;
  for (std::size_t from = 0, to = 0; from < nodes.size(); from = to) {
    std::size_t blocks = 0;
    while (to < nodes.size() && blocks + nodes[to].size <= most) blocks += nodes[to++].size;
    block_sums_.resize(std::max(block_sums_.size(), blocks * n));
    const int begin = int(nodes[from].first) * kBlock, count = std::min(int(blocks) * kBlock, batch.size - begin);
    largest = std::max(largest, engine_.step(angles, begin, count, *chain_, block_sums_.data(), false));
    double* sums = block_sums_.data();
    for (; from < to; from++) {
      const std::size_t size = nodes[from].size;
      tree_sum(sums, int(size), n, n);
      tree_.add(sums, size);
      sums += size * n;
    }
  }
  return largest;
}

// The same sums, of which every rank computes some nodes. Where samples meet in one matrix (StepEngine::as_matrix) there
// are no nodes: every rank computes them all.
bool Steps::sums_of_ranks(const Batch& batch, const std::shared_ptr<const StepAngles>& angles) {
  const std::size_t n = sums_.size(), blocks = std::size_t(batch.size + kBlock - 1) / kBlock;
  const int at_once = int(std::min<std::size_t>(blocks_together() * kBlock, std::size_t(batch.size)));
  const bool shared = !as_matrix(at_once);
  auto begin_of = [&](int rank) { return first_block_of(rank, ranks_->size, blocks); };
  std::vector<std::int64_t> counts(std::size_t(ranks_->size), 0);
  std::size_t total = 0, own = 0;
  for (int rank = 0; shared && rank < ranks_->size; rank++) {
    if (rank == ranks_->rank) own = total;
    const std::size_t count = 1 + n * tree_nodes(begin_of(rank), begin_of(rank + 1)).size();
    counts[std::size_t(rank)] = std::int64_t(count), total += count;
  }
  of_ranks_.resize(total);
  int word = 0;
  try {
    if (shared) {
      const std::size_t first = begin_of(ranks_->rank);
      tree_.clear(n, first);
      of_ranks_[own] = add_blocks(batch, angles, first, begin_of(ranks_->rank + 1));
      tree_.rows(of_ranks_.data() + own + 1);
      if (!chain_->finite()) word |= kRankNotFinite;
    } else if (!own_sums(batch, angles)) {
      word |= kRankNotFinite;
    }
  } catch (const Interrupted&) {
    word |= kRankAbandoned;
  }
  heard_ = ranks_->gather(word | own_word_(), of_ranks_.data(), counts);
  if (heard_ & kRankAbandoned) throw Interrupted();
  if (heard_ & kRankNotFinite) return false;
  if (!shared) return true;
  largest_drift_ = -1;
  tree_.clear(n);
  const double* from = of_ranks_.data();
  for (int rank = 0; rank < ranks_->size; rank++) {
    largest_drift_ = std::max(largest_drift_, *from++);
    for (const TreeNode& node : tree_nodes(begin_of(rank), begin_of(rank + 1))) tree_.add(from, node.size), from += n;
  }
  tree_.total(sums_.data());
  return true;
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

SpanEnd Steps::run(const Span& span, const std::function<bool()>& stop, std::size_t& done, const Ranks& ranks) {
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
  ranks_ = ranks.size > 1 ? &ranks : nullptr;
  own_word_ = [&] {
    const auto moment = Clock::now();
    int word = done + 1 == span.n_steps || seconds_between(begin, moment) >= span.seconds ? int(kRankEnd) : 0;
    if (moment - asked >= kAskEvery || word) {
      asked = moment;
      if (stop()) word |= kRankStop;
    }
    return word;
  };
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
      if (ranks_) {  // all end where one would
        if (heard_ & kRankStop) end = SpanEnd::kStopped;
        else if (heard_ & kRankEnd) end = SpanEnd::kTime;
        if (heard_ & (kRankStop | kRankEnd)) break;
        continue;
      }
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
