// Updates of parameters: one step of SGD, Adam and AdamW, as in qmltrain/training/optimizers.py, which judges these.
#pragma once
#include "exponential.hpp"
#include "step_kernels.hpp"

namespace {

using qmltrain::UpdateCall;

INLINE VD& at(double* numbers, std::size_t i) { return *reinterpret_cast<VD*>(numbers + i); }
INLINE const VD& at(const double* numbers, std::size_t i) { return *reinterpret_cast<const VD*>(numbers + i); }

double squares(std::size_t n, const double* numbers, double* out) {
  VD sum{};
  for (std::size_t i = 0; i < n; i += kDoubles) {
    const VD square = at(numbers, i) * at(numbers, i);
    at(out, i) = square;
    sum += square;
  }
  return horizontal(sum);
}

typedef std::int64_t FrozenMask __attribute__((vector_size(VB), aligned(8)));  // not aligned

INLINE void set_parameters(const UpdateCall& call, std::size_t i, VD moved) {
  VD& parameters = at(call.parameters, i);
  parameters = call.frozen ? pick(VL(*reinterpret_cast<const FrozenMask*>(call.frozen + i)), parameters, moved) : moved;
}

// v <- momentum v + g + decay theta, theta <- theta - rate v
void sgd(const UpdateCall& call) {
  for (std::size_t i = 0; i < call.n; i += kDoubles) {
    const VD theta = at(call.parameters, i);
    VD direction = at(call.gradient, i) * call.clip + theta * call.weight_decay;
    if (call.first) direction = at(call.first, i) = at(call.first, i) * call.momentum + direction;
    set_parameters(call, i, theta - direction * call.learning_rate);
  }
}

// m <- beta_1 m + (1 - beta_1) g, v <- beta_2 v + (1 - beta_2) g^2,
// theta <- (1 - rate decay) theta - rate m^ / (sqrt(v^) + epsilon), m^ = m / (1 - beta_1^t), v^ = v / (1 - beta_2^t)
void adam(const UpdateCall& call) {
  const double keep = 1.0 - call.learning_rate * call.weight_decay;
  for (std::size_t i = 0; i < call.n; i += kDoubles) {
    const VD g = at(call.gradient, i) * call.clip;
    const VD m = at(call.first, i) = at(call.first, i) * call.beta_1 + g * (1.0 - call.beta_1);
    const VD v = at(call.second, i) = at(call.second, i) * call.beta_2 + (g * g) * (1.0 - call.beta_2);
    const VD length = root(v / call.correction_2) + call.epsilon;
    set_parameters(call, i, at(call.parameters, i) * keep - (m / call.correction_1) * call.learning_rate / length);
  }
}

}  // namespace
