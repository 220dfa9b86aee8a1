// Activations of dense layers, value by value, and the way back; the formulas of qmltrain/training/activations.py.
//
// A NaN stays one: no comparison may turn it into a number.
#pragma once
#include "step_sums.hpp"

namespace {

template <class Function> INLINE void each_value(std::size_t n, int count, const double* in, double* out, Function f) {
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < n; i++) lanes_of(out, i, v) = f(lanes_of(in, i, v));
}

// cotangents *= f'(value)
template <class Function> INLINE void each_back(std::size_t n, int count, const double* out, double* cotangents,
                                                Function f) {
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < n; i++) lanes_of(cotangents, i, v) *= f(lanes_of(out, i, v));
}

void identity(std::size_t n, int count, const double* in, double* out) {
  each_value(n, count, in, out, [](VD a) { return a; });
}
void identity_back(std::size_t, int, const double*, double*) {}

// -m / (2 + m) with m = e^(-2|a|) - 1, and the sign of a
void hyperbolic_tangent(std::size_t n, int count, const double* in, double* out) {
  each_value(n, count, in, out, [](VD a) {
    const VD m = exponential_minus_1(-2.0 * magnitude(a)), t = -m / (m + 2.0);
    return pick(a < 0.0, -t, t);
  });
}
void hyperbolic_tangent_back(std::size_t n, int count, const double* out, double* cotangents) {
  each_back(n, count, out, cotangents, [](VD t) { return 1.0 - t * t; });
}

void rectifier(std::size_t n, int count, const double* in, double* out) {
  each_value(n, count, in, out, [](VD a) { return pick(a < 0.0, VD{}, a); });
}
void rectifier_back(std::size_t n, int count, const double* out, double* cotangents) {
  each_back(n, count, out, cotangents, [](VD value) { return pick(value > 0.0, splat(1.0), VD{}); });
}

void sigmoid(std::size_t n, int count, const double* in, double* out) {
  each_value(n, count, in, out, [](VD a) {
    const VD decay = exponential(-magnitude(a));
    return pick(a >= 0.0, splat(1.0), decay) / (decay + 1.0);
  });
}
void sigmoid_back(std::size_t n, int count, const double* out, double* cotangents) {
  each_back(n, count, out, cotangents, [](VD value) { return value * (1.0 - value); });
}

}  // namespace
