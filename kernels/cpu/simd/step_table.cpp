// The table of the kernels around the circuit of a training step, of one instruction set. Compiled once a set with
// -DVB=64|32|16 -DSTEP_KERNELS=kStepKernelsAvx512|kStepKernelsAvx2|kStepKernelsBaseline; apart from kernel_table.cpp,
// whose code depends on what is compiled with it.
#include "shared_blocks.hpp"
#include "shared_matrix.hpp"
#include "step_activations.hpp"
#include "step_losses.hpp"
#include "step_update.hpp"

namespace {

constexpr qmltrain::StepKernels make_step_kernels() {
  qmltrain::StepKernels k{};
  k.all_finite = all_finite;
  k.combine = combine, k.spread = spread;
  k.scale = scale, k.shift = shift;
  k.linear = linear, k.linear_back = linear_back, k.linear_sums = linear_sums;
  k.activate[qmltrain::kIdentity] = identity, k.activate_back[qmltrain::kIdentity] = identity_back;
  k.activate[qmltrain::kTanh] = hyperbolic_tangent, k.activate_back[qmltrain::kTanh] = hyperbolic_tangent_back;
  k.activate[qmltrain::kRelu] = rectifier, k.activate_back[qmltrain::kRelu] = rectifier_back;
  k.activate[qmltrain::kSigmoid] = sigmoid, k.activate_back[qmltrain::kSigmoid] = sigmoid_back;
  k.product_sum = product_sum, k.lane_sums = lane_sums;
  k.loss[qmltrain::kCrossEntropy] = cross_entropy;
  k.loss[qmltrain::kBinaryCrossEntropy] = binary_cross_entropy;
  k.loss[qmltrain::kSquaredError] = squared_error;
  k.loss[qmltrain::kHinge] = hinge;
  k.loss[qmltrain::kHuber] = huber;
  k.loss[qmltrain::kExpectation] = expectation;
  k.loss[qmltrain::kFidelity] = fidelity;
  k.loss[qmltrain::kUnhinged] = unhinged;
  k.loss[qmltrain::kWeightedFidelity] = weighted_fidelity;
  k.squares = squares;
  k.sgd = sgd, k.adam = adam;
  return k;
}

constexpr qmltrain::StepKernels kStepKernels = make_step_kernels();
constexpr qmltrain::MatrixKernels<float> kSingle = make_matrix<float>();
constexpr qmltrain::MatrixKernels<double> kDual = make_matrix<double>();
constexpr qmltrain::BlockKernels<float> kSingleBlocks = make_blocks<float>();
constexpr qmltrain::BlockKernels<double> kDualBlocks = make_blocks<double>();

}  // namespace

namespace qmltrain {
extern const StepKernelSet STEP_KERNELS;
const StepKernelSet STEP_KERNELS = {SET_NAME, &kStepKernels, &kSingle, &kDual, &kSingleBlocks, &kDualBlocks};
}  // namespace qmltrain
