// Phases from integer angles.
//
// The angle at address z is sum_S phi_S (-1)^parity(S & z): a Walsh-Hadamard transform of the phi's over their masks.
// Angles are integers, 2^32 of which (2^64 for double) are 2 pi: sums wrap around exactly as angles do, so the
// transform is exact however many terms there are and no range reduction is needed before sine and cosine.
#pragma once
#include "vector.hpp"

namespace {

// In place over coordinates first, ..., bits - 1 of 2^bits vectors, pairs of them at a time.
template <class V> INLINE void walsh_rows(V* a, int first, int bits) {
  const std::size_t n = std::size_t(1) << bits;
  int q = first;
  if ((bits - first) & 1) {
    const std::size_t s = std::size_t(1) << q++;
    for (std::size_t i = 0; i < n; i += 2 * s)
      for (std::size_t j = i; j < i + s; j++) {
        const V x = a[j], y = a[j + s];
        a[j] = x + y, a[j + s] = x - y;
      }
  }
  for (; q < bits; q += 2) {
    const std::size_t s = std::size_t(1) << q;
    for (std::size_t i = 0; i < n; i += 4 * s)
      for (std::size_t j = i; j < i + s; j++) {
        const V x = a[j] + a[j + s], y = a[j] - a[j + s];
        const V z = a[j + 2 * s] + a[j + 3 * s], u = a[j + 2 * s] - a[j + 3 * s];
        a[j] = x + z, a[j + s] = y + u, a[j + 2 * s] = x - z, a[j + 3 * s] = y - u;
      }
  }
}

// Within each vector over the lowest lane bits.
template <class Real> INLINE VecBits<Real> walsh_lanes(VecBits<Real> v, int bits) {
  for (int q = 0; q < bits; q++) {
    const VecBits<Real> m = *reinterpret_cast<const VecBits<Real>*>(kLanes<Real>.odd[q]);
    v = xor_lanes<Real>(v, 1 << q) + ((v ^ m) - m);
  }
  return v;
}

// e^{-2 pi i a / 2^bits}: quadrant from the two top bits, then polynomials on |x| <= pi / 4 (Cephes coefficients).
INLINE void sine_cosine_of(VecBits<float> a, Vec<float>& s, Vec<float>& c) {
  typedef VecInt<float> VI;
  typedef VecBits<float> VU;
  typedef Vec<float> VF;
  const VU q = (a + (1u << 29)) >> 30;
  const VI rest = (VI)(a - (q << 30));
  const VF x = __builtin_convertvector(rest, VF) * 1.4629180792671596e-9f, z = x * x;  // 2 pi / 2^32
  const VF sn = x + x * z * (-1.6666654611e-1f + z * (8.3321608736e-3f - z * 1.9515295891e-4f));
  const VF cs = 1.0f - 0.5f * z +
                z * z * (4.166664568298827e-2f + z * (-1.388731625493765e-3f + z * 2.443315711809948e-5f));
  const VI odd = (q & 1) != 0;
  s = (VF)((VU)((odd & (VI)cs) | (~odd & (VI)sn)) ^ ((q & 2) << 30));
  c = (VF)((VU)((odd & (VI)sn) | (~odd & (VI)cs)) ^ (((q + 1) & 2) << 30));
}
INLINE void sine_cosine_poly(Vec<double> x, Vec<double>& sn, Vec<double>& cs) {
  const Vec<double> z = x * x;
  sn = x + x * z * (-1.66666666666666307295e-1 + z * (8.33333333332211858878e-3 + z * (-1.98412698295895385996e-4 +
       z * (2.75573136213857245213e-6 + z * (-2.50507477628578072866e-8 + z * 1.58962301576546568060e-10)))));
  cs = 1.0 - 0.5 * z + z * z * (4.16666666666665929218e-2 + z * (-1.38888888888730564116e-3 +
       z * (2.48015872888517045348e-5 + z * (-2.75573141792967388112e-7 +
       z * (2.08757008419747316778e-9 + z * -1.13585365213876817300e-11)))));
}
INLINE void sine_cosine_of(VecBits<double> a, Vec<double>& s, Vec<double>& c) {
  typedef VecInt<double> VI;
  typedef VecBits<double> VU;
  typedef Vec<double> VD;
  const VU q = (a + (std::uint64_t(1) << 61)) >> 62;
  const VI rest = (VI)(a - (q << 62));
  VD sn, cs;
  sine_cosine_poly(__builtin_convertvector(rest, VD) * 3.4061215800865545e-19, sn, cs);  // 2 pi / 2^64
  const VI odd = (q & 1) != 0;
  s = (VD)((VU)((odd & (VI)cs) | (~odd & (VI)sn)) ^ ((q & 2) << 62));
  c = (VD)((VU)((odd & (VI)sn) | (~odd & (VI)cs)) ^ (((q + 1) & 2) << 62));
}

// re, im of the first `used` lanes.
template <class Real> INLINE void store_pairs(Vec<Real> re, Vec<Real> im, int used, Real* table) {
  constexpr int W = Vector<Real>::lanes;
  alignas(VB) Real r[W], i[W];
  store_vector(r, re), store_vector(i, im);
  for (int k = 0; k < used; k++) table[2 * k] = r[k], table[2 * k + 1] = i[k];
}

// scalar_table: `angles` holds 2^bits angles by mask (one for each row); table gets re, im pairs times scale.
// Short tables are padded to a vector by the caller.
template <class Real> void scalar_table(void* angles, int bits, Real scale, Real* table) {
  constexpr int W = Vector<Real>::lanes;
  VecBits<Real>* a = static_cast<VecBits<Real>*>(angles);
  const int in_lanes = bits < Vector<Real>::lane_bits ? bits : Vector<Real>::lane_bits;
  const std::size_t n = std::size_t(1) << (bits - in_lanes);
  for (std::size_t i = 0; i < n; i++) a[i] = walsh_lanes<Real>(a[i], in_lanes);
  walsh_rows(a, 0, bits - in_lanes);
  const int used = 1 << in_lanes;
  for (std::size_t i = 0; i < n; i++) {
    Vec<Real> s, c;
    sine_cosine_of(a[i], s, c);
    store_pairs<Real>(c * scale, s * -scale, used, table + 2 * W * i);
  }
}

// scalar_tables: short ones in fours, each of which would wait for itself.
template <class Real, int N>
INLINE void some_tables(const VecBits<Real>* angles, int bits, const Real* scales, Real* const* tables) {
  VecBits<Real> a[N];
  for (int i = 0; i < N; i++) a[i] = angles[i];
  for (int q = 0; q < bits; q++) {
    const VecBits<Real> m = *reinterpret_cast<const VecBits<Real>*>(kLanes<Real>.odd[q]);
    for (int i = 0; i < N; i++) a[i] = xor_lanes<Real>(a[i], 1 << q) + ((a[i] ^ m) - m);
  }
  Vec<Real> s[N], c[N];
  for (int i = 0; i < N; i++) sine_cosine_of(a[i], s[i], c[i]);
  for (int i = 0; i < N; i++) store_pairs<Real>(c[i] * scales[i], s[i] * -scales[i], 1 << bits, tables[i]);
}
template <class Real>
void scalar_tables(const void* angles, std::size_t n, int bits, const Real* scales, Real* const* tables) {
  const VecBits<Real>* a = static_cast<const VecBits<Real>*>(angles);
  std::size_t i = 0;
  for (; i + 4 <= n; i += 4) some_tables<Real, 4>(a + i, bits, scales + i, tables + i);
  for (; i < n; i++) some_tables<Real, 1>(a + i, bits, scales + i, tables + i);
}

// vector_table: of 2^bits rows, each lane with its own angles. Masks are few and rows are many: the rows of a block
// differ in their low coordinates alone, so each mask adds one vector to a block before its transform, with the sign
// that the high coordinates give it.
template <class Real> void vector_table(const qmltrain::MaskAngles& angles, int bits, Real scale, Real* table) {
  constexpr int W = Vector<Real>::lanes;
  VecBits<Real>* a = static_cast<VecBits<Real>*>(angles.block);
  const VecBits<Real>* given = static_cast<const VecBits<Real>*>(angles.angles);
  const std::size_t n = std::size_t(1) << bits, block = std::size_t(1) << angles.block_bits;
  for (std::size_t i = 0; i < block; i++) a[i] = VecBits<Real>{};
  for (std::size_t first = 0; first < n; first += block) {
    for (std::size_t j = 0; j < angles.count; j++) {
      const std::size_t row = angles.rows[j];
      const VecBits<Real> minus = VecBits<Real>{} - typename Int<Real>::bits(parity(row & first));
      a[row & (block - 1)] += (given[j] ^ minus) - minus;
    }
    walsh_rows(a, 0, angles.block_bits);
    for (std::size_t i = 0; i < block; i++, table += 2 * W) {
      Vec<Real> s, c;
      sine_cosine_of(a[i], s, c);
      a[i] = VecBits<Real>{};  // of the next block
      store_vector(table, c * scale);
      store_vector(table + W, -s * scale);
    }
  }
}

// product_table: phases e^{-2 pi i a / 2^bits}, a = angles[bits] + sum_i (-1)^{z_i} angles[i], of 2^bits rows z times a
// number for each row (`shared`: re, im). Products over a third of the coordinates at a time first, by doubling:
// bit i multiplies by e^{2 pi i 2 angles[i] / 2^bits}. No sine of a row: 8 multiply-adds instead.
template <class Real> INLINE void double_up(Vec<Real>* re, Vec<Real>* im, const VecBits<Real>* angles, int bits) {
  for (int i = 0; i < bits; i++) {
    Vec<Real> s, c;
    sine_cosine_of(angles[i] + angles[i], s, c);
    for (int z = 0; z < 1 << i; z++) {
      re[z | 1 << i] = re[z] * c - im[z] * s;
      im[z | 1 << i] = re[z] * s + im[z] * c;
    }
  }
}
template <class Real> void product_table(const void* angles, int bits, const Real* shared, Real* table) {
  constexpr int W = Vector<Real>::lanes, most = qmltrain::kMostProductTableBits / 3;
  const VecBits<Real>* a = static_cast<const VecBits<Real>*>(angles);
  const int low = bits < 2 * most ? bits / 2 : bits - most < most ? bits - most : most;
  const int high = bits - low < most ? bits - low : most, rest = bits - low - high;
  VecBits<Real> sum = a[bits];
  for (int i = 0; i < bits; i++) sum += a[i];
  Vec<Real> lr[1 << most], li[1 << most], hr[1 << most], hi[1 << most], rr[1 << most], ri[1 << most];
  Vec<Real> s;
  sine_cosine_of(sum, s, lr[0]);
  li[0] = -s;
  hr[0] = rr[0] = splat(Real(1)), hi[0] = ri[0] = Vec<Real>{};
  double_up<Real>(lr, li, a, low);
  double_up<Real>(hr, hi, a + low, high);
  double_up<Real>(rr, ri, a + low + high, rest);
  const Real* number = shared;
  for (int r = 0; r < 1 << rest; r++)
    for (int h = 0; h < 1 << high; h++) {
      const Vec<Real> xr = hr[h] * rr[r] - hi[h] * ri[r], xi = hr[h] * ri[r] + hi[h] * rr[r];
      for (int l = 0; l < 1 << low; l++, number += 2, table += 2 * W) {
        const Vec<Real> re = lr[l] * xr - li[l] * xi, im = lr[l] * xi + li[l] * xr;
        const Vec<Real> nr = splat(number[0]), ni = splat(number[1]);
        store_vector(table, re * nr - im * ni);
        store_vector(table + W, re * ni + im * nr);
      }
    }
}

}  // namespace
