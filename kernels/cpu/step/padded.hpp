// Padded: an array of float64 that kernels may take whole vectors of: 64-byte aligned, zeros up to a multiple of
// kPadding.
#pragma once
#include <algorithm>
#include <cstddef>

#include "../host/buffer.hpp"
#include "step_kernels.hpp"

namespace qmltrain {

class Padded {
 public:
  explicit Padded(std::size_t size = 0) { resize(size); }
  // All zeros afterwards.
  void resize(std::size_t size) {
    size_ = size, padded_ = (size + kPadding - 1) / kPadding * kPadding;
    buffer_.reserve((padded_ + kPadding) * sizeof(double));
    std::fill_n(data(), padded_, 0.0);
  }
  double* data() const { return buffer_.as<double>(); }
  double& operator[](std::size_t i) const { return data()[i]; }
  std::size_t size() const { return size_; }
  std::size_t padded() const { return padded_; }

 private:
  Buffer buffer_;
  std::size_t size_ = 0, padded_ = 0;
};

}  // namespace qmltrain
