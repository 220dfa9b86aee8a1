// Angles of diagonals as integers: fractions of 2 pi that wrap around exactly, see simd/tables.hpp.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace qmltrain {

template <class Real> using IntegerAngle = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

// std::nearbyint, which is a call where the processor is not known to have an instruction for it.
inline double nearest(double x) {
  constexpr double kShift = 6755399441055744.0;  // 1.5 * 2^52: numbers about it are whole
  if (!(std::fabs(x) < 2251799813685248.0)) return std::nearbyint(x);
  const double shifted = x + kShift;
  return shifted - kShift;
}

// x or -x without a branch: signs of a circuit are nothing that a processor could foresee.
inline double with_sign(double x, bool minus) {
  std::uint64_t bits;
  std::memcpy(&bits, &x, sizeof x);
  bits ^= std::uint64_t(minus) << 63;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

// phi -> a with exp(-i phi / 2) = exp(-2 pi i a / 2^bits): a = 2^bits phi / (4 pi), rounded
template <class Real> IntegerAngle<Real> integer_angle(double angle) {
  double x = angle * 0.079577471545947667884;
  x -= nearest(x);
  if constexpr (sizeof(Real) == 4) return std::uint32_t(std::int64_t(nearest(x * 4294967296.0)));
  else return std::uint64_t(std::int64_t(x * 9223372036854775808.0)) * 2;
}

}  // namespace qmltrain
