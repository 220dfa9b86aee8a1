// InputAngles: parameters and features to the angles of slots, and slot gradients back to parameters: the chain rule
// of qmltrain/training/angles.py.
//
//   value = scale f theta[weight] + theta[bias] + offset
//
// with f = 1 for shared slots, and the value of a feature for per-sample ones; an index of -1: the weight is 1, there
// is no bias.
#pragma once
#include <cstdint>
#include <vector>

#include "batch.hpp"

namespace qmltrain {

struct AngleColumns {
  std::vector<double> scale, offset;
  std::vector<std::int64_t> weight, bias, feature;  // feature: a sample's column; per-sample slots alone
  std::size_t size() const { return scale.size(); }
};

class InputAngles {
 public:
  InputAngles(AngleColumns shared, AngleColumns per_sample);

  // Whether angles of samples depend on parameters.
  bool trainable_encoding() const { return trainable_encoding_; }
  std::size_t n_per_sample() const { return per_sample_.size(); }
  std::size_t n_sums() const { return trainable_encoding_ ? 2 * per_sample_.size() : 0; }

  // For these parameters (P): shared angles (S), and what `sample_angles` needs.
  void set(const double* parameters, double* shared);
  // (count, S') of samples that have these columns.
  void sample_angles(const SampleRows& samples, int count, double* angles) const;

  // From gradients (count, S') of these angles to those of the columns (count, n_columns), which are set.
  void column_gradients(int count, const double* gradients, std::size_t n_columns, double* columns) const;
  // Adds to sums (n_sums): of weights, then of biases.
  void add_sums(const SampleRows& samples, int count, const double* gradients, double* sums) const;
  // From shared slot gradients (S) and those sums: adds to the gradient of the circuit's parameters.
  void gradient(const double* slots, const double* sums, double* parameters) const;

 private:
  struct Target { std::size_t slot; std::int64_t parameter; double factor; };
  static std::vector<Target> targets(const std::vector<std::int64_t>& parameters, const std::vector<double>* factors);

  AngleColumns shared_, per_sample_;
  std::vector<Target> shared_weights_, shared_biases_, sample_weights_, sample_biases_;
  bool trainable_encoding_, in_order_ = true;  // in_order_: slot s takes column s
  bool shared_in_order_;                 // shared slot s is scale * theta[first_shared_ + s] + offset
  std::size_t first_shared_ = 0;
  std::vector<double> factor_, addend_;  // of per-sample slots, for the parameters of the step
};

}  // namespace qmltrain
