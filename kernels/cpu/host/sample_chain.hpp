// SampleChain: what a training step does with samples before, between and after the circuit's forward and backward.
//
// The engine calls it for a unit or a bundle at a time, on the thread that has it, with memory of that thread: it must
// not write anything else. What it adds up over samples goes into sums beside the raw sums of the unit, which the engine
// adds along the same tree.
#pragma once
#include "buffer.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

class SampleChain {
 public:
  virtual ~SampleChain() = default;
  // Numbers that its links add up over samples.
  virtual std::size_t n_sums() const = 0;
  // Samples `first` to `first + count` of the batch: their angles (count, S'), and their states (count, N) where the
  // circuit is amplitude-encoded.
  virtual void inputs(int first, int count, double* per_sample, double* initial, Buffer& scratch) const = 0;
  // From the expectations of a unit's strings to their cotangents, both [M][lane]; adds to sums (n_sums).
  virtual void outputs(int first, int count, const double* strings, double* cotangents, double* sums,
                       Buffer& scratch) const = 0;
  virtual bool wants_sample_gradients() const = 0;
  virtual bool wants_bras() const = 0;  // real parts of the bras at the start too, of amplitude-encoded circuits
  // From gradients of the angles of `inputs` (count, S'), of at most kSideBySide samples, and bras (count, N) where they
  // are wanted, which may be overwritten; adds to sums (n_sums).
  virtual void sample_gradients(int first, int count, const double* gradients, double* bras, double* sums,
                                Buffer& scratch) const = 0;
};

}  // namespace qmltrain
