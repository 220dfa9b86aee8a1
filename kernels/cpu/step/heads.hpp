// Observables and heads: from expectations of Pauli strings to outputs, and cotangents back.
//
//   strings (M) --Observables--> expectations (K) --Head--> outputs (C)
//
// Values of samples are [quantity][lane], see step_kernels.hpp. The heads are those of qmltrain/training/heads.py.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "step_kernels.hpp"

namespace qmltrain {

// Sums of strings: expectation_k = constant_k + sum_m coefficient_km string_m.
class Observables {
 public:
  // entries start[k] .. start[k + 1] belong to observable k
  Observables(std::size_t n_strings, std::vector<std::int32_t> start, std::vector<std::int32_t> column,
              std::vector<double> value, std::vector<double> constant);
  std::size_t n_strings() const { return n_strings_; }
  std::size_t size() const { return constant_.size(); }
  // Whether they are the strings themselves, so that nothing is to be done.
  bool plain() const { return plain_; }
  void forward(const StepKernels& kernels, int count, const double* strings, double* expectations) const {
    kernels.combine(rows(), constant_.data(), count, strings, expectations);
  }
  void backward(const StepKernels& kernels, int count, const double* expectations, double* strings) const {
    kernels.spread(rows(), count, expectations, strings);
  }

 private:
  SparseRows rows() const { return {size(), n_strings_, start_.data(), column_.data(), value_.data()}; }
  std::size_t n_strings_;
  std::vector<std::int32_t> start_, column_;
  std::vector<double> value_, constant_;
  bool plain_;
};

class Head {
 public:
  Head(int n_observables, int n_outputs) : K(n_observables), C(n_outputs) {}
  virtual ~Head() = default;
  virtual std::size_t n_parameters() const = 0;
  virtual std::size_t n_scratch() const { return 0; }  // numbers that `forward` leaves for `backward`
  // Outputs from expectations; where they are the same numbers, what is given is returned.
  virtual const double* forward(const StepKernels& kernels, const double* parameters, int count,
                                const double* expectations, double* outputs, double* scratch) const = 0;
  // From cotangents of the outputs, which may be overwritten, to those of the expectations, as `forward`; adds the
  // gradient of the parameters, summed over samples, to sums.
  virtual double* backward(const StepKernels& kernels, const double* parameters, int count, const double* expectations,
                           double* of_outputs, double* of_expectations, double* scratch, double* sums) const = 0;

 protected:
  const int K, C;
};

std::vector<std::string> head_names();

// Of dense heads: sizes of inner layers, their activation, whether there are biases.
struct HeadOptions {
  std::vector<int> hidden;
  std::string activation;
  bool bias;
};
// Throws std::invalid_argument for a name that is not known.
std::unique_ptr<Head> make_head(const std::string& name, int n_observables, int n_outputs, const HeadOptions& options);

}  // namespace qmltrain
