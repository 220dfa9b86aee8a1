// Loss: see losses.hpp.
#include "losses.hpp"

#include <stdexcept>

namespace qmltrain {

namespace {

struct Named { const char* name; LossKind kind; };
constexpr Named kNames[] = {
    {"cross_entropy", kCrossEntropy}, {"binary_cross_entropy", kBinaryCrossEntropy},
    {"mean_squared_error", kSquaredError}, {"hinge", kHinge}, {"huber", kHuber}, {"expectation", kExpectation},
    {"fidelity", kFidelity}, {"unhinged", kUnhinged}, {"weighted_fidelity", kWeightedFidelity}};

alignas(64) constexpr double kOnes[] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static_assert(sizeof kOnes == kSideBySide * sizeof(double));

LossKind kind_of(const std::string& name) {
  for (const Named& one : kNames)
    if (name == one.name) return one.kind;
  throw std::invalid_argument("no loss is called " + name);
}

}  // namespace

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const Named& one : kNames) names.push_back(one.name);
  return names;
}

Loss::Loss(const std::string& name, int n_outputs, int n_classes, double delta, std::vector<double> class_weights)
    : kind_(kind_of(name)), n_outputs_(n_outputs), n_classes_(n_classes), delta_(delta),
      signs_(kind_ == kHinge || kind_ == kUnhinged || (kind_ == kSquaredError && n_classes)), class_weights_(std::move(class_weights)) {
  if (n_outputs != 1 && kind_ != kCrossEntropy && kind_ != kWeightedFidelity) throw std::invalid_argument(name + " takes one output");
}

void Loss::add(const StepKernels& kernels, const Batch& batch, const double* parameters, int first, int count,
               const double* outputs, double* cotangents, double* sums, double* scratch) const {
  double *targets = scratch, *weights = targets + kSideBySide, *used = weights + kSideBySide;
  double *values = used + kSideBySide, *hits = values + kSideBySide, *of_parameters = hits + kSideBySide;
  const bool supervised = kind_ != kExpectation && kind_ != kFidelity;
  const bool full = count == kSideBySide, weighted = !class_weights_.empty();
  for (int i = 0; i < kSideBySide && !full; i++) used[i] = i < count ? 1.0 : 0.0;
  for (int i = 0; i < kSideBySide && weighted; i++) weights[i] = 0.0;
  for (int i = 0; i < kSideBySide; i++) targets[i] = supervised && i < count ? batch.target(first + i) : 0.0;
  for (int i = 0; i < count && weighted; i++) weights[i] = class_weights_[std::size_t(targets[i])];
  for (int i = 0; i < kSideBySide && signs_; i++) targets[i] = 2.0 * targets[i] - 1.0;
  const double* ones = full ? kOnes : used;
  const LossCall call{outputs, targets, weighted ? weights : ones, ones, n_outputs_, count, n_classes_ > 0, delta_,
                      1.0 / double(batch.size), parameters, cotangents, values, hits, of_parameters};
  kernels.loss[kind_](call);
  const std::size_t P = n_parameters();
  if (P) kernels.lane_sums(P, count, of_parameters, sums);
  kernels.lane_sums(2, count, values, sums + P);  // the hits follow the values
}

}  // namespace qmltrain
