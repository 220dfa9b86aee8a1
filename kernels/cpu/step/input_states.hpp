// InputStates: features as amplitudes, as qmltrain/circuit/amplitude.py makes them: padded, and divided by their norm
// where they are normalised. That rows can be encoded has been checked with the data.
#pragma once
#include <cmath>
#include <cstddef>

#include "batch.hpp"

namespace qmltrain {

struct InputStates {
  int n_qubits;
  std::size_t n_features;  // the first so many columns of a sample
  double pad_with;
  bool normalize;

  // (count, 2^n) of samples first .. first + count.
  void states(const Batch& batch, int first, int count, double* to) const {
    const std::size_t N = std::size_t(1) << n_qubits, F = n_features;
    for (int i = first; i < first + count; i++, to += N) {
      const double* x = batch.sample(i);
      for (std::size_t k = 0; k < N; k++) to[k] = k < F ? x[k] : pad_with;
      if (!normalize) continue;
      double largest = 0, squares = 0;  // scaled before squaring, so that no finite row overflows or vanishes
      for (std::size_t k = 0; k < N; k++) largest = std::fmax(largest, std::fabs(to[k]));
      for (std::size_t k = 0; k < N; k++) {
        to[k] /= largest;
        squares += to[k] * to[k];
      }
      const double length = std::sqrt(squares);
      for (std::size_t k = 0; k < N; k++) to[k] /= length;
    }
  }
};

}  // namespace qmltrain
