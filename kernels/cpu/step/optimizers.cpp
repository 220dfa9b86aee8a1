// Optimizer: see optimizers.hpp.
#include "optimizers.hpp"

#include <cmath>
#include <stdexcept>

namespace qmltrain {

std::vector<std::string> optimizer_names() { return {"sgd", "adam", "adamw"}; }

Optimizer::Optimizer(const std::string& name, const std::vector<double>& numbers, std::size_t n_parameters)
    : adam_(name != "sgd") {
  if (adam_ && name != "adam" && name != "adamw") throw std::invalid_argument("no optimiser is called " + name);
  if (numbers.size() != (adam_ ? 4u : 2u)) throw std::invalid_argument(name + ": a wrong number of numbers");
  if (adam_) beta_1_ = numbers[0], beta_2_ = numbers[1], epsilon_ = numbers[2], weight_decay_ = numbers[3];
  else momentum_ = numbers[0], weight_decay_ = numbers[1];
  const std::size_t n = adam_ ? 2 : momentum_ != 0.0 ? 1 : 0;
  for (std::size_t i = 0; i < n; i++) arrays_.emplace_back(n_parameters);
}

void Optimizer::update(const StepKernels& kernels, std::int64_t step, double learning_rate, double clip,
                       const std::int64_t* frozen, const Padded& gradient, Padded& parameters) {
  UpdateCall call{};
  call.n = parameters.padded(), call.parameters = parameters.data(), call.gradient = gradient.data();
  call.clip = clip, call.frozen = frozen, call.learning_rate = learning_rate;
  call.momentum = momentum_, call.weight_decay = weight_decay_;
  call.beta_1 = beta_1_, call.beta_2 = beta_2_, call.epsilon = epsilon_;
  if (!arrays_.empty()) call.first = arrays_[0].data();
  if (adam_) {
    call.second = arrays_[1].data();
    call.correction_1 = 1.0 - std::pow(beta_1_, double(step));
    call.correction_2 = 1.0 - std::pow(beta_2_, double(step));
  }
  (adam_ ? kernels.adam : kernels.sgd)(call);
}

}  // namespace qmltrain
