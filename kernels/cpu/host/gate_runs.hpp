// GateRuns: shared angles to tangents |t| <= 1 and phases, and raw sums back to slot gradients. float64, once per step.
//
// The chain rule of a merged gate run, with `euler` and `chain` of simd/arithmetic.hpp; qmltrain/engines/plan_values.py
// is the same in NumPy, for the engines without C++. Whoever changes one changes the other.
#pragma once
#include "kernels.hpp"
#include "plan.hpp"

namespace qmltrain {

class GateRuns {
 public:
  GateRuns(const PlanData& plan, const Arithmetic& arithmetic);
  GateRuns(const GateRuns&) = delete;
  GateRuns& operator=(const GateRuns&) = delete;

  void prepare(const double* shared);

  // Of gate run r, after prepare: U = RZ(gamma) RY(beta) RZ(alpha). Where |tan(beta / 2)| > 1 an XZ is split off and
  // beta' = beta - pi is left to rotate by; else beta' = beta.
  double *alpha = nullptr, *gamma = nullptr;
  std::vector<double> tangent;         // tan(beta' / 2), |tangent| <= 1
  std::vector<double> factor;          // |cos(beta' / 2)| >= 0.7
  std::vector<double> cosine, sine;    // of beta / 2
  std::vector<std::uint8_t> split_xz;  // whether an XZ was split off

  int n_raw() const { return n_raw_; }
  bool trainable(int run) const { return trainable_[run]; }
  bool real(int run) const { return gate_runs_[run].real; }
  int sample_row(int angle) const { return sample_row_[angle]; }  // raw row of a shared angle of a per-sample run, or -1
  // after prepare: slots, a 0, alpha of each gate run, gamma of each; where those of an AngleSource begin
  const double* values() const { return values_.data(); }
  std::size_t place_of(int source, int index) const {
    const std::size_t zero = std::size_t(n_shared_), n = gate_runs_.size();
    return std::size_t(index) + (source == kSlot ? 0 : source == kAlpha ? zero + 1 : zero + 1 + n);
  }
  std::size_t zero_place() const { return std::size_t(n_shared_); }

  // raw sums (v_x, v_y, v_z of each gate run, then one of each shared slot term, then one of each shared angle of a
  // per-sample gate run) -> gradient of the shared slots, added to
  void slot_gradient(const double* raw, double* gradient);

 private:
  // Gate runs of one sequence of axes, worked out together: arrays [rotation of the run][padded number of runs].
  struct SameAxes {
    std::vector<std::uint8_t> axes;
    bool real;
    std::vector<int> runs;
    std::size_t padded;                         // how many runs, rounded up to a multiple of 8
    std::vector<int> slots;                     // -1: constant
    std::vector<int> places;                    // the same in values_
    std::vector<double> coefficients, offsets;
    double *half_sine, *half_cosine;            // in storage_
    std::size_t first;                          // its part of storage_
  };
  struct TermRow { int row, slot; double factor; };  // of one shared angle: its raw sum, slot and d angle / d slot

  std::vector<GateRunData> gate_runs_;
  std::vector<std::uint8_t> trainable_;
  std::vector<int> sample_row_;
  int n_shared_;
  std::vector<double> values_;
  std::vector<SameAxes> groups_;
  const Arithmetic& arithmetic_;
  int n_raw_;
  std::vector<TermRow> term_rows_;
  std::vector<double> storage_, scratch_storage_;
  double *half_angle_, *half_sine_, *half_cosine_;  // of all groups, in storage_
  double* scratch_;                                 // rows of longest_ numbers
  std::size_t longest_ = 0;                         // most runs of a group, padded
};

}  // namespace qmltrain
