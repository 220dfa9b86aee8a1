// Observables and heads: see heads.hpp.
#include "heads.hpp"

#include <stdexcept>

namespace qmltrain {

Observables::Observables(std::size_t n_strings, std::vector<std::int32_t> start, std::vector<std::int32_t> column,
                         std::vector<double> value, std::vector<double> constant)
    : n_strings_(n_strings), start_(std::move(start)), column_(std::move(column)), value_(std::move(value)),
      constant_(std::move(constant)), plain_(constant_.size() == n_strings) {
  for (std::size_t k = 0; plain_ && k < size(); k++) {
    const std::int32_t first = start_[k];
    plain_ = constant_[k] == 0.0 && start_[k + 1] == first + 1 && column_[std::size_t(first)] == std::int32_t(k) &&
             value_[std::size_t(first)] == 1.0;
  }
}

namespace {

class Raw final : public Head {
 public:
  using Head::Head;
  std::size_t n_parameters() const override { return 0; }
  const double* forward(const StepKernels&, const double*, int, const double* expectations, double*) const override {
    return expectations;
  }
  double* backward(const StepKernels&, const double*, int, double* outputs, double*) const override {
    return outputs;
  }
  void add_sums(const StepKernels&, int, const double*, const double*, double*) const override {}
};

// outputs = factor * expectations
class Scaled final : public Head {
 public:
  using Head::Head;
  std::size_t n_parameters() const override { return 1; }
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                        double* outputs) const override {
    kernels.scale(std::size_t(K), parameters[0], count, expectations, outputs);
    return outputs;
  }
  double* backward(const StepKernels& kernels, const double* parameters, int count, double* outputs,
                   double* expectations) const override {
    kernels.scale(std::size_t(K), parameters[0], count, outputs, expectations);
    return expectations;
  }
  void add_sums(const StepKernels& kernels, int count, const double* expectations, const double* cotangents,
                double* sums) const override {
    sums[0] += kernels.product_sum(std::size_t(K), count, cotangents, expectations);
  }
};

// outputs_c = sum_k weight_ck expectation_k + bias_c; parameters: weights row by row, biases
class Linear final : public Head {
 public:
  using Head::Head;
  std::size_t n_parameters() const override { return std::size_t(C) * std::size_t(K + 1); }
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                        double* outputs) const override {
    kernels.linear(K, C, parameters, parameters + std::size_t(C) * std::size_t(K), count, expectations, outputs);
    return outputs;
  }
  double* backward(const StepKernels& kernels, const double* parameters, int count, double* outputs,
                   double* expectations) const override {
    kernels.linear_back(K, C, parameters, count, outputs, expectations);
    return expectations;
  }
  void add_sums(const StepKernels& kernels, int count, const double* expectations, const double* cotangents,
                double* sums) const override {
    kernels.linear_sums(K, C, count, cotangents, expectations, sums);
    kernels.lane_sums(std::size_t(C), count, cotangents, sums + std::size_t(C) * std::size_t(K));
  }
};

}  // namespace

std::vector<std::string> head_names() { return {"raw", "scaled", "linear"}; }

std::unique_ptr<Head> make_head(const std::string& name, int n_observables, int n_outputs) {
  if (name == "raw") return std::make_unique<Raw>(n_observables, n_outputs);
  if (name == "scaled") return std::make_unique<Scaled>(n_observables, n_outputs);
  if (name == "linear") return std::make_unique<Linear>(n_observables, n_outputs);
  throw std::invalid_argument("no head is called " + name);
}

}  // namespace qmltrain
