// StepEngine: what a training step needs of an engine, whether that is one or several joined (joint_engine.hpp).
#pragma once
#include <functional>
#include <memory>
#include <stdexcept>

#include "inputs.hpp"
#include "sample_chain.hpp"

namespace qmltrain {

struct Interrupted : std::runtime_error {
  Interrupted() : std::runtime_error("interrupted") {}
};

class StepEngine {
 public:
  virtual ~StepEngine() = default;
  virtual void slot_gradient(const double* total, const std::shared_ptr<const StepAngles>& angles,
                             double* gradient) = 0;
  // Forward, the chain and backward of samples `first` to `first + count` of a step's batch, `first` a multiple of
  // kBlock. block_sums (blocks, R + chain.n_sums()): a row for each block, or, with `add`, all of them added along the
  // fixed tree into row 0, which a batch as one matrix needs. Returns the largest drift, -1 where there is none (see
  // Gradients). Throws Interrupted.
  virtual double step(const std::shared_ptr<const StepAngles>& angles, int first, int count,
                      const SampleChain& chain, double* block_sums, bool add) = 0;
  // Whether a step of so many samples takes the shared part of the circuit as one matrix (shared_matrix.hpp).
  virtual bool as_matrix(int batch, bool sample_gradients) = 0;
  virtual void work_alone(bool alone) = 0;                // whether the calling thread does everything itself
  virtual void one_bundle_at_a_time(bool one) = 0;        // all threads on its tiles: where memory is short
  virtual int threads() const = 0;
  virtual int n_raw() const = 0;
  std::function<bool()> interrupted;  // asked now and then by the calling thread
};

}  // namespace qmltrain
