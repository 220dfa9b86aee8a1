// Gate runs with per-sample angles: their Euler angles, and v back to each of their rotations, a vector of (run, sample)
// at a time. The formulas of `euler` and `chain` (arithmetic.hpp), in the precision of the states; phases as integer
// angles (tables.hpp).
#pragma once
#include "tables.hpp"

namespace {

template <class Real> INLINE Vec<Real> pick(VecInt<Real> mask, Vec<Real> a, Vec<Real> b) {
  return (Vec<Real>)(((VecInt<Real>)a & mask) | ((VecInt<Real>)b & ~mask));
}
template <class Real> INLINE Vec<Real> root_of(Vec<Real> a) {
#if VB == 64 && defined(__AVX512F__)
  if constexpr (sizeof(Real) == 4) return (Vec<Real>)_mm512_sqrt_ps((__m512)a);
  else return (Vec<Real>)_mm512_sqrt_pd((__m512d)a);
#elif VB == 32 && defined(__AVX2__)
  if constexpr (sizeof(Real) == 4) return (Vec<Real>)_mm256_sqrt_ps((__m256)a);
  else return (Vec<Real>)_mm256_sqrt_pd((__m256d)a);
#else
  for (int i = 0; i < Vector<Real>::lanes; i++) a[i] = sizeof(Real) == 4 ? __builtin_sqrtf(a[i]) : __builtin_sqrt(a[i]);
  return a;
#endif
}

// atan(a) for |a| <= tan(pi / 8) (Cephes coefficients)
INLINE Vec<float> atan_near_zero(Vec<float> a) {
  const Vec<float> z = a * a;
  return a + a * z * (-3.33329491539e-1f + z * (1.99777106478e-1f + z * (-1.38776856032e-1f + z * 8.05374449538e-2f)));
}
INLINE Vec<double> atan_near_zero(Vec<double> a) {
  const Vec<double> z = a * a;
  const Vec<double> p =
      -6.485021904942025371773e1 + z * (-1.228866684490136173410e2 + z * (-7.500855792314704667340e1 +
      z * (-1.615753718733365076637e1 + z * -8.750608600031904122785e-1)));
  const Vec<double> q =
      1.945506571482613964425e2 + z * (4.853903996359136964868e2 + z * (4.328810604912902668951e2 +
      z * (1.650270098316988542046e2 + z * (2.485846490142306297962e1 + z))));
  return a + a * z * p / q;
}

// atan2(y, x) in units of pi, with atan2(0, 0) = 0
template <class Real> INLINE Vec<Real> half_turns(Vec<Real> y, Vec<Real> x) {
  typedef Vec<Real> V;
  typedef VecInt<Real> VI;
  const V zero{}, one = splat(Real(1)), ay = y < zero ? -y : y, ax = x < zero ? -x : x;
  const VI swap = ay > ax;
  const V top = pick<Real>(swap, ax, ay), bottom = pick<Real>(swap, ay, ax);
  V a = top / pick<Real>(bottom == zero, one, bottom);
  const VI large = a > splat(Real(0.41421356237309504880));
  a = pick<Real>(large, (a - one) / (a + one), a);
  V r = atan_near_zero(a) * Real(0.31830988618379067154);
  r = pick<Real>(large, r + Real(0.25), r);
  r = pick<Real>(swap, Real(0.5) - r, r);
  r = pick<Real>(x < zero, one - r, r);
  return pick<Real>(y < zero, -r, r);
}
// phi / (2 pi), |phi| <= 2 pi -> an integer angle (host/integer_angle.hpp), in two halves so that no conversion overflows
template <class Real> INLINE VecBits<Real> integer_of_turns(Vec<Real> turns) {
  const Vec<Real> fraction = turns * Real(sizeof(Real) == 4 ? 1073741824.0 : 4611686018427387904.0);
  return (VecBits<Real>)__builtin_convertvector(fraction, VecInt<Real>) << 1;
}

// n vectors of runs of `count` rotations about `axes`. gates: of each rotation, of each vector, cosines of half its
// angle, then sines. Out: rotations, cosines and sines of beta / 2, both >= 0; integer angles alpha and gamma.
template <class Real>
void sample_euler(std::size_t n, int count, const std::uint8_t* axes, const Real* gates, Real* rotations, void* alpha,
                  void* gamma) {
  constexpr std::size_t W = Vector<Real>::lanes;
  typedef Vec<Real> V;
  for (std::size_t i = 0; i < n; i++) {
    V w = splat(Real(1)), v[3] = {};
    for (int k = 0; k < count; k++) {
      const Real* gate = gates + 2 * W * (n * std::size_t(k) + i);
      const V c = load_vector(gate), s = load_vector(gate + W);
      V &a = v[axes[k]], &b = v[(axes[k] + 1) % 3], &d = v[(axes[k] + 2) % 3];
      const V w1 = c * w - s * a, a1 = c * a + s * w, b1 = c * b - s * d, d1 = c * d + s * b;
      w = w1, a = a1, b = b1, d = d1;
    }
    const V cc = w * w + v[2] * v[2], ss = v[0] * v[0] + v[1] * v[1];
    const V norm = Real(1.5) - Real(0.5) * (cc + ss);  // 1 / sqrt(cc + ss), which is 1 but for rounding
    store_vector(rotations + 2 * W * i, root_of<Real>(cc) * norm);
    store_vector(rotations + 2 * W * i + W, root_of<Real>(ss) * norm);
    const V sum = half_turns<Real>(v[2], w), difference = half_turns<Real>(v[0], v[1]);  // (alpha +- gamma) / 2
    static_cast<VecBits<Real>*>(alpha)[i] = integer_of_turns<Real>(Real(0.5) * (sum + difference));
    static_cast<VecBits<Real>*>(gamma)[i] = integer_of_turns<Real>(Real(0.5) * (sum - difference));
  }
}

// v: n vectors each of v_x, v_y, v_z, right after R. along: for each rotation n vectors, its axis . v.
template <class Real>
void sample_chain(std::size_t n, int count, const std::uint8_t* axes, const Real* gates, const void* gamma, Real* v,
                  Real* along) {
  constexpr std::size_t W = Vector<Real>::lanes;
  typedef Vec<Real> V;
  for (std::size_t i = 0; i < n; i++) {
    const V v0 = load_vector(v + W * i), v1 = load_vector(v + W * (n + i));
    V s, c;
    const VecBits<Real> half = static_cast<const VecBits<Real>*>(gamma)[i];
    sine_cosine_of(half + half, s, c);
    V a[3] = {c * v0 - s * v1, s * v0 + c * v1, load_vector(v + W * (2 * n + i))};
    for (int k = count - 1; k >= 0; k--) {
      const int axis = axes[k];
      store_vector(along + W * (n * std::size_t(k) + i), a[axis]);
      const Real* gate = gates + 2 * W * (n * std::size_t(k) + i);
      const V hc = load_vector(gate), hs = load_vector(gate + W);
      const V sk = Real(2) * hs * hc, ck = hc * hc - hs * hs;
      V &x = a[(axis + 1) % 3], &y = a[(axis + 2) % 3];
      const V x1 = ck * x + sk * y, y1 = ck * y - sk * x;
      x = x1, y = y1;
    }
  }
}

}  // namespace
