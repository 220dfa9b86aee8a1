// Observables and heads: see heads.hpp.
#include "heads.hpp"

#include <stdexcept>

#include "activations.hpp"
#include "dense_layers.hpp"

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
  const double* forward(const StepKernels&, const double*, int, const double* expectations, double*,
                        double*) const override {
    return expectations;
  }
  double* backward(const StepKernels&, const double*, int, const double*, double* of_outputs, double*, double*,
                   double*) const override {
    return of_outputs;
  }
};

// outputs = factor * expectations
class Scaled final : public Head {
 public:
  using Head::Head;
  std::size_t n_parameters() const override { return 1; }
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                        double* outputs, double*) const override {
    kernels.scale(std::size_t(K), parameters[0], count, expectations, outputs);
    return outputs;
  }
  double* backward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                   double* of_outputs, double* of_expectations, double*, double* sums) const override {
    sums[0] += kernels.product_sum(std::size_t(K), count, of_outputs, expectations);
    kernels.scale(std::size_t(K), parameters[0], count, of_outputs, of_expectations);
    return of_expectations;
  }
};

// outputs = expectations + biases
class Bias final : public Head {
 public:
  using Head::Head;
  std::size_t n_parameters() const override { return std::size_t(K); }
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                        double* outputs, double*) const override {
    kernels.shift(std::size_t(K), parameters, count, expectations, outputs);
    return outputs;
  }
  double* backward(const StepKernels& kernels, const double*, int count, const double*, double* of_outputs, double*,
                   double*, double* sums) const override {
    kernels.lane_sums(std::size_t(K), count, of_outputs, sums);
    return of_outputs;
  }
};

// Dense layers; one is the linear head
class Dense final : public Head {
 public:
  Dense(int n_observables, int n_outputs, const std::vector<int>& hidden, ActivationKind activation, bool bias)
      : Head(n_observables, n_outputs), layers_(sizes(n_observables, hidden, n_outputs), activation, kIdentity, bias) {}
  std::size_t n_parameters() const override { return layers_.n_parameters(); }
  std::size_t n_scratch() const override { return layers_.n_scratch(); }
  const double* forward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                        double*, double* scratch) const override {
    return layers_.forward(kernels, parameters, count, expectations, scratch);
  }
  double* backward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                   double* of_outputs, double* of_expectations, double* scratch, double* sums) const override {
    layers_.backward(kernels, parameters, count, expectations, of_outputs, of_expectations, scratch, sums);
    return of_expectations;
  }

 private:
  static std::vector<int> sizes(int first, std::vector<int> hidden, int last) {
    hidden.insert(hidden.begin(), first), hidden.push_back(last);
    return hidden;
  }
  DenseLayers layers_;
};

}  // namespace

std::vector<std::string> head_names() { return {"raw", "scaled", "linear", "bias", "mlp"}; }

std::unique_ptr<Head> make_head(const std::string& name, int n_observables, int n_outputs, const HeadOptions& options) {
  const bool any_number = name == "linear" || name == "mlp";
  if (!any_number && n_outputs != n_observables) throw std::invalid_argument(name + " has an output an observable");
  if (name == "raw") return std::make_unique<Raw>(n_observables, n_outputs);
  if (name == "scaled") return std::make_unique<Scaled>(n_observables, n_outputs);
  if (name == "bias") return std::make_unique<Bias>(n_observables, n_outputs);
  if (!any_number) throw std::invalid_argument("no head is called " + name);
  const std::vector<int> hidden = name == "mlp" ? options.hidden : std::vector<int>{};
  return std::make_unique<Dense>(n_observables, n_outputs, hidden, activation_of(options.activation), options.bias);
}

}  // namespace qmltrain
