// Loss: values, cotangents and hits of a unit's samples; the losses of qmltrain/training/losses.py.
#pragma once
#include <string>
#include <vector>

#include "step_kernels.hpp"
#include "batch.hpp"

namespace qmltrain {

class Loss {
 public:
  // n_classes 0: regression. delta: of `huber`. class_weights (n_classes), or empty: all 1. Throws
  // std::invalid_argument for a name that is not known.
  Loss(const std::string& name, int n_outputs, int n_classes, double delta, std::vector<double> class_weights);

  int n_outputs() const { return n_outputs_; }
  std::size_t n_parameters() const { return kind_ == kWeightedFidelity ? 2 * std::size_t(n_outputs_) : 0; }
  std::size_t n_scratch() const { return (5 + n_parameters()) * kSideBySide; }  // numbers that `add` needs
  std::size_t n_sums() const { return n_parameters() + 2; }  // gradient of its parameters, loss, hits
  // Of samples first .. first + count, at most kSideBySide: fills cotangents [C][lane] of the mean over the batch, adds
  // to sums (n_sums).
  void add(const StepKernels& kernels, const Batch& batch, const double* parameters, int first, int count,
           const double* outputs, double* cotangents, double* sums, double* scratch) const;

 private:
  LossKind kind_;
  int n_outputs_, n_classes_;
  double delta_;
  bool signs_;  // the two classes are -1 and 1 in the formula
  std::vector<double> class_weights_;
};

std::vector<std::string> loss_names();

}  // namespace qmltrain
