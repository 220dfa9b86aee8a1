// Signed sums: v_z of all qubits and the gradients of phases from w = Im(conj(bra) psi), lane sums, distances.
#pragma once
#include "float64.hpp"
#include "tables.hpp"

namespace {

// w over 2^bits rows: sums[i] = sum_u (-1)^{u_i} w_u for each coordinate i, sums[bits] = sum_u w_u. Destroys w.
template <class Real> void tree(Real* w, int bits, Real* sums) {
  constexpr int W = Vector<Real>::lanes;
  Vec<Real>* a = reinterpret_cast<Vec<Real>*>(w);
  for (int q = 0; q < bits; q++) {
    const std::size_t n = std::size_t(1) << (bits - q - 1);
    Vec<Real> d{};
    for (std::size_t i = 0; i < n; i++) {
      const Vec<Real> x = a[2 * i], y = a[2 * i + 1];
      d += x - y;
      a[i] = x + y;
    }
    store_vector(sums + W * q, d);
  }
  store_vector(sums + W * bits, a[0]);
}

template <class Real> void walsh(Real* w, int bits) { walsh_rows(reinterpret_cast<Vec<Real>*>(w), 0, bits); }

template <class Real>
void add_sums(const Real* sums, const qmltrain::SumTarget* targets, std::size_t n, std::uint64_t tile,
              Real* accumulators, bool fresh) {
  constexpr std::size_t W = Vector<Real>::lanes;
  for (std::size_t i = 0; i < n; i++) {
    const Vec<Real> x = load_vector(sums + W * targets[i].from);
    give(accumulators + W * targets[i].accumulator, parity(tile & targets[i].tile_parity) ? -x : x, fresh);
  }
}

typedef float HalfVector __attribute__((vector_size(VB / 2)));
INLINE double horizontal(Vec<float> v) {
  struct Halves { HalfVector a, b; } h;
  __builtin_memcpy(&h, &v, VB);
  return horizontal(__builtin_convertvector(h.a, Vec<double>) + __builtin_convertvector(h.b, Vec<double>));
}

// {a0 + a1, a2 + a3, ..., b0 + b1, ...}: log2(lanes) of such steps make of as many vectors as
// lanes the vector of their sums
INLINE Vec<float> add_pairs(Vec<float> a, Vec<float> b) {
#if VB == 64 && defined(__AVX512F__)
  const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return (Vec<float>)_mm512_permutex2var_ps((__m512)a, even, (__m512)b) +
         (Vec<float>)_mm512_permutex2var_ps((__m512)a, odd, (__m512)b);
#elif VB == 32 && defined(__AVX2__)
  const __m256d pairs = _mm256_castps_pd(_mm256_hadd_ps((__m256)a, (__m256)b));
  return (Vec<float>)_mm256_castpd_ps(_mm256_permute4x64_pd(pairs, 0xD8));
#elif VB == 16 && defined(__SSE2__)
  return (Vec<float>)(_mm_shuffle_ps((__m128)a, (__m128)b, 0x88) + _mm_shuffle_ps((__m128)a, (__m128)b, 0xDD));
#else
  constexpr int n = Vector<float>::lanes;
  Vec<float> r;
  for (int i = 0; i < n / 2; i++) r[i] = a[2 * i] + a[2 * i + 1], r[n / 2 + i] = b[2 * i] + b[2 * i + 1];
  return r;
#endif
}

// out += factor * sums: rounded twice, so that sums which are added up elsewhere first come to the same bits.
INLINE void add_scaled(double* out, const double* factor, const double* sums) {
  Vec<double> x = Vec<double>(*reinterpret_cast<const Doubles*>(factor)) * load_vector(sums);
  keep_apart(x);
  *reinterpret_cast<Doubles*>(out) += x;
}
INLINE void add_scaled(double* out, const double* factor, const float* sums) {
  HalfVector half;
  __builtin_memcpy(&half, sums, sizeof half);
  Vec<double> x = Vec<double>(*reinterpret_cast<const Doubles*>(factor)) * __builtin_convertvector(half, Vec<double>);
  keep_apart(x);
  *reinterpret_cast<Doubles*>(out) += x;
}

// out[k] += factor[k] * (sum over lanes of accumulator index[k]), with the signs of lane_mask[k] (nullptr: all plus).
// Lanes are added in the precision of the state, in one order for every k, the rest in double.
template <class Real>
void sum_lanes(const Real* accumulators, const std::uint32_t* index, const std::uint8_t* lane_mask,
               const double* factor, std::size_t n, int valid_lanes, double* out) {
  constexpr int W = Vector<Real>::lanes;
  Vec<Real> valid;
  for (int i = 0; i < W; i++) valid[i] = i < valid_lanes ? Real(1) : Real(0);
  const bool plain = !lane_mask && valid_lanes >= W;
  for (std::size_t k = 0; k < n; k += W) {
    const int count = n - k < std::size_t(W) ? int(n - k) : W;
    Vec<Real> v[W];
    if (plain && count == W) {
#pragma GCC unroll 16
      for (int i = 0; i < W; i++) v[i] = load_vector(accumulators + std::size_t(W) * index[k + std::size_t(i)]);
    } else {
      for (int i = 0; i < W; i++) {
        v[i] = i < count ? load_vector(accumulators + std::size_t(W) * index[k + std::size_t(i)]) * valid : Vec<Real>{};
        if (lane_mask && i < count) v[i] *= lane_sign<Real>(lane_mask[k + std::size_t(i)]);
      }
    }
#pragma GCC unroll 4
    for (int m = W / 2; m; m /= 2)
#pragma GCC unroll 8
      for (int i = 0; i < m; i++) v[i] = add_pairs(v[2 * i], v[2 * i + 1]);
    alignas(VB) Real sums[W];
    store_vector(sums, v[0]);
    if (count == W) {
      for (int i = 0; i < W; i += kDoubles) add_scaled(out + k + i, factor + k + i, sums + i);
    } else {
      alignas(VB) double padded[2][W] = {};
      for (int i = 0; i < count; i++) padded[0][i] = out[k + std::size_t(i)], padded[1][i] = factor[k + std::size_t(i)];
      for (int i = 0; i < W; i += kDoubles) add_scaled(padded[0] + i, padded[1] + i, sums + i);
      for (int i = 0; i < count; i++) out[k + std::size_t(i)] = padded[0][i];
    }
  }
}

// out = sum over rows and the sample's lanes of |a * scale - b|^2, for `count` samples of 2^lane_bits lanes. Planes: of
// a row, 1 of real states.
template <class Real, int Planes = 2>
void distances(const char* a, const char* b, std::size_t rows, double scale, int lane_bits, int count, double* out) {
  constexpr int W = Vector<Real>::lanes;
  for (int i = 0; i < count; i++) out[i] = 0;
  const Real s = Real(scale);
  constexpr std::size_t together = std::size_t(1) << qmltrain::kDistanceBits;
  for (std::size_t first = 0; first < rows; first += together) {
    Vec<Real> sum{};
    for (std::size_t r = first; r < rows && r < first + together; r++) {
      const Vec<Real>*p = plane<Real>(a, r * Planes * VB), *q = plane<Real>(b, r * Planes * VB);
      const Vec<Real> re = p[0] * s - q[0];
      if constexpr (Planes == 2) {
        const Vec<Real> im = p[1] * s - q[1];
        sum += re * re + im * im;
      } else {
        sum += re * re;
      }
    }
    for (int i = 0; i < count; i++) {
      Vec<Real> of_sample{};
      for (int lane = 0; lane < W; lane++) of_sample[lane] = lane >> lane_bits == i ? sum[lane] : Real(0);
      out[i] += horizontal(of_sample);
    }
  }
}

// Blocks of 2^kDistanceBits rows, depth first: rows of level j have the factors of bits 0 .. kDistanceBits + j - 1, so
// that every row is multiplied in the order of `product`, and a block takes one multiplication a row from the level
// above. Blocks come in another order than their rows; their sums are added in the order of the rows.
template <class Real, int Planes = 2>
void product_distances(const char* a, int bits, const Real* first, const Real* cos_sin, double scale, int lane_bits,
                       int count, Real* scratch, double* out) {
  constexpr int W = Vector<Real>::lanes, low = qmltrain::kDistanceBits;
  const int levels = bits > low ? bits - low : 0, low_bits = bits - levels;
  const std::size_t block = std::size_t(1) << low_bits, stride = W << low;
  auto factor = [&](int bit, std::size_t one) { return load_vector(cos_sin + (2 * std::size_t(bit) + one) * W); };
  store_vector(scratch, load_vector(first));
  for (int bit = 0; bit < low_bits; bit++)
    for (std::size_t r = 0, n = std::size_t(1) << bit; r < n; r++) {
      const Vec<Real> x = load_vector(scratch + W * r);
      store_vector(scratch + W * (n + r), factor(bit, 1) * x), store_vector(scratch + W * r, factor(bit, 0) * x);
    }
  double total[std::size_t(1) << qmltrain::kMostProductBits >> low][qmltrain::kMaxLanes];
  const std::size_t blocks = std::size_t(1) << levels;
  const Real s = Real(scale);
  for (std::size_t k = 0; k < blocks; k++) {
    std::size_t number = 0;  // of the block among the rows: the bits of k reversed
    for (int j = 0; j < levels; j++) number |= (k >> (levels - 1 - j) & 1) << j;
    const int changed = k ? levels - 1 - __builtin_ctzll(k) : 0;
    for (int j = changed; j < levels - 1; j++) {  // rows of level j + 1
      const Vec<Real> f = factor(low + j, number >> j & 1);
      for (std::size_t r = 0; r < block; r++)
        store_vector(scratch + stride * std::size_t(j + 1) + W * r,
                     f * load_vector(scratch + stride * std::size_t(j) + W * r));
    }
    const Real* above = scratch + stride * std::size_t(levels ? levels - 1 : 0);
    const Vec<Real> f = levels ? factor(bits - 1, number >> (levels - 1) & 1) : Vec<Real>{};
    Vec<Real> sum{};
    for (std::size_t r = 0; r < block; r++) {
      const Vec<Real>* p = plane<Real>(a, (number * block + r) * Planes * VB);
      Vec<Real> b = load_vector(above + W * r);
      if (levels) {
        b *= f;
        keep_apart(b);
      }
      const Vec<Real> re = p[0] * s - b;
      if constexpr (Planes == 2) {
        const Vec<Real> im = p[1] * s;
        sum += re * re + im * im;
      } else {
        sum += re * re;
      }
    }
    for (int i = 0; i < count; i++) {
      Vec<Real> of_sample{};
      for (int lane = 0; lane < W; lane++) of_sample[lane] = lane >> lane_bits == i ? sum[lane] : Real(0);
      total[number][i] = horizontal(of_sample);
    }
  }
  for (int i = 0; i < count; i++) {
    out[i] = 0;
    for (std::size_t k = 0; k < blocks; k++) out[i] += total[k][i];
  }
}

// One more qubit of a product state: rows z and z ^ mask for z < rows get c and s times what z holds (real planes).
template <class Real, int Planes = 2>
void product(char* state, std::size_t rows, std::size_t mask, const Real* cosine, const Real* sine) {
  const Vec<Real> c = load_vector(cosine), s = load_vector(sine);
  for (std::size_t i = 0; i < rows; i++) {
    Vec<Real>*p = plane<Real>(state, i * Planes * VB), *q = plane<Real>(state, (i ^ mask) * Planes * VB);
    const Vec<Real> a = p[0];
    q[0] = s * a;
    if constexpr (Planes == 2) q[1] = Vec<Real>{};
    p[0] = c * a;
  }
}

}  // namespace
