// Batch: the samples of one training step, by their rows in arrays of the caller's.
#pragma once
#include <cstddef>
#include <cstdint>

namespace qmltrain {

struct Batch {
  const double* features = nullptr;     // (N, n_features): values of the features of angles, or amplitudes
  const double* targets = nullptr;      // (N): values, or numbers of classes
  const std::int64_t* rows = nullptr;   // (size) of them
  int size = 0;
  std::size_t n_features = 0;

  const double* sample(int i) const { return features + std::size_t(rows[i]) * n_features; }
  double target(int i) const { return targets[rows[i]]; }
};

}  // namespace qmltrain
