// The table of the stages of a training step, of one instruction set. Compiled once a set with -DVB=64|32|16
// -DSTAGES=kStagesAvx512|kStagesAvx2|kStagesBaseline; apart from kernel_table.cpp, whose code depends on what is
// compiled with it.
#include "shared_matrix.hpp"
#include "stage_losses.hpp"
#include "stage_update.hpp"

namespace {

constexpr qmltrain::StageKernels make_stages() {
  qmltrain::StageKernels k{};
  k.all_finite = all_finite;
  k.combine = combine, k.spread = spread;
  k.scale = scale;
  k.linear = linear, k.linear_back = linear_back, k.linear_sums = linear_sums;
  k.product_sum = product_sum, k.lane_sums = lane_sums;
  k.loss[qmltrain::kCrossEntropy] = cross_entropy;
  k.loss[qmltrain::kBinaryCrossEntropy] = binary_cross_entropy;
  k.loss[qmltrain::kSquaredError] = squared_error;
  k.loss[qmltrain::kHinge] = hinge;
  k.loss[qmltrain::kHuber] = huber;
  k.loss[qmltrain::kExpectation] = expectation;
  k.loss[qmltrain::kFidelity] = fidelity;
  k.squares = squares;
  k.sgd = sgd, k.adam = adam;
  return k;
}

constexpr qmltrain::StageKernels kStages = make_stages();
constexpr qmltrain::MatrixKernels<float> kSingle = make_matrix<float>();
constexpr qmltrain::MatrixKernels<double> kDual = make_matrix<double>();

}  // namespace

namespace qmltrain {
extern const StageSet STAGES;
const StageSet STAGES = {SET_NAME, &kStages, &kSingle, &kDual};
}  // namespace qmltrain
