// Runs: shared angles to the values of R and D, and measured v back to slot gradients. float64, once a step.
#pragma once
#include "kernels.hpp"
#include "plan.hpp"

namespace qmltrain {

class Runs {
 public:
  Runs(const PlanData& plan, const Arithmetic& arithmetic);

  void prepare(const double* shared);

  // of run r, after prepare: U = RZ(gamma) RY(beta) RZ(alpha)
  std::vector<double> alpha, gamma;
  std::vector<double> tangent;        // tan(beta'/2), |tangent| <= 1
  std::vector<double> factor;         // |cos(beta'/2)| >= 0.7
  std::vector<double> cosine, sine;   // of beta / 2
  std::vector<std::uint8_t> turned;   // beta = beta' + pi: an X Z was split off

  int n_raw() const { return n_raw_; }
  int n_shared() const { return n_shared_; }
  std::size_t n_runs() const { return runs_.size(); }
  bool trainable(int run) const { return trainable_[run]; }
  bool real(int run) const { return runs_[run].real; }

  // raw sums (3 a run, then 1 a shared slot term) -> gradient of the shared slots, added to
  void slot_gradient(const double* raw, double* gradient);

 private:
  struct Group {
    std::vector<std::uint8_t> axes;
    bool real;
    std::vector<int> runs;
    std::size_t padded;
    std::vector<int> slots;                       // [k][padded]
    std::vector<double> coefficients, offsets;    // [k][padded]
    double *half_sine, *half_cosine;              // [k][padded], in work_
    std::size_t first;
  };
  std::vector<RunData> runs_;
  std::vector<std::uint8_t> trainable_;
  std::vector<Group> groups_;
  const Arithmetic& arithmetic_;
  int n_shared_, n_raw_;
  struct TermRow { int row, slot; double factor; };
  std::vector<TermRow> term_rows_;
  std::vector<double> storage_;
  double *angle_, *half_sine_, *half_cosine_;
  std::vector<double> scratch_storage_;
  double *scratch_;
  std::size_t longest_ = 0, most_ = 0;
};

// aligned view into a vector with 8 numbers to spare
inline double* aligned(std::vector<double>& v) {
  return reinterpret_cast<double*>((reinterpret_cast<std::uintptr_t>(v.data()) + 63) & ~std::uintptr_t(63));
}

}  // namespace qmltrain
