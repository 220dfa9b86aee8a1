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

  static constexpr std::size_t kScratch = 5 * kSideBySide;  // numbers that `add` needs
  static constexpr std::size_t kSums = 2;                   // loss, hits
  int n_outputs() const { return n_outputs_; }
  // Of samples first .. first + count, at most kSideBySide: fills cotangents [C][lane] of the mean over the batch, adds
  // their losses and hits to sums (kSums).
  void add(const StepKernels& kernels, const Batch& batch, int first, int count, const double* outputs,
           double* cotangents, double* sums, double* scratch) const;

 private:
  LossKind kind_;
  int n_outputs_, n_classes_;
  double delta_;
  bool signs_;  // the two classes are -1 and 1 in the formula
  std::vector<double> class_weights_;
};

std::vector<std::string> loss_names();

}  // namespace qmltrain
