// The shared part of a small circuit as one matrix: psi = S psi_0 and, going back, sums over samples of bra psi_0^T.
//
// Launch geometry: a call takes the states of one unit (apply) or of a few (outer), samples in the lanes.
#pragma once
#include "step_kernels.hpp"
#include "sums.hpp"

namespace {

// out_a = sum_k S_ak in_k: two rows at a time, so that a vector that is loaded has four multiply-adds.
template <class Real>
void apply_matrix(const char* matrix, std::size_t stride, std::size_t N, const char* in, char* out) {
  constexpr std::size_t W = Vector<Real>::lanes;
  for (std::size_t a = 0; a < N; a += 2) {
    Vec<Real> re0{}, im0{}, re1{}, im1{};
    for (std::size_t first = 0; first < N; first += W) {
      const Real* s = reinterpret_cast<const Real*>(matrix + first / W * stride + a * 2 * VB);
      const std::size_t count = N - first < W ? N - first : W;
      for (std::size_t k = 0; k < count; k++) {
        const Vec<Real> x = row<Real>(in, (first + k) * 2 * VB)->re;
        re0 += x * s[k], im0 += x * s[W + k], re1 += x * s[2 * W + k], im1 += x * s[3 * W + k];
      }
    }
    *row<Real>(out, a * 2 * VB) = {re0, im0};
    *row<Real>(out, (a + 1) * 2 * VB) = {re1, im1};
  }
}

template <class Real, int Units>
void outer_of(std::size_t N, const char* bra, std::size_t bra_stride, const char* in, std::size_t in_stride, Real* sums,
              bool fresh) {
  constexpr std::size_t W = Vector<Real>::lanes;
  for (std::size_t a = 0; a < N; a++) {
    Vec<Real> re[Units], im[Units];
    for (int u = 0; u < Units; u++) {
      const Amp<Real>* b = row<Real>(bra + bra_stride * std::size_t(u), a * 2 * VB);
      re[u] = b->re, im[u] = b->im;
    }
    Real *real = sums + 2 * a * N * W, *imaginary = real + N * W;
    for (std::size_t k = 0; k < N; k++) {
      Vec<Real> x = row<Real>(in, k * 2 * VB)->re;
      Vec<Real> sum_re = re[0] * x, sum_im = im[0] * x;
#pragma GCC unroll 4
      for (int u = 1; u < Units; u++) {
        x = row<Real>(in + in_stride * std::size_t(u), k * 2 * VB)->re;
        sum_re += re[u] * x, sum_im += im[u] * x;
      }
      give(real + k * W, sum_re, fresh), give(imaginary + k * W, sum_im, fresh);
    }
  }
}

template <class Real>
void outer(std::size_t N, int units, const char* bra, std::size_t bra_stride, const char* in, std::size_t in_stride,
           Real* sums, bool fresh) {
  for (; units >= 4; units -= 4, bra += 4 * bra_stride, in += 4 * in_stride, fresh = false)
    outer_of<Real, 4>(N, bra, bra_stride, in, in_stride, sums, fresh);
  for (; units > 0; units--, bra += bra_stride, in += in_stride, fresh = false)
    outer_of<Real, 1>(N, bra, bra_stride, in, in_stride, sums, fresh);
}

template <class Real>
void matrix_columns(std::size_t N, const Real* sums, std::size_t n, std::size_t set_stride, char* bra,
                    std::size_t stride) {
  constexpr int W = Vector<Real>::lanes;
  for (std::size_t a = 0; a < N; a++)
    for (std::size_t first = 0; first < N; first += std::size_t(W))
      for (int part = 0; part < 2; part++) {
        const Real* from = sums + ((2 * a + std::size_t(part)) * N + first) * std::size_t(W);
        Vec<Real> x[W];
        for (std::size_t k = 0; k < std::size_t(W); k++) {
          x[k] = Vec<Real>{};
          if (first + k >= N) continue;
          x[k] = load_vector(from + k * W);
          for (std::size_t set = 1; set < n; set++) x[k] += load_vector(from + set * set_stride + k * W);
        }
#pragma GCC unroll 4
        for (int m = W / 2; m; m /= 2)
#pragma GCC unroll 8
          for (int i = 0; i < m; i++) x[i] = add_pairs(x[2 * i], x[2 * i + 1]);
        Amp<Real>* to = row<Real>(bra + first / std::size_t(W) * stride, a * 2 * VB);
        (part ? to->im : to->re) = x[0];
      }
}

template <class Real> constexpr qmltrain::MatrixKernels<Real> make_matrix() {
  return {apply_matrix<Real>, outer<Real>, matrix_columns<Real>};
}

}  // namespace
