// Angles of diagonals as integers: fractions of 2 pi that wrap around exactly, see simd/tables.hpp.
#pragma once
#include <cmath>
#include <cstdint>
#include <type_traits>

namespace qmltrain {

template <class Real> using IntegerAngle = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

// phi -> a with exp(-i phi / 2) = exp(-2 pi i a / 2^bits): a = 2^bits phi / (4 pi), rounded
template <class Real> IntegerAngle<Real> integer_angle(double angle) {
  double x = angle * 0.079577471545947667884;
  x -= std::nearbyint(x);
  if constexpr (sizeof(Real) == 4) return std::uint32_t(std::int64_t(std::nearbyint(x * 4294967296.0)));
  else return std::uint64_t(std::int64_t(x * 9223372036854775808.0)) * 2;
}

}  // namespace qmltrain
