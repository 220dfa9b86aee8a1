// What comes in with a call and what goes out: pointers into the caller's arrays.
//
// B samples, N amplitudes, S shared and S' per-sample slots, G blocks of samples, R raw sums.
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "plan.hpp"

namespace qmltrain {

// The shared angles of a training step, in a copy of its own. The engine keeps what it worked out for one such object:
// a step whose object is another one is prepared again.
struct StepAngles {
  std::vector<double> shared;  // (S)
};

struct Inputs {
  int batch;
  std::shared_ptr<const StepAngles> angles;
  const double* per_sample;   // (B, S')
  const double* initial;      // (B, N) or nullptr
  int first = 0;              // the sample that the arrays of samples begin with
};

// Expectations or cotangents of samples and Pauli strings. Rows (B, M) of a chunk, (1, M) for all its samples, or
// values [M][lane] of the units of a bundle, one unit after the other.
struct StringValues {
  double* base = nullptr;     // nullptr: none
  std::size_t of_unit = 0, of_sample = 0, of_string = 0;  // numbers from one to the next; of_unit 0: by sample
  // (of cotangents, which are read alone)
  static StringValues rows(const double* base, std::size_t n_strings) {
    return {const_cast<double*>(base), 0, n_strings, 1};
  }
  static StringValues for_all(const double* base) { return {const_cast<double*>(base), 0, 0, 1}; }
  static StringValues by_unit(double* base, std::size_t n_strings, std::size_t lanes) {
    return {base, n_strings * lanes, 1, lanes};
  }
  explicit operator bool() const { return base != nullptr; }
  // Those of the samples from `first` on, of the bundle's unit u.
  double* at(int first, std::size_t u) const {
    return base + (of_unit ? of_unit * u : of_sample * std::size_t(first));
  }
};

// Where basis states lie at the end of a plan, as its readout says: the one of index i at start ^ (masks[q] of every bit
// q of i), addresses of the plan.
struct Readout {
  Mask start;
  std::vector<Mask> masks;
};

struct Gradients {
  double* block_sums = nullptr;   // (G, R)
  double* per_sample = nullptr;   // (B, S'), or nullptr
  double* drift = nullptr;        // (B)
  double* shared = nullptr;       // (B, S): of each sample, or nullptr
  void* initial = nullptr;        // (B, N) complex: the bra at the start, or nullptr
  double* initial_real = nullptr;  // (B, N): its real part, or nullptr
  int first = 0;                  // the sample that `per_sample`, `drift` and `initial_real` begin with
};

}  // namespace qmltrain
