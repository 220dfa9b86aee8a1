// Denormal numbers: below the least normal one (1.2e-38, 2.2e-308 in double).
//
// Of a classifier that is sure of its samples the losses' derivatives are such numbers, and on Intel's processors an
// operation on one takes over a hundred cycles: a step of 4 qubits, 10 layers, 256 samples took 46 us late in a training
// and 32 at its beginning. Threads that compute take them for 0, in and out of every operation; Python does not.
// On other than x86 processors nothing is done.
#pragma once

#if defined(__SSE2__)
#include <immintrin.h>
#endif

namespace qmltrain {

template <bool Flush> class Denormals {
 public:
  Denormals(const Denormals&) = delete;
  Denormals& operator=(const Denormals&) = delete;
#if defined(__SSE2__)
  Denormals() : before_(_mm_getcsr()) { _mm_setcsr(Flush ? before_ | kBits : before_ & ~kBits); }
  ~Denormals() { _mm_setcsr((_mm_getcsr() & ~kBits) | (before_ & kBits)); }

 private:
  static constexpr unsigned kBits = 0x8040;  // results; operands
  const unsigned before_;
#else
  Denormals() {}
  ~Denormals() {}
#endif
};

// While one lives, its thread takes denormal numbers for 0.
using FlushDenormals = Denormals<true>;
// While one lives, its thread computes with them again: for calls of Python.
using WithDenormals = Denormals<false>;

}  // namespace qmltrain
