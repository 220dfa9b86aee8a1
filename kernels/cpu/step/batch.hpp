// Batch: the samples of one training step, by their rows in arrays of the caller's.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

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

  // Rows come in any order, so no hardware prefetcher finds them: those that come later, in this batch or the next one,
  // are asked for, of small batches a whole batch ahead. Part `part` of kParts of them: processors of AMD drop what they
  // are asked for beyond two dozen lines at a time.
  static constexpr int kParts = 4;
  void prefetch(int first, int count, int part) const {
    constexpr int kLeastAhead = 64;
    constexpr std::size_t kNear = 8192;  // numbers of a batch: 64 KiB, which the second cache keeps
    constexpr std::uintptr_t kLines = 5, kLine = 64;
    const int distance = std::size_t(size) * (n_features + 1) > kNear ? kLeastAhead : std::max(kLeastAhead, size);
    const int end = std::min(first + count * (part + 1) / kParts + distance, ahead);
    // GCC takes a function that only prefetches for one without effects and drops the call
    asm volatile("" ::"r"(this));
    for (int i = first + count * part / kParts + distance; i < end; i++) {
      const std::uintptr_t x = reinterpret_cast<std::uintptr_t>(sample(i)), begin = x / kLine * kLine;
      const std::uintptr_t behind = std::min(x + n_features * sizeof(double), begin + kLines * kLine);
      for (std::uintptr_t line = begin; line < behind; line += kLine) __builtin_prefetch(reinterpret_cast<char*>(line));
      __builtin_prefetch(targets + rows[i]);
    }
  }
};

}  // namespace qmltrain
