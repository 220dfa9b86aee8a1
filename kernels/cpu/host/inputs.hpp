// What comes in with a call and what goes out: pointers into the caller's arrays (shapes in brackets).
#pragma once

namespace qmltrain {

struct Inputs {
  int batch;
  const double* shared;       // (S)
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
