// JointEngine: training steps of a circuit that was cut into parts, each a smaller circuit on an engine of its own
// (light cones, qmltrain/fusion/reductions/light_cones.py).
//
// A part takes some of the circuit's slots and gives some of its strings. All parts go forward over a few blocks of
// samples, the chain takes the strings together, and all parts go back. Raw sums of the parts stand one after the other:
//
//   raw sums of a block   [part 0 | part 1 | ... | sums of the chain]
//
// A part's numbers depend on the block alone, so which thread has which part, and how many blocks go together, changes no
// bit.
#pragma once
#include <chrono>
#include <vector>

#include "engine.hpp"
#include "threads.hpp"

namespace qmltrain {

// Slot k of the part's circuit is slot shared[k] (per_sample[k]) of the whole, its string k is strings[k].
struct JointPart {
  EngineBase* engine;
  std::vector<int> shared, per_sample, strings;
};

class JointEngine final : public StepEngine {
 public:
  // threads: each on a part of its own; 1 where the parts have threads themselves. blocks_at_once: what memory allows.
  JointEngine(std::vector<JointPart> parts, int n_per_sample, int n_strings, int threads, int blocks_at_once);

  void slot_gradient(const double* total, const std::shared_ptr<const StepAngles>& angles, double* gradient) override;
  double step(const std::shared_ptr<const StepAngles>& angles, int first, int count, const SampleChain& chain,
              double* block_sums, bool add) override;
  bool as_matrix(int, bool) override { return false; }
  void work_alone(bool alone) override;
  void one_bundle_at_a_time(bool one) override;
  int threads() const override;
  int n_raw() const override { return n_raw_; }

 private:
  // A part with what passes between it and the whole.
  struct Member {
    JointPart part;
    int first_raw;                          // of its raw sums among all
    std::shared_ptr<StepAngles> angles[2];  // its engine tells steps apart by them: two take turns
    std::unique_ptr<Tape> tape;
    std::vector<double> per_sample, strings, sums, gradients, drift;
    std::vector<double> slots;
    double largest_drift;
  };

  void gather(const std::shared_ptr<const StepAngles>& angles);
  void forward(Member& member, int count);
  void backward(Member& member, int count, bool sample_gradients);
  double chunk(int first, int count, const SampleChain& chain, double* block_sums);
  template <class Job> void each_member(Job job);

  std::vector<Member> members_;
  const int n_per_sample_, n_strings_, blocks_at_once_;
  int n_raw_ = 0, turn_ = 0;
  Team team_;
  std::chrono::steady_clock::time_point asked_;  // whether to go on
  std::shared_ptr<const StepAngles> gathered_;
  std::vector<double> per_sample_, gradients_;
  Buffer strings_, cotangents_, scratch_;  // of a few blocks, [block][string][lane]: aligned for kernels
};

}  // namespace qmltrain
