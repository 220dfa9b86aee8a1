// Engine: takes chunks of samples through a plan, forward and backward.
//
// Samples are taken in blocks of kBlock by their index, a block in units of lanes / 2^b samples, b lane qubits. A unit
// depends on its own samples only, so its results are the same whoever computes it.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "buffer.hpp"
#include "inputs.hpp"
#include "kernels.hpp"
#include "plan.hpp"
#include "settings.hpp"
#include "step_engine.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

// Memory of states that no tape needs any more. A training makes the same tapes again and again: taken anew from the
// system, their pages would be faulted in in every step.
using StatePool = std::vector<Buffer>;

// States of one chunk between forward and backward.
struct Tape {
  explicit Tape(std::shared_ptr<StatePool> from) : pool(std::move(from)) {}
  ~Tape() {
    for (Buffer& of_bundle : states) pool->push_back(std::move(of_bundle));
  }
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  Inputs inputs;
  std::vector<double> per_sample, initial;
  std::vector<Buffer> states;   // of a bundle each
  std::shared_ptr<StatePool> pool;
};

class EngineBase : public StepEngine {
 public:
  virtual void add_shape(const PlanData& plan, int lane_bits) = 0;  // the plan, scheduled for so many lane qubits
  virtual void use_shape(int samples, int lane_bits) = 0;           // for blocks of so many samples
  virtual std::unique_ptr<Tape> forward(const Inputs& inputs, double* expectations) = 0;
  virtual void evaluate(const Inputs& inputs, double* expectations) = 0;  // no tape: a bundle's states a thread
  // Final states (B, N) of the precision in the order of basis states, of a plan without strings; no tape.
  virtual void states(const Inputs& inputs, const Readout& readout, void* states) = 0;
  virtual void backward(Tape& tape, const double* cotangents, const Gradients& out) = 0;
  virtual void expectation_gradient(const Inputs& inputs, const double* cotangents, bool per_row, double* expectations,
                                    const Gradients& out, double* gradient) = 0;
  // Ranges of operations of a plan in one pass that become matrices, in training steps and evaluations
  // (shared_blocks.hpp).
  virtual void set_blocks(const PlanData& plan, const std::vector<std::pair<int, int>>& ranges) = 0;
};

// dual: complex128, else complex64
// Throws std::invalid_argument for a set that was not compiled.
const StepKernelSet& step_kernels(const std::string& name);

// Rows of n numbers, `stride` apart, added in place along the fixed tree (neighbours in pairs, a last one passed up) into
// row 0.
void tree_sum(double* rows, int count, std::size_t n, std::size_t stride);

std::unique_ptr<EngineBase> make_engine(const PlanData& plan, const InstructionSet& set, bool dual,
                                        const Settings& settings);

}  // namespace qmltrain
