// portable.cuh - the few words in which CUDA and the test emulator differ, and the number types.
// brings: Real, Complex, KERNEL, EXPORT_KERNEL, DYNAMIC_SHARED, multiply_add, sincos_pi, with_sign, load_four, times,
//   multiply, w_of, parity
//
// Every file is compiled with -DREAL=float or -DREAL=double; tile kernels also with -DTILE_BITS=T. No header of the
// CUDA toolkit is needed (NVRTC has none).
#pragma once

using Real = REAL;
template <typename Number> struct ComplexOf;
template <> struct ComplexOf<float> {
  using Type = float2;
};
template <> struct ComplexOf<double> {
  using Type = double2;
};
using Complex = ComplexOf<Real>::Type;

#ifndef CUDA_EMULATOR
#define KERNEL extern "C" __global__ void
#define EXPORT_KERNEL(name)
#define DYNAMIC_SHARED(type, name)                          \
  extern __shared__ __align__(16) unsigned char dynamic_[]; \
  type* name = reinterpret_cast<type*>(dynamic_)
__device__ __forceinline__ void sincos_pi(float x, float* sine, float* cosine) {
  sincospif(x, sine, cosine);
}
__device__ __forceinline__ void sincos_pi(double x, double* sine, double* cosine) {
  sincospi(x, sine, cosine);
}
// -value where bit 31 of `sign` is set; its other bits are zero
__device__ __forceinline__ float with_sign(float value, unsigned sign) {
  return __uint_as_float(__float_as_uint(value) ^ sign);
}
__device__ __forceinline__ double with_sign(double value, unsigned sign) {
  return __hiloint2double(__double2hiint(value) ^ (int)sign, __double2loint(value));
}
#endif

// The same, but compilers do not see where it comes from. An address: they would else add a 32-bit offset to it in
// 64-bit parts, six instructions for one. A number: they would else keep in registers what can be computed again.
#ifndef CUDA_EMULATOR
template <class Type> __device__ __forceinline__ Type* as_it_stands(Type* address) {
  asm volatile("" : "+l"(address));
  return address;
}
__device__ __forceinline__ unsigned as_it_stands(unsigned number) {
  asm volatile("" : "+r"(number));
  return number;
}
#endif

// explicit fused multiply-add: the compiler may refuse to contract `c - a * b`
__device__ __forceinline__ float multiply_add(float a, float b, float c) { return fmaf(a, b, c); }
__device__ __forceinline__ double multiply_add(double a, double b, double c) { return fma(a, b, c); }

__device__ __forceinline__ Complex times(Complex a, Complex b) {
  Complex product;
  product.x = multiply_add(-a.y, b.y, a.x * b.x);
  product.y = multiply_add(a.y, b.x, a.x * b.y);
  return product;
}

// value *= factor, or its conjugate, in place: the cross products come first, so that no copy of the value is needed
template <bool CONJUGATE> __device__ __forceinline__ void multiply(Complex& value, Complex factor) {
  const Real cross_x = factor.y * value.y, cross_y = factor.y * value.x;
  value.x = multiply_add(factor.x, value.x, CONJUGATE ? cross_x : -cross_x);
  value.y = multiply_add(factor.x, value.y, CONJUGATE ? -cross_y : cross_y);
}

// Four numbers that stand at a multiple of 16 bytes.
__device__ __forceinline__ int4 load_four(const int* from) { return __ldg(reinterpret_cast<const int4*>(from)); }
__device__ __forceinline__ void load_four(const float2* from, float2* to) {
#pragma unroll
  for (int i = 0; i < 2; ++i) {
    const float4 two = __ldg(reinterpret_cast<const float4*>(from) + i);
    to[2 * i].x = two.x;
    to[2 * i].y = two.y;
    to[2 * i + 1].x = two.z;
    to[2 * i + 1].y = two.w;
  }
}
__device__ __forceinline__ void load_four(const double2* from, double2* to) {
#pragma unroll
  for (int i = 0; i < 4; ++i) to[i] = __ldg(from + i);
}

// w = Im(conj(bra) psi) of an amplitude: its signed sums are the gradients of all phases
__device__ __forceinline__ Real w_of(Complex bra, Complex psi) { return multiply_add(bra.x, psi.y, -bra.y * psi.x); }

__device__ __forceinline__ unsigned parity(unsigned bits) { return __popc(bits) & 1u; }
