// SharedBlocks: stretches of shared gates as matrices, applied to the samples instead of their gates.
//
// A circuit is passages and blocks in turn: passage 0, block 0, passage 1, ..., the last passage. A block is a stretch
// of operations whose angles are all shared, so it is one matrix U for all samples; its columns are the N = 2^n basis
// states taken through it as if they were samples. Passages have what is left: encodings, a few gates, or nothing.
//
//   forward    U of every block; of each sample, psi = U psi in place of the block's gates
//   backward   Lambda = sum over samples of lambda psi^dagger, of the states behind and before the block, is dE/dU: its
//              column k is the bra that goes with basis state k, and going back through the block with these N states
//              gives the block's raw sums over all samples. lambda goes on as U^dagger lambda where it is wanted.
//
// Stored states are scale X^F Z^G psi (kernels/README.md). What a passage's final states and a block's columns have of
// these goes into the matrices: a passage begins with true states, and Lambda is of true states.
//
// States of two samples meet in no sum but Lambda. It is taken in shares of consecutive bundles of units, at most
//   kShares, whatever the number of threads: in the precision of the states over kSummed units, then in float64; then
//   share by share. The same bits whoever computes.
//
// Units have a sample in each lane (no qubits there), also where a block of samples does not fill them.
#pragma once
#include <algorithm>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "execution.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

// Operations `first` to `last` - 1 of a plan.
struct OperationRange { int first, last; };

