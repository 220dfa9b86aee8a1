// Batch: the samples of one training step, by their rows in arrays of the caller's.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

namespace qmltrain {

// Numbers of samples 0, 1, ...: of these rows, or in order.
struct SampleRows {
  const double* numbers;
  const std::int64_t* rows;             // nullptr: in order
  std::size_t n_columns;
  const double* operator[](int i) const { return numbers + (rows ? std::size_t(rows[i]) : std::size_t(i)) * n_columns; }
};

struct Batch {
  const double* features = nullptr;     // (N, n_features): values of the features of angles, or amplitudes
  const double* targets = nullptr;      // (N): values, or numbers of classes
  const std::int64_t* rows = nullptr;   // (size) of them
  int size = 0;
  int ahead = 0;                        // rows that may be read: those of later batches follow
  std::size_t n_features = 0;

  SampleRows samples(int first) const { return {features, rows + first, n_features}; }
  const double* sample(int i) const { return features + std::size_t(rows[i]) * n_features; }
  double target(int i) const { return targets[rows[i]]; }

  // Rows come in any order, so no hardware prefetcher finds them: those that come kAhead samples later, in this batch
  // or a later one, are asked for.
  void prefetch(int first, int count) const {
    constexpr int kAhead = 64;
    constexpr std::size_t kLines = 4, kLine = 64;
    // GCC takes a function that only prefetches for one without effects and drops the call
    asm volatile("" ::"r"(this));
    const std::size_t lines = std::min(kLines, (n_features * sizeof(double) + kLine - 1) / kLine);
    for (int i = first + kAhead; i < std::min(first + count + kAhead, ahead); i++) {
      const char* x = reinterpret_cast<const char*>(sample(i));
      for (std::size_t line = 0; line < lines; line++) __builtin_prefetch(x + line * kLine);
      __builtin_prefetch(targets + rows[i]);
    }
  }
};

// Small batches, copied at once. Rows in any order come from far memory; one after the other they are waited for
// together, sixteen at a time, as units of samples take them, sixteen at a time.
class GatheredBatch {
 public:
  static constexpr std::size_t kMost = 8192;  // numbers: 64 KiB

  // `batch`, or a copy of its samples that stays until the next call.
  Batch gather(const Batch& batch) {
    const std::size_t n = batch.n_features, size = std::size_t(batch.size);
    if (size * (n + 1) > kMost) return batch;
    if (in_order_.size() < size) {
      in_order_.resize(size);
      std::iota(in_order_.begin(), in_order_.end(), 0);
    }
    numbers_.resize(std::max(numbers_.size(), size * (n + 1)));
    double *features = numbers_.data(), *targets = features + size * n;
    for (std::size_t i = 0; i < size; i++) {
      const double* x = batch.features + std::size_t(batch.rows[i]) * n;
      for (std::size_t k = 0; k < n; k++) features[i * n + k] = x[k];
      targets[i] = batch.targets[batch.rows[i]];
    }
    Batch copy = batch;
    copy.features = features, copy.targets = targets, copy.rows = in_order_.data();
    copy.ahead = 0;  // nothing to prefetch
    return copy;
  }

 private:
  std::vector<double> numbers_;
  std::vector<std::int64_t> in_order_;
};

}  // namespace qmltrain
