// Stretches of shared gates as matrices: products of a matrix with states of many samples, and sums over samples of
// outer products, in tiles that fill the registers.
//
// Launch geometry: a call takes the states of a bundle's units, samples in the lanes. A tile of a product has kRows rows
// of the matrix and two units: each vector that is loaded meets 2 kRows multiply-adds, each number of the matrix two. A
// tile of the outer products has kRows rows of the bra and two vectors of columns. Every sum has one accumulator and
// one order: columns, or samples, ascending.
#pragma once
#include "step_kernels.hpp"
#include "sums.hpp"

namespace {

constexpr int kRows = VB == 64 ? 6 : 2;  // 4 kRows sums, of 32 registers or of 16

// out_a = sum_k M_ak in_k for Rows rows and Units units. matrix [k][row][re, im]; Complex: whether in has imaginary
// parts.
template <class Real, int Rows, int Units, bool Complex>
void product_tile(const Real* matrix, std::size_t N, const char* in, std::size_t in_stride, char* out,
                  std::size_t out_stride) {
  Vec<Real> re[Rows][Units] = {}, im[Rows][Units] = {};
  for (std::size_t k = 0; k < N; k++, matrix += 2 * Rows) {
    Vec<Real> x[Units], y[Units];
#pragma GCC unroll 2
    for (int u = 0; u < Units; u++) {
      const Amp<Real>* from = row<Real>(in + in_stride * std::size_t(u), k * 2 * VB);
      x[u] = load(from->re);
      if (Complex) y[u] = load(from->im);
    }
#pragma GCC unroll 6
    for (int i = 0; i < Rows; i++) {
      const Vec<Real> a = splat(matrix[2 * i]), b = splat(matrix[2 * i + 1]);
#pragma GCC unroll 2
      for (int u = 0; u < Units; u++) {
        re[i][u] += a * x[u], im[i][u] += b * x[u];
        if (Complex) re[i][u] -= b * y[u], im[i][u] += a * y[u];
      }
    }
  }
#pragma GCC unroll 6
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int u = 0; u < Units; u++)
      *row<Real>(out + out_stride * std::size_t(u), std::size_t(i) * 2 * VB) = {re[i][u], im[i][u]};
}

template <class Real, int Units, bool Complex>
void product_rows(const Real* matrix, std::size_t N, const char* in, std::size_t in_stride, char* out,
                  std::size_t out_stride) {
  std::size_t a = 0;
  for (; a + kRows <= N; a += kRows)
    product_tile<Real, kRows, Units, Complex>(matrix + 2 * a * N, N, in, in_stride, out + a * 2 * VB, out_stride);
  if (N - a == 4) product_tile<Real, 4, Units, Complex>(matrix + 2 * a * N, N, in, in_stride, out + a * 2 * VB, out_stride);
  if (N - a == 2) product_tile<Real, 2, Units, Complex>(matrix + 2 * a * N, N, in, in_stride, out + a * 2 * VB, out_stride);
}

template <class Real, bool Complex>
void block_product(const Real* matrix, std::size_t N, int units, const char* in, std::size_t in_stride, char* out,
                   std::size_t out_stride) {
  for (; units >= 2; units -= 2, in += 2 * in_stride, out += 2 * out_stride)
    product_rows<Real, 2, Complex>(matrix, N, in, in_stride, out, out_stride);
  if (units) product_rows<Real, 1, Complex>(matrix, N, in, in_stride, out, out_stride);
}

// W vectors with their lanes and numbers exchanged: v_i[j] <-> v_j[i], bit by bit.
template <class Real, int Q> INLINE void transpose_bit(Vec<Real>* v) {
  constexpr int W = Vector<Real>::lanes, m = 1 << Q;
  const VecBits<Real> odd = *reinterpret_cast<const VecBits<Real>*>(kLanes<Real>.odd[Q]);
#pragma GCC unroll 16
  for (int i = 0; i < W; i++) {
    if (i & m) continue;
    const Vec<Real> a = v[i], b = v[i | m];
    const VecBits<Real> from_b = (VecBits<Real>)xor_lane_bit<Real, Q>(b), from_a = (VecBits<Real>)xor_lane_bit<Real, Q>(a);
    v[i] = (Vec<Real>)((odd & from_b) | (~odd & (VecBits<Real>)a));
    v[i | m] = (Vec<Real>)((odd & (VecBits<Real>)b) | (~odd & from_a));
  }
}

