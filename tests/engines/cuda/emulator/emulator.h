// emulator.h - CUDA C++ on the CPU, for correctness tests without a GPU. Only what the kernels of this project use.
//
//   g++ -std=c++17 -O1 -g -shared -fPIC -x c++ -include emulator/emulator.h -DREAL=float -DTILE_BITS=9 tile_pass.cu
//     -o tile_pass.so
//   + -fsanitize=address,undefined                       out of bounds, misaligned, undefined
//   + -fsanitize=thread -DEMULATOR_RACES (compile only)  races, see races.h
//
// Not modelled: time, bank conflicts, memory order without barriers, contraction of multiply-adds by the compiler.
#pragma once
#define CUDA_EMULATOR 1
#include <cmath>

#include "machine.h"

#define __global__
#define __device__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))

struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct alignas(16) int4 {
  int x, y, z, w;
};

#define threadIdx (::emulator::machine.current->index)
#define blockIdx (::emulator::machine.block_index)
#define EMULATOR_TEXT_(x) #x
#define EMULATOR_TEXT(x) EMULATOR_TEXT_(x)
#define EMULATOR_PLACE __FILE__ ":" EMULATOR_TEXT(__LINE__) "#" EMULATOR_TEXT(__COUNTER__)
#define __syncthreads() ::emulator::wait_here(::emulator::Waits::block, EMULATOR_PLACE)
#define __shfl_xor_sync(mask, value, lanes) emulator_shuffle_xor(mask, value, lanes, EMULATOR_PLACE)

template <class Value>
UNWATCHED inline Value emulator_shuffle_xor(unsigned mask, Value value, unsigned lanes, const char* place) {
  static_assert(sizeof(Value) <= 8);
  uint64_t bits = 0;
  memcpy(&bits, &value, sizeof value);
  const unsigned from = emulator::machine.current->lane ^ lanes;
  if (!(mask >> from & 1)) emulator::fail(std::string("a shuffle reads a lane outside of its mask at ") + place);
  const uint64_t* all = emulator::meet(mask, bits, place, 1);
  memcpy(&value, &all[from], sizeof value);
  return value;
}
template <class Value, class Added> UNWATCHED inline Value atomicAdd(Value* address, Added value) {
  emulator::check_access(address, sizeof(Value), true, true, __builtin_return_address(0));
  const Value before = *address;
  *address = before + (Value)value;
  return before;
}
template <class Value> inline Value __ldg(const Value* address) { return *address; }
template <class Value> inline Value __ldcs(const Value* address) { return *address; }
template <class Value> inline void __stcs(Value* address, Value value) { *address = value; }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

inline void sincos_pi(double x, double* sine, double* cosine) {
  x -= 2 * std::rint(x / 2);
  *sine = std::sin(M_PI * x);
  *cosine = std::cos(M_PI * x);
}
inline void sincos_pi(float x, float* sine, float* cosine) {
  double s, c;
  sincos_pi((double)x, &s, &c);
  *sine = (float)s;
  *cosine = (float)c;
}

template <class Value, class Bits> inline Value emulator_flipped(Value value, Bits flipped) {
  Bits bits;
  static_assert(sizeof bits == sizeof value);
  memcpy(&bits, &value, sizeof bits);
  bits ^= flipped;
  memcpy(&value, &bits, sizeof bits);
  return value;
}
template <class Type> inline Type as_it_stands(Type value) { return value; }
inline float with_sign(float value, unsigned sign) { return emulator_flipped(value, sign); }
inline double with_sign(double value, unsigned sign) { return emulator_flipped(value, (uint64_t)sign << 32); }

#define KERNEL static void
#define DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(::emulator::machine.shared)
// a kernel as a C function for ctypes: grid and block as six numbers, bytes of shared memory, pointers to arguments
#define EXPORT_KERNEL(name)                                                                                     \
  extern "C" void emulate_##name(const unsigned* d, size_t shared_bytes, void** arguments) {                    \
    ::emulator::launch_pointers(name, dim3{d[0], d[1], d[2]}, dim3{d[3], d[4], d[5]}, shared_bytes, arguments); \
  }
extern "C" inline void emulator_order(int order, unsigned long long seed) {
  emulator::order = (emulator::Order)order;
  emulator::seed = seed;
}
extern "C" inline unsigned long long emulator_races() {
#ifdef EMULATOR_RACES
  return emulator::race_count;
#else
  return 0;
#endif
}
// keeps the two functions above in the library
__attribute__((used)) static void (*const emulator_keep_order)(int, unsigned long long) = &emulator_order;
__attribute__((used)) static unsigned long long (*const emulator_keep_races)() = &emulator_races;
