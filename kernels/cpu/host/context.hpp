// Context: what all prepared shapes and executions of one engine share, and the scratch memory of its threads.
#pragma once
#include <cstddef>
#include <vector>

#include "buffer.hpp"
#include "gate_runs.hpp"
#include "kernels.hpp"
#include "plan.hpp"
#include "settings.hpp"
#include "threads.hpp"

namespace qmltrain {

// Scratch memory of one thread.
struct Worker {
  // of one kernel call
  Buffer w, sums, table, variant, phase, angles, observe;
  // of an execution
  Buffer states, bra, segment, accumulators, section_sums, unit_angles, expectation, weight, start, start_sums;
  // of a training step: angles, states and gradients of samples; values of strings; what the chain needs
  Buffer sample_inputs, string_values, chain;
  // of stretches of shared gates that are matrices: states by sample, the bra before a stretch
  Buffer by_sample, bra_before;
};

template <class Real> struct Context {
  const PlanData& plan;
  const Kernels<Real>& kernels;
  const Arithmetic& arithmetic;
  const Settings& settings;
  GateRuns& gate_runs;
  Team& team;
  std::vector<Worker>& workers;
  std::size_t lanes;  // of a vector
  int planes;         // of a row: 1 of real states
  std::size_t row_bytes;
};

}  // namespace qmltrain
