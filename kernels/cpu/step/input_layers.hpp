// InputLayers: trainable layers before the circuit, and what amplitudes and angles take of their outputs; the formulas
// of qmltrain/training/input_layers.py.
//
//   x (I) --dense layers--> features scale a_L (F) --> columns f(features): a feature, its arccos, a product
//
// At most kSideBySide samples at a time. Nothing is kept between forward and backward: the layers are gone through
// again, which is little beside the circuit.
#pragma once
#include <cstdint>
#include <vector>

#include "batch.hpp"
#include "dense_layers.hpp"

namespace qmltrain {

class InputLayers {
 public:
  // f of features: x, arccos x, or the product of (centre - x) over indices
  struct Column {
    enum Kind { kLinear, kArccos, kProduct } kind;
    std::vector<std::int64_t> indices;
    double centre;
  };

  InputLayers(const std::vector<int>& sizes, ActivationKind activation, bool bias, double scale,
              std::vector<Column> columns)
      : layers_(sizes, activation, activation, bias), n_in_(std::size_t(sizes.front())),
        n_out_(std::size_t(sizes.back())), scale_(scale), columns_(std::move(columns)) {}

  std::size_t n_parameters() const { return layers_.n_parameters(); }
  std::size_t n_columns() const { return columns_.size(); }
  // Numbers that `columns` leaves for `backward`, and what this needs itself; 64-byte aligned.
  std::size_t n_scratch() const { return (n_in_ + 2 * n_out_) * kSideBySide + layers_.n_scratch(); }

  // (count, n_columns) of samples first .. first + count.
  void columns(const StepKernels& kernels, const double* parameters, const Batch& batch, int first, int count,
               double* columns, double* scratch) const;
  // From gradients of the columns (count, n_columns): adds to the gradient of the parameters, summed over samples.
  void backward(const StepKernels& kernels, const double* parameters, int count, const double* gradients,
                double* scratch, double* sums) const;

 private:
  double* features(double* scratch) const { return scratch + n_in_ * kSideBySide; }
  double* cotangents(double* scratch) const { return features(scratch) + n_out_ * kSideBySide; }
  double* of_layers(double* scratch) const { return cotangents(scratch) + n_out_ * kSideBySide; }

  DenseLayers layers_;
  std::size_t n_in_, n_out_;
  double scale_;
  std::vector<Column> columns_;
};

}  // namespace qmltrain
