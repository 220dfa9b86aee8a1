// exp and log of vectors of float64, for losses and activations.
//
// The error is below two units in the last place in the ranges given; the same instructions whatever the lane.
#pragma once
#include "float64.hpp"

namespace {

// Coefficients of a polynomial, highest power first, by Horner's rule.
template <std::size_t N> INLINE VD polynomial(VD x, const double (&coefficient)[N]) {
  VD p = splat<double>(coefficient[0]);
#pragma GCC unroll 20
  for (std::size_t i = 1; i < N; i++) p = p * x + coefficient[i];
  return p;
}

// x <= 0 as k log 2 + r, |r| <= log(2) / 2; below -700 it is -700. power: 2^k.
struct Reduced { VD r, power; };
INLINE Reduced reduced(VD x) {
  x = pick(x < -700.0, splat(-700.0), x);
  const VD round = splat(6755399441055744.0);  // 1.5 * 2^52: adding it rounds to an integer, in the low bits
  const VD shifted = x * 1.4426950408889634074 + round, k = shifted - round;
  // log 2 in two parts, the first with few enough bits for k times it to be exact
  const VD r = (x - k * 6.93147180369123816490e-01) - k * 1.90821492927058770002e-10;
  return {r, (VD)(((VL)shifted << 52) + (std::int64_t(1023) << 52))};
}

// e^x for x <= 0: 2^k e^r, with the Taylor series to r^13 / 13!. Below -700 it is e^-700.
INLINE VD exponential(VD x) {
  const Reduced parts = reduced(x);
  constexpr double inverse_factorials[] = {
      1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800, 1.0 / 3628800, 1.0 / 362880, 1.0 / 40320, 1.0 / 5040,
      1.0 / 720,        1.0 / 120,       1.0 / 24,       1.0 / 6,       0.5,          1.0,         1.0};
  return polynomial(parts.r, inverse_factorials) * parts.power;
}

// e^x - 1 for x <= 0, to full relative precision: 2^k (e^r - 1) + (2^k - 1), e^r - 1 by its series to r^14 / 14!. The
// last term is 0 where k is, and nothing cancels elsewhere.
INLINE VD exponential_minus_1(VD x) {
  const Reduced parts = reduced(x);
  constexpr double inverse_factorials[] = {1.0 / 87178291200, 1.0 / 6227020800, 1.0 / 479001600, 1.0 / 39916800,
                                           1.0 / 3628800,     1.0 / 362880,     1.0 / 40320,     1.0 / 5040,
                                           1.0 / 720,         1.0 / 120,        1.0 / 24,        1.0 / 6,
                                           0.5,               1.0};
  return polynomial(parts.r, inverse_factorials) * parts.r * parts.power + (parts.power - 1.0);
}

// log x for normal x >= 1: x = 2^e m, sqrt(1/2) <= m < sqrt(2), log m = 2 artanh(s), s = (m - 1) / (m + 1).
INLINE VD logarithm(VD x) {
  const VL e = ((VL)x - std::int64_t(0x3fe6a09e667f3bcd)) >> 52;
  const VD m = (VD)((VL)x - (e << 52)), s = (m - 1.0) / (m + 1.0), z = s * s;
  constexpr double series[] = {1.0 / 23, 1.0 / 21, 1.0 / 19, 1.0 / 17, 1.0 / 15, 1.0 / 13,
                               1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  const VD n = (VD)(e + std::int64_t(0x4338000000000000)) - 6755399441055744.0;
  return (n * 0.693147180559945309417 + 2.0 * s) + 2.0 * s * z * polynomial(z, series);
}

// log(1 + x) for 0 <= x <= 1, to full relative precision: 2 artanh(x / (2 + x)).
INLINE VD logarithm_of_1_plus(VD x) {
  const VD s = x / (x + 2.0), z = s * s;  // z <= 1/9
  constexpr double series[] = {1.0 / 35, 1.0 / 33, 1.0 / 31, 1.0 / 29, 1.0 / 27, 1.0 / 25, 1.0 / 23, 1.0 / 21, 1.0 / 19,
                               1.0 / 17, 1.0 / 15, 1.0 / 13, 1.0 / 11, 1.0 / 9,  1.0 / 7,  1.0 / 5,  1.0 / 3};
  return 2.0 * s + 2.0 * s * z * polynomial(z, series);
}

}  // namespace
