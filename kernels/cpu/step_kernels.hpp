// The second border between host code and instruction sets: what a training step does with the samples of a unit
// around the circuit (observables, head, loss), and with the parameters (norms, optimisers). Plain data and a table of
// function pointers, as in kernels.hpp.
//
// Words and letters
//   lanes    the samples of a unit side by side: every quantity of samples is an array [quantity][kSideBySide] of
//            float64, 64-byte aligned, whose lanes from `count` on are zeros or finite numbers of no meaning
//   M, K, C  Pauli strings, observables, outputs of the head
//   P        parameters
#pragma once
#include <cstddef>
#include <cstdint>

namespace qmltrain {

constexpr int kSideBySide = 16;  // kBlock: a unit has at most so many samples

// A sparse matrix by rows: entries start[i] .. start[i + 1] of row i.
struct SparseRows {
  std::size_t n_rows, n_columns;
  const std::int32_t *start, *column;
  const double* value;
};

enum ActivationKind { kIdentity, kTanh, kRelu, kSigmoid, kActivationKinds };

enum LossKind {
  kCrossEntropy,        // log sum_c exp(o_c) - o_target
  kBinaryCrossEntropy,  // log(1 + exp(z)) - target z
  kSquaredError,        // (o - target)^2
  kHinge,               // max(0, 1 - s o)
  kHuber,               // d^2 / 2 for |d| <= delta, else delta (|d| - delta / 2)
  kExpectation,         // o
  kFidelity,            // 1 - o
  kUnhinged,            // 1 - s o
  kWeightedFidelity,    // 1/2 sum_k (a_0k (1 - o_k) / 2 - [target 0])^2 + (a_1k (1 + o_k) / 2 - [target 1])^2
  kLossKinds,
};

struct LossCall {
  const double* outputs;     // [C][lane]
  const double* targets;     // [lane]: numbers of classes, or values; -1 and 1 for kHinge, kUnhinged, kSquaredError of classes
  const double* weights;     // [lane]: of the sample's class, 0 for lanes without a sample
  const double* used;        // [lane]: 1, 0 for lanes without a sample
  int n_outputs, count;
  bool classes;              // hits are counted
  double delta;              // kHuber
  double inverse_batch;
  const double* parameters;  // kWeightedFidelity: a_0k, then a_1k
  double* cotangents;        // [C][lane]: of the mean over the batch
  double* values;            // [lane]
  double* hits;              // [lane]: 1 where the prediction is the target
  double* of_parameters;     // [parameter][lane]: derivatives by the parameters, of the mean over the batch
};

// One step of an optimiser. Arrays (P,) are padded with zeros to a multiple of kPadding, and all but `frozen` 64-byte
// aligned.
constexpr std::size_t kPadding = 8;
struct UpdateCall {
  std::size_t n;                // padded
  double* parameters;
  const double* gradient;       // times `clip`
  double clip;
  const std::int64_t* frozen;   // -1: the parameter stays as it is, else 0; nullptr: all are trained
  double *first, *second;       // moments of Adam; first: the velocity of SGD with momentum, nullptr without
  double learning_rate, momentum, weight_decay;
  double beta_1, beta_2, epsilon, correction_1, correction_2;  // corrections: 1 - beta^t
};

struct StepKernels {
  // Whether no number is NaN or infinite: by its bits, so that no compiler flag can optimise it away.
  bool (*all_finite)(const double* numbers, std::size_t n);
  // out [row][lane] = constant[row] + sum of the row's entries times in [column][lane]; back: in += entries times out
  void (*combine)(const SparseRows& rows, const double* constant, int count, const double* in, double* out);
  void (*spread)(const SparseRows& rows, int count, const double* out, double* in);
  // scaled head: out = factor in, for n quantities
  void (*scale)(std::size_t n, double factor, int count, const double* in, double* out);
  // dense layer: out_c = bias_c + sum_k weight_ck in_k (bias nullptr: 0); back: in_k = sum_c weight_ck out_c
  void (*linear)(int n_in, int n_out, const double* weight, const double* bias, int count, const double* in,
                 double* out);
  void (*linear_back)(int n_in, int n_out, const double* weight, int count, const double* out, double* in);
  // sums_ck += sum over lanes of out_c in_k
  void (*linear_sums)(int n_in, int n_out, int count, const double* out, const double* in, double* sums);
  // bias head: out = in + the quantity's number, for n quantities
  void (*shift)(std::size_t n, const double* numbers, int count, const double* in, double* out);
  // of n quantities: out = f(in), which may be the same array; back: cotangents *= f', from the values out = f(in)
  void (*activate[kActivationKinds])(std::size_t n, int count, const double* in, double* out);
  void (*activate_back[kActivationKinds])(std::size_t n, int count, const double* out, double* cotangents);
  // sum over quantities and lanes of a b
  double (*product_sum)(std::size_t n, int count, const double* a, const double* b);
  // sums[i] += sum over lanes of quantity i
  void (*lane_sums)(std::size_t n, int count, const double* in, double* sums);
  void (*loss[kLossKinds])(const LossCall& call);
  // squares[i] = numbers[i]^2, n padded; returns their sum
  double (*squares)(std::size_t n, const double* numbers, double* squares);
  void (*sgd)(const UpdateCall& call);
  void (*adam)(const UpdateCall& call);
};

// The shared part of a small circuit as one matrix, see host/shared_matrix.hpp. N rows and columns; rows of states and
// lanes as in kernels.hpp. Column k of the matrix is lane k % W of unit k / W: states of the units at `stride` bytes.
template <class Real> struct MatrixKernels {
  // out = matrix in, of one unit's states, whose imaginary parts are 0
  void (*apply)(const char* matrix, std::size_t stride, std::size_t N, const char* in, char* out);
  // sums [row][real, imaginary][column][lane] += bra in, of `units` units at these strides of bytes; fresh: =
  void (*outer)(std::size_t N, int units, const char* bra, std::size_t bra_stride, const char* in,
                std::size_t in_stride, Real* sums, bool fresh);
  // Columns of bra: sums over lanes of n sets of sums, set_stride numbers apart, added in their order
  void (*columns)(std::size_t N, const Real* sums, std::size_t n, std::size_t set_stride, char* bra,
                  std::size_t stride);
};

// Stretches of shared gates as matrices, see host/shared_blocks.hpp. States of the units of a bundle lie at strides of
// bytes; [1]: those that are multiplied with the matrix have imaginary parts. N rows, N columns, padded to whole vectors.
template <class Real> struct BlockKernels {
  int rows;  // of a tile of the matrix: 2 at least
  // out = M in. matrix: tiles of `rows` rows (the last one of what is left), each [column][row][re, im]
  void (*product[2])(const Real* matrix, std::size_t N, int units, const char* in, std::size_t in_stride, char* out,
                     std::size_t out_stride);
  // states by sample: out [unit][lane][re, im if there are][padded]
  void (*transpose[2])(std::size_t N, int units, const char* in, std::size_t in_stride, Real* out);
  // sums [row][re, im][padded] += sum over samples of bra_row conj(in_column), in as `transpose` gives it
  void (*outer[2])(std::size_t N, int units, const char* bra, std::size_t bra_stride, const Real* in, Real* sums);
};

struct StepKernelSet {
  const char* name;  // as InstructionSet::name
  const StepKernels* kernels;
  const MatrixKernels<float>* single;
  const MatrixKernels<double>* dual;
  const BlockKernels<float>* single_blocks;
  const BlockKernels<double>* dual_blocks;
};
extern const StepKernelSet kStepKernelsBaseline, kStepKernelsAvx2, kStepKernelsAvx512;

}  // namespace qmltrain
