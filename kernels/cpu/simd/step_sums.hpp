// Observables, heads and sums over samples: sparse and small dense matrices times quantities of samples, see
// step_kernels.hpp.
//
// Launch geometry: a call takes the samples of one unit, `count` of them in vectors of kDoubles.
#pragma once
#include "exponential.hpp"
#include "step_kernels.hpp"

namespace {

constexpr int kStride = qmltrain::kSideBySide;

INLINE VD& lanes_of(double* quantities, std::size_t i, int v) {
  return *reinterpret_cast<VD*>(quantities + i * kStride + v * kDoubles);
}
INLINE const VD& lanes_of(const double* quantities, std::size_t i, int v) {
  return *reinterpret_cast<const VD*>(quantities + i * kStride + v * kDoubles);
}
INLINE int vectors(int count) { return (count + kDoubles - 1) / kDoubles; }

bool all_finite(const double* numbers, std::size_t n) {
  std::uint64_t bad = 0;
  for (std::size_t i = 0; i < n; i++) {
    std::uint64_t bits;
    __builtin_memcpy(&bits, numbers + i, 8);
    bad |= (bits & 0x7ff0000000000000u) + 0x0010000000000000u;  // an exponent of all ones carries into the sign
  }
  return !(bad >> 63);
}

void combine(const qmltrain::SparseRows& rows, const double* constant, int count, const double* in, double* out) {
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < rows.n_rows; i++) {
      VD sum = splat(constant[i]);
      for (std::int32_t j = rows.start[i]; j < rows.start[i + 1]; j++)
        sum += lanes_of(in, std::size_t(rows.column[j]), v) * rows.value[j];
      lanes_of(out, i, v) = sum;
    }
}

void spread(const qmltrain::SparseRows& rows, int count, const double* out, double* in) {
  for (int v = 0; v < vectors(count); v++) {
    for (std::size_t k = 0; k < rows.n_columns; k++) lanes_of(in, k, v) = VD{};
    for (std::size_t i = 0; i < rows.n_rows; i++) {
      const VD of_row = lanes_of(out, i, v);
      for (std::int32_t j = rows.start[i]; j < rows.start[i + 1]; j++)
        lanes_of(in, std::size_t(rows.column[j]), v) += of_row * rows.value[j];
    }
  }
}

void scale(std::size_t n, double factor, int count, const double* in, double* out) {
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < n; i++) lanes_of(out, i, v) = lanes_of(in, i, v) * factor;
}

void shift(std::size_t n, const double* numbers, int count, const double* in, double* out) {
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < n; i++) lanes_of(out, i, v) = lanes_of(in, i, v) + numbers[i];
}

constexpr int kTile = 4;  // sums of a dense layer at a time: they share what is loaded, and hide each other's latency

// sum[t] += factor(j) weight[t stride + j step], j = 0 .. n - 1 in order, for `tile` sums
template <int tile, class Factor>
INLINE void weigh(int n, const double* weight, int stride, int step, Factor factor, VD* sum) {
  for (int j = 0; j < n; j++) {
    const VD x = factor(j);
#pragma GCC unroll 4
    for (int t = 0; t < tile; t++) sum[t] += x * weight[t * stride + j * step];
  }
}

void linear(int n_in, int n_out, const double* weight, const double* bias, int count, const double* in, double* out) {
  for (int v = 0; v < vectors(count); v++) {
    const auto factor = [&](int k) { return lanes_of(in, std::size_t(k), v); };
    int c = 0;
    for (; c + kTile <= n_out; c += kTile) {
      VD sum[kTile];
      for (int t = 0; t < kTile; t++) sum[t] = splat(bias ? bias[c + t] : 0.0);
      weigh<kTile>(n_in, weight + c * n_in, n_in, 1, factor, sum);
      for (int t = 0; t < kTile; t++) lanes_of(out, std::size_t(c + t), v) = sum[t];
    }
    for (; c < n_out; c++) {
      VD sum = splat(bias ? bias[c] : 0.0);
      weigh<1>(n_in, weight + c * n_in, n_in, 1, factor, &sum);
      lanes_of(out, std::size_t(c), v) = sum;
    }
  }
}

void linear_back(int n_in, int n_out, const double* weight, int count, const double* out, double* in) {
  for (int v = 0; v < vectors(count); v++) {
    const auto factor = [&](int c) { return lanes_of(out, std::size_t(c), v); };
    int k = 0;
    for (; k + kTile <= n_in; k += kTile) {
      VD sum[kTile]{};
      weigh<kTile>(n_out, weight + k, 1, n_in, factor, sum);
      for (int t = 0; t < kTile; t++) lanes_of(in, std::size_t(k + t), v) = sum[t];
    }
    for (; k < n_in; k++) {
      VD sum{};
      weigh<1>(n_out, weight + k, 1, n_in, factor, &sum);
      lanes_of(in, std::size_t(k), v) = sum;
    }
  }
}

// sums[i] += sum over lanes of term(i), i = 0, 1, ... in order; as many sums at a time as a vector has lanes.
template <class Term> INLINE void add_lane_sums(std::size_t n, double* sums, Term term) {
  for (std::size_t i = 0; i < n; i += kDoubles) {
    VD x[kDoubles];
    if (n - i <= 2) {
      for (std::size_t j = i; j < n; j++) sums[j] += horizontal(term(j));
      return;
    }
    const std::size_t here = n - i < std::size_t(kDoubles) ? n - i : std::size_t(kDoubles);
#pragma GCC unroll 8
    for (std::size_t j = 0; j < std::size_t(kDoubles); j++) x[j] = j < here ? term(i + j) : VD{};
#pragma GCC unroll 3
    for (int m = kDoubles / 2; m; m /= 2)
#pragma GCC unroll 4
      for (int j = 0; j < m; j++) x[j] = add_pairs(x[2 * j], x[2 * j + 1]);
    if (here == std::size_t(kDoubles)) {
      *reinterpret_cast<Doubles*>(sums + i) += x[0];
    } else {
      for (std::size_t j = 0; j < here; j++) sums[i + j] += x[0][j];
    }
  }
}

void linear_sums(int n_in, int n_out, int count, const double* out, const double* in, double* sums) {
  const int n = vectors(count);
  int c = 0, k = 0;
  add_lane_sums(std::size_t(n_out) * n_in, sums, [&](std::size_t) {
    VD sum{};
    for (int v = 0; v < n; v++) sum += lanes_of(out, std::size_t(c), v) * lanes_of(in, std::size_t(k), v);
    if (++k == n_in) k = 0, c++;
    return sum;
  });
}

double product_sum(std::size_t n, int count, const double* a, const double* b) {
  VD sum{};
  for (int v = 0; v < vectors(count); v++)
    for (std::size_t i = 0; i < n; i++) sum += lanes_of(a, i, v) * lanes_of(b, i, v);
  return horizontal(sum);
}

void lane_sums(std::size_t n, int count, const double* in, double* sums) {
  add_lane_sums(n, sums, [&](std::size_t i) {
    VD sum{};
    for (int v = 0; v < vectors(count); v++) sum += lanes_of(in, i, v);
    return sum;
  });
}

}  // namespace
