// Optimizer: moves parameters along a gradient; the first-order optimisers of qmltrain/training/optimizers.py.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "step_kernels.hpp"
#include "padded.hpp"

namespace qmltrain {

class Optimizer {
 public:
  // Names of its arrays (P), in the order of `arrays`; numbers: those of the recipe, by name and in this order:
  //   sgd    momentum, weight_decay; velocity where there is momentum
  //   adam, adamw    beta_1, beta_2, epsilon, weight_decay; first_moment, second_moment
  // Throws std::invalid_argument for a name or a number of numbers that is not known.
  Optimizer(const std::string& name, const std::vector<double>& numbers, std::size_t n_parameters);

  std::size_t n_arrays() const { return arrays_.size(); }
  Padded& array(std::size_t i) { return arrays_[i]; }
  // Step number `step` (from 1), of a gradient times `clip`. frozen (P, padded) or nullptr, see UpdateCall.
  void update(const StepKernels& kernels, std::int64_t step, double learning_rate, double clip,
              const std::int64_t* frozen, const Padded& gradient, Padded& parameters);

 private:
  bool adam_;
  double momentum_ = 0, weight_decay_ = 0, beta_1_ = 0, beta_2_ = 0, epsilon_ = 0;
  std::vector<Padded> arrays_;
};

std::vector<std::string> optimizer_names();

}  // namespace qmltrain
