// What comes in with a call and what goes out: pointers into the caller's arrays.
//
// B samples, N amplitudes, S shared and S' per-sample slots, G blocks of samples, R raw sums.
#pragma once

#include <memory>
#include <vector>

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
};

struct Gradients {
  double* block_sums = nullptr;   // (G, R)
  double* per_sample = nullptr;   // (B, S'), or nullptr
  double* drift = nullptr;        // (B)
  double* shared = nullptr;       // (B, S): of each sample, or nullptr
  void* initial = nullptr;        // (B, N) complex, or nullptr
};

}  // namespace qmltrain
