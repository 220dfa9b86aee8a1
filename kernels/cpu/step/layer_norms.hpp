// LayerNorms: the length of a gradient, and of its part in each layer.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

#include "padded.hpp"

namespace qmltrain {

class LayerNorms {
 public:
  // group (P): the layer of each parameter, below n_layers.
  LayerNorms(const std::vector<std::int64_t>& group, std::size_t n_layers)
      : n_layers_(n_layers), squares_(group.size()) {
    for (std::size_t p = 0; p < group.size(); p++) {
      if (runs_.empty() || runs_.back().layer != group[p]) runs_.push_back({p, p, group[p]});
      runs_.back().end = p + 1;
    }
  }
  std::size_t n_layers() const { return n_layers_; }

  // The L2 norm; neither overflows nor underflows in between (qmltrain/training/gradient_norm.py).
  double norm(const StepKernels& kernels, const Padded& gradient) {
    const double sum = kernels.squares(gradient.padded(), gradient.data(), squares_.data());
    if (sum > 1e-200 && sum < 1e200) return std::sqrt(sum);
    double largest = 0, scaled = 0;
    for (std::size_t p = 0; p < gradient.size(); p++) {
      if (std::isnan(gradient[p])) return gradient[p];
      largest = std::fmax(largest, std::fabs(gradient[p]));
    }
    if (largest == 0.0 || std::isinf(largest)) return largest;
    for (std::size_t p = 0; p < gradient.size(); p++) scaled += (gradient[p] / largest) * (gradient[p] / largest);
    return largest * std::sqrt(scaled);
  }

  // (n_layers), of the gradient that `norm` was last asked of.
  void layers(double* norms) const {
    for (std::size_t i = 0; i < n_layers_; i++) norms[i] = 0;
    for (const Run& run : runs_) {
      double sum = 0;
      for (std::size_t p = run.first; p < run.end; p++) sum += squares_[p];
      norms[run.layer] += sum;
    }
    for (std::size_t i = 0; i < n_layers_; i++) norms[i] = std::sqrt(norms[i]);
  }

 private:
  struct Run { std::size_t first, end; std::int64_t layer; };  // neighbours of one layer
  std::size_t n_layers_;
  std::vector<Run> runs_;
  Padded squares_;
};

}  // namespace qmltrain