// One plane of a unit's N rows, sample by sample: out[lane * stride + k]; columns from N on are 0.
template <class Real>
void transpose_plane(std::size_t N, const char* in, Plane<Real> plane, Real* out, std::size_t stride) {
  constexpr int W = Vector<Real>::lanes;
  for (std::size_t first = 0; first < N; first += std::size_t(W)) {
    Vec<Real> v[W];
    for (std::size_t i = 0; i < std::size_t(W); i++)
      v[i] = first + i < N ? row<Real>(in, (first + i) * 2 * VB)->*plane : Vec<Real>{};
    transpose_bit<Real, 0>(v);
    if constexpr (W >= 4) transpose_bit<Real, 1>(v);
    if constexpr (W >= 8) transpose_bit<Real, 2>(v);
    if constexpr (W >= 16) transpose_bit<Real, 3>(v);
    for (std::size_t i = 0; i < std::size_t(W); i++) store_vector(out + i * stride + first, v[i]);
  }
}

template <class Real, bool Complex>
void block_transpose(std::size_t N, int units, const char* in, std::size_t in_stride, Real* out) {
  constexpr std::size_t W = Vector<Real>::lanes;
  const std::size_t padded = (N + W - 1) / W * W, stride = (Complex ? 2 : 1) * padded;
  for (int u = 0; u < units; u++, in += in_stride, out += W * stride) {
    transpose_plane<Real>(N, in, &Amp<Real>::re, out, stride);
    if (Complex) transpose_plane<Real>(N, in, &Amp<Real>::im, out + padded, stride);
  }
}

// sums_ak += sum over samples of bra_a conj(in_k) for Rows rows and Columns vectors of columns.
template <class Real, int Rows, int Columns, bool Complex>
void outer_tile(std::size_t padded, int units, const char* bra, std::size_t bra_stride, const Real* in, Real* sums) {
  constexpr std::size_t W = Vector<Real>::lanes;
  const std::size_t stride = (Complex ? 2 : 1) * padded;
  Vec<Real> re[Rows][Columns], im[Rows][Columns];
#pragma GCC unroll 6
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int c = 0; c < Columns; c++) {
      const Real* from = sums + 2 * padded * std::size_t(i) + W * std::size_t(c);
      re[i][c] = load_vector(from), im[i][c] = load_vector(from + padded);
    }
  for (int u = 0; u < units; u++, bra += bra_stride)
    for (std::size_t lane = 0; lane < W; lane++, in += stride) {
      const Real* b = reinterpret_cast<const Real*>(bra) + lane;
      Vec<Real> x[Columns], y[Columns];
#pragma GCC unroll 2
      for (int c = 0; c < Columns; c++) {
        x[c] = load_vector(in + W * std::size_t(c));
        if (Complex) y[c] = load_vector(in + padded + W * std::size_t(c));
      }
#pragma GCC unroll 6
      for (int i = 0; i < Rows; i++) {
        const Vec<Real> p = splat(b[2 * W * std::size_t(i)]), q = splat(b[2 * W * std::size_t(i) + W]);
#pragma GCC unroll 2
        for (int c = 0; c < Columns; c++) {
          re[i][c] += p * x[c], im[i][c] += q * x[c];
          if (Complex) re[i][c] += q * y[c], im[i][c] -= p * y[c];
        }
      }
    }
#pragma GCC unroll 6
  for (int i = 0; i < Rows; i++)
#pragma GCC unroll 2
    for (int c = 0; c < Columns; c++) {
      Real* to = sums + 2 * padded * std::size_t(i) + W * std::size_t(c);
      store_vector(to, re[i][c]), store_vector(to + padded, im[i][c]);
    }
}

template <class Real, int Rows, bool Complex>
void outer_rows(std::size_t padded, int units, const char* bra, std::size_t bra_stride, const Real* in, Real* sums) {
  constexpr std::size_t W = Vector<Real>::lanes;
  std::size_t k = 0;
  for (; k + 2 * W <= padded; k += 2 * W)
    outer_tile<Real, Rows, 2, Complex>(padded, units, bra, bra_stride, in + k, sums + k);
  if (k < padded) outer_tile<Real, Rows, 1, Complex>(padded, units, bra, bra_stride, in + k, sums + k);
}

template <class Real, bool Complex>
void block_outer(std::size_t N, int units, const char* bra, std::size_t bra_stride, const Real* in, Real* sums) {
  constexpr std::size_t W = Vector<Real>::lanes;
  const std::size_t padded = (N + W - 1) / W * W;
  std::size_t a = 0;
  for (; a + kRows <= N; a += kRows)
    outer_rows<Real, kRows, Complex>(padded, units, bra + a * 2 * VB, bra_stride, in, sums + 2 * padded * a);
  if (N - a == 4) outer_rows<Real, 4, Complex>(padded, units, bra + a * 2 * VB, bra_stride, in, sums + 2 * padded * a);
  if (N - a == 2) outer_rows<Real, 2, Complex>(padded, units, bra + a * 2 * VB, bra_stride, in, sums + 2 * padded * a);
}

template <class Real> constexpr qmltrain::BlockKernels<Real> make_blocks() {
  return {kRows,
          {block_product<Real, false>, block_product<Real, true>},
          {block_transpose<Real, false>, block_transpose<Real, true>},
          {block_outer<Real, false>, block_outer<Real, true>}};
}

}  // namespace
