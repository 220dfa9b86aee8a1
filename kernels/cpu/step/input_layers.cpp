// InputLayers: see input_layers.hpp.
#include "input_layers.hpp"

#include <algorithm>
#include <cmath>

namespace qmltrain {

void InputLayers::columns(const StepKernels& kernels, const double* parameters, const Batch& batch, int first,
                          int count, double* columns, double* scratch) const {
  double *in = scratch, *features = this->features(scratch);
  if (count < kSideBySide) std::fill_n(in, n_in_ * kSideBySide, 0.0);
  for (int i = 0; i < count; i++) {
    const double* x = batch.sample(first + i);
    for (std::size_t k = 0; k < n_in_; k++) in[k * kSideBySide + std::size_t(i)] = x[k];
  }
  const double* outputs = layers_.forward(kernels, parameters, count, in, of_layers(scratch));
  kernels.scale(n_out_, scale_, count, outputs, features);
  for (int i = 0; i < count; i++) {
    const double* feature = features + i;
    for (const Column& column : columns_) {
      double value = feature[std::size_t(column.indices[0]) * kSideBySide];
      if (column.kind == Column::kArccos) value = std::acos(value);
      if (column.kind == Column::kProduct) {
        value = 1;
        for (const std::int64_t k : column.indices) value *= column.centre - feature[std::size_t(k) * kSideBySide];
      }
      *columns++ = value;
    }
  }
}

void InputLayers::backward(const StepKernels& kernels, const double* parameters, int count, const double* gradients,
                           double* scratch, double* sums) const {
  double *features = this->features(scratch), *cotangents = this->cotangents(scratch);
  std::fill_n(cotangents, n_out_ * kSideBySide, 0.0);
  for (int i = 0; i < count; i++) {
    const double* feature = features + i;
    double* cotangent = cotangents + i;
    for (const Column& column : columns_) {
      const double gradient = scale_ * *gradients++;
      if (column.kind == Column::kProduct) {
        for (std::size_t j = 0; j < column.indices.size(); j++) {
          double others = -gradient;
          for (std::size_t k = 0; k < column.indices.size(); k++)
            if (k != j) others *= column.centre - feature[std::size_t(column.indices[k]) * kSideBySide];
          cotangent[std::size_t(column.indices[j]) * kSideBySide] += others;
        }
        continue;
      }
      const std::size_t at = std::size_t(column.indices[0]) * kSideBySide;
      const double x = feature[at];
      cotangent[at] += column.kind == Column::kLinear ? gradient
                                                      : -gradient / std::sqrt(std::max(1e-300, 1 - x * x));
    }
  }
  layers_.backward(kernels, parameters, count, scratch, cotangents, nullptr, of_layers(scratch), sums);
}

}  // namespace qmltrain
