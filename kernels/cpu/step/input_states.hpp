// InputStates: numbers of samples as amplitudes, and the way back; the formulas of qmltrain/circuit/amplitude.py and
// Model.input_state_gradient.
//
//   p (S)      the first F numbers of a sample, and S - F times pad_with
//   s (S)      p / |p|; p itself where states are not normalised
//   state (N)  s (x) s (x) ..., a factor for each copy: N = S^copies
//
// Back from the bra at the start, with g = dL/dstate = 2 Re bra (N), h (S) the gradient of one copy:
//
//   h_i     = sum over the places of i among the indices of g, and over all other indices, of g times the other factors
//   dL/dp   = (h - (h . s) s) / |p|; h itself where states are not normalised
#pragma once
#include <cstddef>

#include "batch.hpp"

namespace qmltrain {

struct InputStates {
  int n_qubits;            // of one copy
  int copies;
  std::size_t n_features;  // F
  double pad_with;
  bool normalize;

  std::size_t size() const { return std::size_t(1) << n_qubits; }                    // S
  std::size_t whole_size() const { return std::size_t(1) << (n_qubits * copies); }  // N
  // Numbers that `states`, or `gradients`, of so many samples need themselves.
  std::size_t n_scratch(int count) const { return copies > 1 ? size() * std::size_t(count) : 0; }
  std::size_t n_scratch_back(int count) const {
    return (size() + 1) * std::size_t(count) + size() + whole_size() / size();
  }

  // (count, N)
  void states(const SampleRows& numbers, int count, double* to, double* scratch) const;
  // From real parts of bras (count, N), which are overwritten: dL/dp is added to the first F of every row of to
  // (count, n_columns).
  void gradients(const SampleRows& numbers, int count, double* bras, std::size_t n_columns, double* to,
                 double* scratch) const;

 private:
  void of_one_copy(const SampleRows& numbers, int count, double* to, double* norms) const;
  void power(const double* s, int factors, double* to) const;
  void power_gradient(double* g, const double* s, double* h, double* others) const;
};

}  // namespace qmltrain
