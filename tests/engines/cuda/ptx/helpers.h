// helpers.h - what translated PTX calls: see translator.py. Comes after emulator.h, which brings the machine.
#pragma once
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace ptx {

// the same bits as another type of the same size
template <class To, class From> inline To as(From value) {
  static_assert(sizeof(To) == sizeof(From));
  To result;
  memcpy(&result, &value, sizeof result);
  return result;
}

// An access as the device would make it: at a multiple of its size, and watched for races.
inline void touch(const char* address, size_t bytes, bool write, int line) {
  if ((uintptr_t)address % bytes) emulator::fail("misaligned access, PTX line " + std::to_string(line));
  emulator::check_access(address, bytes, write, false, __builtin_return_address(0));
}
template <class Type> inline Type load(const char* address) {
  Type value;
  memcpy(&value, address, sizeof value);
  return value;
}
template <class Type> inline void store(char* address, Type value) { memcpy(address, &value, sizeof value); }

// Shifts by the width or more give zero, or the sign.
template <class Type> inline Type shifted_left(Type value, uint32_t by) {
  return by >= 8 * sizeof(Type) ? Type(0) : Type(value << by);
}
template <class Type> inline Type shifted_right(Type value, uint32_t by) {
  const uint32_t most = 8 * sizeof(Type) - 1;
  if (by > most) return std::numeric_limits<Type>::is_signed ? Type(value >> most) : Type(0);
  return Type(value >> by);
}

// `count` bits of `field` put into `value` at `position`.
template <class Type> inline Type insert(Type field, Type value, uint32_t position, uint32_t count) {
  position &= 255;
  count &= 255;
  const uint32_t width = 8 * sizeof(Type);
  if (position >= width || !count) return value;
  const Type mask = Type((count >= width ? ~Type(0) : Type((Type(1) << count) - 1)) << position);
  return Type((value & ~mask) | (Type(field << position) & mask));
}

// A float to an integer towards zero, at the ends of its range where it is beyond.
template <class Type> inline Type to_integer(double value) {
  using Limits = std::numeric_limits<Type>;
  if (value != value) return 0;
  if (value <= (double)Limits::min()) return Limits::min();
  if (value >= (double)Limits::max()) return Limits::max();
  return (Type)value;
}

// Denormal floats are zero while a kernel runs that was compiled so.
struct FlushDenormals {
  explicit FlushDenormals(bool flush) : before(_mm_getcsr()) {
    if (flush) _mm_setcsr(before | 0x8040);
  }
  ~FlushDenormals() { _mm_setcsr(before); }
  unsigned before;
};

}  // namespace ptx