template <class Real> class SharedBlocks {
 public:
  static constexpr int kShares = 16, kSummed = 16, kShareUnits = 8;  // units: of a sum, of a share at least

  SharedBlocks(const Context<Real>& context, const BlockKernels<Real>& kernels)
      : context_(context), kernels_(kernels) {}

  bool on() const { return !blocks_.empty(); }
  const PreparedShape<Real>& last() const { return *passages_.back(); }

  // The plan has one pass; ranges of its operations are blocks, in order.
  void set(const PlanData& plan, const std::vector<OperationRange>& ranges) {
    size_ = std::size_t(1) << plan.n_qubits;
    padded_ = (size_ + context_.lanes - 1) / context_.lanes * context_.lanes;
    passages_.clear(), blocks_.clear(), columns_.clear(), places_.clear();
    const int n = plan.passes.at(0).count;
    int first = 0;
    for (const OperationRange& range : ranges) {
      passages_.push_back(shape_of(plan, first, range.first, first > 0, true));
      blocks_.push_back({});
      blocks_.back().shape = shape_of(plan, range.first, range.last, true, true);
      // an initial state is real
      blocks_.back().complex = first > 0 || !passages_.back()->shape.stages.empty();
      first = range.last;
    }
    passages_.push_back(shape_of(plan, first, n, first > 0, false));
    std::vector<std::pair<std::size_t, std::size_t>> ranges_of_passages;  // first, end; two may overlap
    for (const auto& passage : passages_)
      for (const auto& [from, count] : passage->raw_ranges) ranges_of_passages.push_back({from, from + count});
    std::sort(ranges_of_passages.begin(), ranges_of_passages.end());
    rows_.clear();
    for (const auto& [from, end] : ranges_of_passages) {
      if (rows_.empty() || from > rows_.back().first + rows_.back().second) rows_.push_back({from, 0});
      rows_.back().second = std::max(rows_.back().first + rows_.back().second, end) - rows_.back().first;
    }
    const std::size_t rows = std::size_t(kernels_.rows);
    for (std::size_t row = 0; row < size_; row++) {
      const std::size_t begin = row / rows * rows;
      places_.push_back({2 * (begin * size_ + row - begin), 2 * std::min(rows, size_ - begin)});
    }
    identity_.assign(size_ * size_, 0);
    for (std::size_t k = 0; k < size_; k++) identity_[k * size_ + k] = 1;
    no_angles_.assign(size_ * std::size_t(plan.n_per_sample), 0);
    const std::size_t fitting = std::max<std::size_t>(1, kColumnBytes / blocks_[0].shape->state_bytes());
    const std::size_t together = units_together() ? std::min<std::size_t>(fitting, kMostBundled) : 1;
    for (std::size_t k = 0; k < size_; k += context_.lanes) {
      if (columns_.empty() || std::size_t(columns_.back().count) == together)
        columns_.push_back({int(columns_.size()), 0, 0, {}});
      Bundle& bundle = columns_.back();
      bundle.unit[bundle.count++] = {bundle.index, 0, int(k), int(std::min(context_.lanes, size_ - k))};
    }
    forget();
  }

  void forget() {
    prepared_ = false;
    for (auto& passage : passages_) passage->forget();
    for (Block& block : blocks_) block.shape->forget();
  }

  // The matrices, for angles that the gate runs are prepared for. The columns' states stay for `backward`, or are made
  // again there, where they are many. samples: gradients of the samples' angles are wanted.
  void prepare(const std::shared_ptr<const StepAngles>& angles, bool samples, const std::function<void(bool)>& check) {
    if (prepared_ && (for_samples_ || !samples)) return;
    for (auto& passage : passages_) passage->prepare(angles->shared.data());
    inputs_ = {int(size_), angles, no_angles_.data(), identity_.data()};
    for (Block& block : blocks_) {
      block.shape->prepare(angles->shared.data());
      const std::size_t units = padded_ / context_.lanes;
      block.again = block.shape->unit_bytes() * units > kStayingBytes;
      if (!block.again) block.states.reserve(block.shape->unit_bytes() * units);
      block.ends.reserve(block.shape->state_bytes() * units);
    }
    each_column([&](std::size_t b, const Bundle& bundle, Worker& worker, std::size_t) {
      Execution<Real> execution = of_columns(blocks_[b], bundle, worker, check);
      execution.forward();
      for (int u = 0; u < execution.units; u++)
        std::memcpy(ends(blocks_[b], std::size_t(bundle.unit[u].first) / context_.lanes),
                    execution.end() + execution.psi_stride * std::size_t(u), blocks_[b].shape->state_bytes());
    });
    for (std::size_t b = 0; b < blocks_.size(); b++) pack(b, samples);
    prepared_ = true, for_samples_ = samples;
  }

  // Bundles of the samples of a chunk: whole blocks of kBlock, or one unit, where states are recomputed.
  std::vector<Bundle> bundles(int batch) const {
    std::size_t bytes = 3 * passages_.back()->state_bytes();  // both bras, states by sample
    bool together = units_together();
    for (const auto& passage : passages_) {
      bytes += passage->unit_bytes();
      together = together && passage->shape.resident && !passage->shape.share_bits;
    }
    const int in_block = kBlock / int(context_.lanes), least = std::max(2, in_block);
    const int fitting = int(std::min<std::size_t>(kBundledBytes / bytes, kMostBundled)) / least * least;
    const int most = together ? std::max(least, fitting) : 1;
    std::vector<Bundle> all;
    for (int first = 0; first < batch; first += kBlock)
      for (int f = first; f < std::min(batch, first + kBlock); f += int(context_.lanes)) {
        if (all.empty() || all.back().count >= most) all.push_back({int(all.size()), 0, 0, {}});
        const int count = std::min({int(context_.lanes), first + kBlock - f, batch - f});
        all.back().unit[all.back().count++] = {first / kBlock, first / kBlock, f, count};
      }
    return all;
  }
  int shares(const std::vector<Bundle>& all) const {
    int units = 0;
    for (const Bundle& bundle : all) units += bundle.count;
    return std::clamp(units / kShareUnits, 1, std::min<int>(kShares, int(all.size())));
  }

  // A bundle's way through passages and blocks.
  class Path {
   public:
    Path(const SharedBlocks& of, const Bundle& bundle, const Inputs& inputs, Worker& worker,
         const std::function<void(bool)>& check)
        : of_(of), worker_(worker) {
      std::size_t bytes = 0;
      for (const auto& passage : of.passages_) bytes += passage->unit_bytes();
      worker.states.reserve(bytes * std::size_t(bundle.count));
      char* states = worker.states.get();
      passages_.reserve(of.passages_.size());
      for (const auto& passage : of.passages_) {
        passages_.push_back(Execution<Real>{of.context_, *passage, bundle, inputs, worker, true, states, check});
        states += passage->unit_bytes() * std::size_t(bundle.count);
      }
    }

    Execution<Real>& last() { return passages_.back(); }

    void forward() {
      passages_[0].forward();
      for (std::size_t b = 0; b < of_.blocks_.size(); b++) {
        const Execution<Real>& before = passages_[b];
        Execution<Real>& after = passages_[b + 1];
        of_.kernels_.product[of_.blocks_[b].complex](of_.blocks_[b].forward.template as<Real>(), of_.size_, before.units,
                                                     before.end(), before.psi_stride, after.start(), after.psi_stride);
        after.load_angles();
        after.forward_from_start();
      }
    }

    // From the bra of the last passage: raw sums of the passages, and what the blocks sum up over samples into a share.
    void backward(const Gradients& out, double* sums, std::size_t n_sums, int share) {
      Buffer *to = &worker_.bra_before, *from = &worker_.bra;
      for (std::size_t p = passages_.size(); p-- > 0;) {
        Execution<Real>& passage = passages_[p];
        if (!passage.shape.passes.empty()) {
          if (p + 1 < passages_.size()) passage.load_angles();  // of this passage again
          Gradients of_passage = out;
          if (p > 0) of_passage.initial_real = nullptr;
          passage.backward(of_passage, sums, n_sums, nullptr);
        } else if (p == 0) {
          for (int u = 0; u < passage.units; u++) passage.read_bra(u, 1.0, out);
        }
        if (p == 0) break;
        Execution<Real>& before = passages_[p - 1];
        of_.add_outer(p - 1, before, passage, worker_, share);
        if (p == 1 && !of_.wanted_first(out.per_sample != nullptr)) break;
        to->reserve(passage.bra_stride * std::size_t(passage.units) + passage.kSkew * of_.context_.row_bytes);
        before.bra = to->get() + passage.kSkew * of_.context_.row_bytes;
        std::swap(to, from);
        before.psi = before.end();
        of_.kernels_.product[true](of_.blocks_[p - 1].back.template as<Real>(), of_.size_, passage.units, passage.bra,
                                   passage.bra_stride, before.bra, before.bra_stride);
      }
    }

   private:
    const SharedBlocks& of_;
    Worker& worker_;
    std::vector<Execution<Real>> passages_;
  };

  // Sums over the samples of so many shares.
  void reserve_shares(int shares) {
    for (Block& block : blocks_) {
      block.partial.reserve(std::size_t(shares) * numbers() * sizeof(Real));
      block.total.reserve(std::size_t(shares) * numbers() * sizeof(double));
    }
  }

  // Bundles of a share in their order: job(bundle) makes one's way forward and backward. A block of samples is in one
  // share, so its units are added to its row in their order.
  template <class Job> void each_of_share(const std::vector<Bundle>& all, int share, int shares, Job job) {
    auto cut = [&](int i) {
      std::size_t at = all.size() * std::size_t(i) / std::size_t(shares);
      while (at > 0 && at < all.size() && all[at].unit[0].block == all[at - 1].unit[0].block) at--;
      return at;
    };
    const std::size_t begin = cut(share), end = cut(share + 1);
    for (Block& block : blocks_) {
      std::fill_n(partial(block, share), numbers(), Real(0));
      std::fill_n(total(block, share), numbers(), 0.0);
    }
    int units = 0;
    for (std::size_t i = begin; i < end; i++) {
      if (units + all[i].count > kSummed) flush(share), units = 0;
      units += all[i].count;
      job(all[i]);
    }
    flush(share);
  }

  // Of the raw sums, those that passages have rows of: first, count; each once.
  const std::vector<std::pair<std::size_t, std::size_t>>& rows_of_passages() const { return rows_; }

  // Raw sums of the blocks over all samples, added to sums (R).
  void backward(int shares, const std::function<void(bool)>& check, double* sums);

 private:
  static constexpr std::size_t kColumnBytes = 8 << 10;    // of the states of columns that go together
  static constexpr std::size_t kStayingBytes = 6 << 20;  // of states of columns that are worth keeping: near the caches
  static constexpr std::size_t kBundledBytes = 160 << 10;  // of the states of a bundle: in the second cache

  struct Block {
    std::unique_ptr<PreparedShape<Real>> shape;
    bool complex = true;  // whether the states before it have imaginary passages
    bool again = false;   // the states of the columns are made again going back
    Buffer states, ends;  // of the columns: all that are stored; the last ones
    Buffer forward, back;  // U and U^dagger between stored states, in tiles
    Buffer partial, total;  // [share][row][re, im][padded]: Lambda, of a few units and so far
  };

  // Checkpoints are of one unit's states.
  bool units_together() const {
    return context_.settings.interval <= 0 && context_.settings.mode != Mode::kCheckpoint;
  }
  std::size_t numbers() const { return 2 * size_ * padded_; }
  Real* partial(const Block& block, int share) const {
    return block.partial.template as<Real>() + numbers() * std::size_t(share);
  }
  double* total(const Block& block, int share) const {
    return block.total.template as<double>() + numbers() * std::size_t(share);
  }

  std::unique_ptr<PreparedShape<Real>> shape_of(const PlanData& plan, int first, int last, bool from_states,
                                                bool followed) const {
    PlanData passage = plan;
    passage.is_passage = true, passage.followed = followed;
    if (from_states) passage.amplitude_encoded = true;
    if (followed) passage.strings.clear();
    for (int o = 0; o < first; o++)
      for (int i = 0; plan.operations[std::size_t(o)].diagonal && i < plan.operations[std::size_t(o)].count; i++)
        passage.terms_before += plan.terms[std::size_t(plan.operations[std::size_t(o)].first + i)].source == kSlot;
    passage.passes[0].first = first, passage.passes[0].count = last - first;
    return std::make_unique<PreparedShape<Real>>(context_, passage, 0);
  }

  // job(block, bundle of its columns, worker, number)
  template <class Job> void each_column(Job job) {
    context_.team.do_jobs(int(blocks_.size() * columns_.size()), [&](int i, int thread) {
      job(std::size_t(i) / columns_.size(), columns_[std::size_t(i) % columns_.size()],
          context_.workers[std::size_t(thread)], std::size_t(i));
    });
  }
  Execution<Real> of_columns(Block& block, const Bundle& bundle, Worker& worker,
                             const std::function<void(bool)>& check) const {
    const std::size_t unit = std::size_t(bundle.unit[0].first) / context_.lanes;
    if (block.again) worker.states.reserve(block.shape->unit_bytes() * std::size_t(bundle.count));
    char* states = block.again ? worker.states.get() : block.states.get() + block.shape->unit_bytes() * unit;
    return {context_, *block.shape, bundle, inputs_, worker, true, states, check};
  }

  char* ends(const Block& block, std::size_t unit) const { return block.ends.get() + block.shape->state_bytes() * unit; }

  // Whether a bra is wanted before the first block: by passage 0, or by what made the initial states of samples.
  bool wanted_first(bool samples) const {
    const Shape& s = passages_[0]->shape;
    const auto has_shared = [](const SampleRun& run) { return run.has_shared; };
    const bool of_samples = context_.plan.amplitude_encoded || !s.sample_rows.empty() || !s.merged_rows.empty();
    return (samples && of_samples) || !s.raw_rows.empty() ||
           std::any_of(s.sample_runs.begin(), s.sample_runs.end(), has_shared);
  }

  // What the bra that a passage ends with, going back, is of the true one.
  double bra_scale(std::size_t passage) const {
    return passages_[passage]->shape.passes.empty() ? 1.0 : passages_[passage]->bra_end;
  }

  // shared_blocks_matrices.hpp
  void pack(std::size_t b, bool samples);
  std::vector<double> signs_of(const PreparedShape<Real>& shape) const;
  void add_outer(std::size_t b, const Execution<Real>& before, const Execution<Real>& after, Worker& worker,
                 int share) const;
  void flush(int share);
  void write_columns(std::size_t b, const Execution<Real>& execution) const;

  const Context<Real>& context_;
  const BlockKernels<Real>& kernels_;
  std::size_t size_ = 0, padded_ = 0;                         // N, and N in whole vectors
  std::vector<std::unique_ptr<PreparedShape<Real>>> passages_;  // one more than blocks
  std::vector<Block> blocks_;
  std::vector<Bundle> columns_;                              // of each block
  std::vector<std::pair<std::size_t, std::size_t>> rows_;
  std::vector<double> identity_, no_angles_, raw_;
  Inputs inputs_{};
  struct Place { std::size_t first, stride; };
  std::vector<Place> places_;                                // of each row in a matrix in tiles, and of its columns
  bool prepared_ = false, for_samples_ = false;
};

}  // namespace qmltrain
