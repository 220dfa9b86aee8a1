// portable.cuh - the few words in which CUDA and the test emulator differ, and the number types.
// brings: Real, Complex, KERNEL, EXPORT_KERNEL, DYNAMIC_SHARED, multiply_add, sincos_pi, times, w_of, parity
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

// w = Im(conj(bra) psi) of an amplitude: its signed sums are the gradients of all phases
__device__ __forceinline__ Real w_of(Complex bra, Complex psi) { return multiply_add(bra.x, psi.y, -bra.y * psi.x); }

__device__ __forceinline__ unsigned parity(unsigned bits) { return __popc(bits) & 1u; }
