// InputStates: features as amplitudes, as qmltrain/circuit/amplitude.py makes them: padded, and divided by their norm
// where they are normalised. That rows can be encoded has been checked with the data.
#pragma once
#include <algorithm>
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
    for (int i = 0; i < count; i++) {
      const double* x = batch.sample(first + i);
      double* state = to + N * std::size_t(i);
      std::copy(x, x + F, state);
      std::fill(state + F, state + N, pad_with);
    }
    if (!normalize) return;
    for (int i = 0; i < count; i++) {  // scaled before squaring, so that no finite row overflows or vanishes
      double* state = to + N * std::size_t(i);
      const double factor = largest(state, N);
      for (std::size_t k = 0; k < N; k++) state[k] /= factor;
    }
    // Squares are added one after the other, which takes long; so those of a few samples are, side by side.
    constexpr int kBeside = 4;
    for (int begin = 0; begin < count; begin += kBeside) {
      const int n = std::min(kBeside, count - begin);
      const double* states[kBeside];
      for (int j = 0; j < kBeside; j++) states[j] = to + N * std::size_t(begin + std::min(j, n - 1));
      double squares[kBeside] = {};
      for (std::size_t k = 0; k < N; k++)
        for (int j = 0; j < kBeside; j++) squares[j] += states[j][k] * states[j][k];
      for (int j = 0; j < n; j++) {
        double* state = to + N * std::size_t(begin + j);
        const double length = std::sqrt(squares[j]);
        for (std::size_t k = 0; k < N; k++) state[k] /= length;
      }
    }
  }

  // The largest magnitude of N numbers, an even number of them.
  static double largest(const double* x, std::size_t N) {
    double a = 0, b = 0;
    for (std::size_t k = 0; k < N; k += 2) {
      const double even = std::fabs(x[k]), odd = std::fabs(x[k + 1]);
      a = even > a ? even : a, b = odd > b ? odd : b;
    }
    return a > b ? a : b;
  }
};

}  // namespace qmltrain
