// DenseLayers: a_l = f(W_l a_(l-1) + b_l), one after another, and the way back.
//
// Values of samples are [quantity][lane], see step_kernels.hpp. Parameters are those of layer 0, 1, ...: weights row by
// row, then biases where there are any; sums of gradients lie in the same order.
#pragma once
#include <vector>

#include "step_kernels.hpp"

namespace qmltrain {

class DenseLayers {
 public:
  // Layer l takes sizes[l] quantities to sizes[l + 1]; `last` is the activation of the last one, `inner` of the others.
  DenseLayers(const std::vector<int>& sizes, ActivationKind inner, ActivationKind last, bool bias);
  std::size_t n_parameters() const { return n_parameters_; }
  std::size_t n_scratch() const;  // numbers that `forward` leaves for `backward`, and what this needs itself

  // The outputs, which lie in scratch.
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* in,
                        double* scratch) const;
  // From cotangents of the outputs, which are overwritten, to those of the inputs (nullptr: not wanted); adds the
  // gradient of the parameters, summed over samples, to sums.
  void backward(const StepKernels& kernels, const double* parameters, int count, const double* in, double* outputs,
                double* inputs, double* scratch, double* sums) const;

 private:
  struct Layer {
    int n_in, n_out;
    ActivationKind activation;
    std::size_t first, values;  // of its parameters; of its outputs in scratch
    std::size_t n_weights() const { return std::size_t(n_in) * std::size_t(n_out); }
  };
  std::vector<Layer> layers_;
  bool bias_;
  std::size_t n_parameters_ = 0, n_values_ = 0, widest_ = 0;  // numbers; widest_: of an inner layer
};

}  // namespace qmltrain
