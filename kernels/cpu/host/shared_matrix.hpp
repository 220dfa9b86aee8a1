// SharedMatrix: the shared part of a small circuit as one matrix, applied to the samples instead of its gates.
//
// Where samples enter in the initial state alone (an angle or amplitude encoding before the ansatz), everything after
// it is one matrix S, the same for all samples: psi = S psi_0. It is had by taking the N = 2^n basis states through
// the circuit as if they were samples. With many more samples than that, S psi_0 costs less than the gates:
//
//   forward    S from the basis states; of each sample psi = S psi_0, 2 N^2 multiply-adds
//   chain      expectations, head, loss, cotangents, bra = sum_m c_m O_m psi, as ever
//   backward   dL/dS is sum_b bra_b psi_0b^T, again 2 N^2 multiply-adds a sample: its column k is the bra that goes
//              with basis state k, and going back through the circuit with these N states gives the raw sums of all
//              samples
//
// (psi_0 is real.) All of it in the scaled form and the frame of the shape, as the states themselves. Sums over
// samples are taken in at most kSets sets of units, whatever the number of threads, and lane by lane, then set by set,
// then over the lanes: the same bits whoever computes.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "execution.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

template <class Real> class SharedMatrix {
 public:
  static constexpr int kSets = 4;
  static constexpr int kMostQubits = 5;  // with more, the sums of bra psi_0^T leave the second cache

  SharedMatrix(const Context<Real>& context, const MatrixKernels<Real>& kernels)
      : context_(context), kernels_(kernels) {}

  // Whether so many units cost less this way: counted in multiply-adds of a unit's vectors, whatever the machine. The
  // factors are those of measured times; what decides must not depend on the day.
  bool worth(const PreparedShape<Real>& prepared, int units) {
    const Shape& s = prepared.shape;
    if (s.n_qubits > kMostQubits || context_.plan.real) return false;
    if (looked_at_ != &prepared) looked_at_ = &prepared, possible_ = possible(prepared);
    if (!possible_) return false;
    const double N = double(std::size_t(1) << s.n_qubits), columns = double(column_units(std::size_t(N)));
    const double rotations = double(s.rotations.size() - s.initial.size()), diagonals = double(s.stages.size());
    const double gates = N * (kRotation * rotations + kDiagonal * diagonals), matrix = kElement * N * N;
    return double(units) * (gates - matrix) > columns * gates + kReduction * N * N;
  }

  // S, for the angles that the shape is prepared for. The execution's states stay for `backward`.
  void forward(const PreparedShape<Real>& prepared, const std::shared_ptr<const StepAngles>& angles, Worker& worker,
               const std::function<void(bool)>& check) {
    const std::size_t N = std::size_t(1) << prepared.shape.n_qubits;
    if (identity_.size() != N * N) {
      identity_.assign(N * N, 0);
      for (std::size_t k = 0; k < N; k++) identity_[k * N + k] = 1;
      no_angles_.assign(N * std::size_t(context_.plan.n_per_sample), 0);
      columns_ = {0, 0, 0, {}};
      for (std::size_t first = 0; first < N; first += context_.lanes)
        columns_.unit[columns_.count++] = {0, 0, int(first), int(std::min(context_.lanes, N - first))};
    }
    states_.reserve(prepared.unit_bytes() * std::size_t(columns_.count));
    inputs_ = {int(N), angles, no_angles_.data(), identity_.data()};
    Execution<Real> execution{context_, prepared, columns_, inputs_, worker, true, states_.get(), check};
    execution.forward();
    matrix_ = execution.stored(prepared.stored_states() - 1), stride_ = prepared.unit_bytes();
    sums_.reserve(kSets * set_numbers(N) * sizeof(Real));
  }

  // psi of the bundle's units from their initial states; both are among the states of the execution.
  void apply(Execution<Real>& execution) const {
    execution.load_angles();
    char *in = execution.stored(0), *out = execution.stored(execution.prepared.stored_states() - 1);
    for (int u = 0; u < execution.units; u++, in += execution.psi_stride, out += execution.psi_stride) {
      execution.write_initial(u, in);
      kernels_.apply(matrix_, stride_, execution.rows, in, out);
    }
  }

  // Adds the bundle to a set of sums; fresh: its first.
  void add(const Execution<Real>& execution, int set, bool fresh) {
    Real* sums = sums_.template as<Real>() + set_numbers(execution.rows) * std::size_t(set);
    kernels_.outer(execution.rows, execution.units, execution.bra, execution.bra_stride, execution.stored(0),
                   execution.psi_stride, sums, fresh);
  }

  // Raw sums of all bundles, added to sums (R).
  void backward(const PreparedShape<Real>& prepared, int sets, Worker& worker, const std::function<void(bool)>& check,
                double* sums) {
    Execution<Real> execution{context_, prepared, columns_, inputs_, worker, true, states_.get(), check};
    worker.bra.reserve(execution.bra_stride * std::size_t(execution.units) + execution.kSkew * context_.row_bytes);
    execution.psi = matrix_;
    execution.bra = worker.bra.get() + execution.kSkew * context_.row_bytes;
    kernels_.columns(execution.rows, sums_.template as<Real>(), std::size_t(sets), set_numbers(execution.rows),
                     execution.bra, execution.bra_stride);
    execution.backward({}, sums, 0, nullptr);
  }

 private:
  // Whether samples enter in the initial state alone.
  static bool possible(const PreparedShape<Real>& prepared) {
    const Shape& s = prepared.shape;
    if (s.lane_bits || !prepared.keep || s.passes.size() != 1 || !s.start.empty()) return false;
    for (std::size_t i = 0; i < s.rotations.size(); i++) {
      const bool initial = std::find(s.initial.begin(), s.initial.end(), int(i)) != s.initial.end();
      const int run = s.rotations[i].sample_index;
      if (initial != (run >= 0) || (run >= 0 && s.sample_runs[std::size_t(run)].has_shared)) return false;
    }
    for (const DiagonalStage& stage : s.stages)
      if (!stage.diagonal.sample_terms.empty() || stage.exchanges || !stage.lanes.empty()) return false;
    return true;
  }

  // What they cost, forward and back: a rotation and a diagonal for each row of the state, an element of S for each
  // unit, and once for the sums over sets and lanes. One is about 0.15 ns of a Zen 5 with AVX-512 (2 to 5 qubits, 1 to
  // 30 layers, 32 to 256 samples): it took 0.96 to 2.7 times less time wherever this says that it is worth it.
  static constexpr double kRotation = 8, kDiagonal = 14, kElement = 8.5, kReduction = 40;

  std::size_t column_units(std::size_t N) const { return (N + context_.lanes - 1) / context_.lanes; }
  std::size_t set_numbers(std::size_t N) const { return 2 * N * column_units(N) * context_.lanes * context_.lanes; }

  const Context<Real>& context_;
  const MatrixKernels<Real>& kernels_;
  std::vector<double> identity_, no_angles_;
  Bundle columns_{};
  Inputs inputs_{};
  Buffer states_, sums_;
  char* matrix_ = nullptr;
  std::size_t stride_ = 0;
  const PreparedShape<Real>* looked_at_ = nullptr;  // whether it is possible there
  bool possible_ = false;
};

}  // namespace qmltrain
