// DenseLayers: see dense_layers.hpp.
#include "dense_layers.hpp"

#include <algorithm>

namespace qmltrain {

DenseLayers::DenseLayers(const std::vector<int>& sizes, ActivationKind inner, ActivationKind last, bool bias)
    : bias_(bias) {
  for (std::size_t l = 0; l + 1 < sizes.size(); l++) {
    const bool is_last = l + 2 == sizes.size();
    layers_.push_back({sizes[l], sizes[l + 1], is_last ? last : inner, n_parameters_, n_values_});
    const std::size_t n_out = std::size_t(sizes[l + 1]), n_out_lanes = n_out * kSideBySide;
    n_parameters_ += layers_.back().n_weights() + (bias ? n_out : 0);
    n_values_ += n_out_lanes;
    if (!is_last) widest_ = std::max(widest_, n_out_lanes);
  }
}

std::size_t DenseLayers::n_scratch() const { return n_values_ + 2 * widest_; }

const double* DenseLayers::forward(const StepKernels& kernels, const double* parameters, int count, const double* in,
                                   double* scratch) const {
  for (const Layer& layer : layers_) {
    const double* weights = parameters + layer.first;
    double* out = scratch + layer.values;
    kernels.linear(layer.n_in, layer.n_out, weights, bias_ ? weights + layer.n_weights() : nullptr, count, in, out);
    if (layer.activation != kIdentity) kernels.activate[layer.activation](std::size_t(layer.n_out), count, out, out);
    in = out;
  }
  return in;
}

void DenseLayers::backward(const StepKernels& kernels, const double* parameters, int count, const double* in,
                           double* outputs, double* inputs, double* scratch, double* sums) const {
  double* back = outputs;
  for (std::size_t l = layers_.size(); l--;) {
    const Layer& layer = layers_[l];
    const double* from = l ? scratch + layers_[l - 1].values : in;
    const std::size_t n_out = std::size_t(layer.n_out);
    if (layer.activation != kIdentity)
      kernels.activate_back[layer.activation](n_out, count, scratch + layer.values, back);
    kernels.linear_sums(layer.n_in, layer.n_out, count, back, from, sums + layer.first);
    if (bias_) kernels.lane_sums(n_out, count, back, sums + layer.first + layer.n_weights());
    double* next = l ? scratch + n_values_ + (l % 2) * widest_ : inputs;
    if (next) kernels.linear_back(layer.n_in, layer.n_out, parameters + layer.first, count, back, next);
    back = next;
  }
}

}  // namespace qmltrain
