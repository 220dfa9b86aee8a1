// Engine: takes chunks of samples through a plan, forward and backward.
//
// Samples are taken in blocks of kBlock by their index, a block in units of lanes / 2^b samples, b lane qubits. A unit
// depends on its own samples only, so its results are the same whoever computes it.
#pragma once
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "buffer.hpp"
#include "inputs.hpp"
#include "kernels.hpp"
#include "plan.hpp"
#include "sample_chain.hpp"
#include "settings.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

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

class EngineBase {
 public:
  virtual ~EngineBase() = default;
  virtual void add_shape(const PlanData& plan, int lane_bits) = 0;  // the plan, scheduled for so many lane qubits
  virtual void use_shape(int samples, int lane_bits) = 0;           // for blocks of so many samples
  virtual std::unique_ptr<Tape> forward(const Inputs& inputs, double* expectations) = 0;
  virtual void evaluate(const Inputs& inputs, double* expectations) = 0;  // no tape: a bundle's states a thread
  virtual void backward(Tape& tape, const double* cotangents, const Gradients& out) = 0;
  virtual void expectation_gradient(const Inputs& inputs, const double* cotangents, bool per_row, double* expectations,
                                    const Gradients& out, double* gradient) = 0;
  virtual void slot_gradient(const double* total, const std::shared_ptr<const StepAngles>& angles,
                             double* gradient) = 0;
  // Forward, the chain and backward of samples `first` to `first + count` of a step's batch, `first` a multiple of
  // kBlock. block_sums (blocks, R + chain.n_sums()). Returns the largest drift, -1 where there is none (see Gradients). Throws
  // Interrupted.
  virtual double step(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                      const SampleChain& chain, double* block_sums) = 0;
  // Whether a step of so many samples takes the shared part of the circuit as one matrix (shared_matrix.hpp).
  virtual bool as_matrix(int batch, bool sample_gradients) = 0;
  virtual void work_alone(bool alone) = 0;                // whether the calling thread does everything itself
  virtual void one_bundle_at_a_time(bool one) = 0;        // all threads on its tiles: where memory is short
  virtual int threads() const = 0;
  virtual int n_raw() const = 0;
  std::function<bool()> interrupted;  // asked now and then by the calling thread
};

// dual: complex128, else complex64
// Throws std::invalid_argument for a set that was not compiled.
const StepKernelSet& step_kernels(const std::string& name);

// Rows added in place along the fixed tree (neighbours in pairs, a last one passed up) into row 0.
void tree_sum(double* rows, int count, std::size_t n);

std::unique_ptr<EngineBase> make_engine(const PlanData& plan, const InstructionSet& set, bool dual,
                                        const Settings& settings);

}  // namespace qmltrain
