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
  Buffer w, sums, contexts, table, variant, phase, turns, observe;
  Buffer lam, kept, segment, acc, unit_angles, expectation, weight;
};

template <class Real> struct Context {
  const PlanData& plan;
  const Kernels<Real>& kernels;
  const Arithmetic& arithmetic;
  const Settings& settings;
  Runs& runs;
  Team& team;
  std::vector<Worker>& workers;
  std::size_t W;          // lanes
  std::size_t row_bytes;
};

}  // namespace qmltrain
