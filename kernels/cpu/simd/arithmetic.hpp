// Host arithmetic in float64, vectorised over gate runs: half-angle sines, quaternions of merged gate runs, and the
// rotation of v back through the gates of a run. Arrays hold a multiple of 8 numbers.
//
// `euler` and `chain` are, with host/gate_runs.cpp, the chain rule of a merged gate run;
// qmltrain/engines/plan_values.py is the same in NumPy, for the engines without C++. Whoever changes one changes the
// other.
#pragma once
#include "sums.hpp"

namespace {

// Cody-Waite reduction by pi/2 in three parts, then polynomials (Cephes coefficients). It holds for |x| up to 1e6;
// beyond, multiples of 2 pi are taken off first, as exactly as one multiplication can.
INLINE void sine_cosine(VD x, VD& s, VD& c) {
  const VD big = VD{} + 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer in the low bits
  const VD cycles = x * 0.15915494309189533577;
  x = pick(magnitude(x) > 1e6, (cycles - ((cycles + big) - big)) * 6.28318530717958647693, x);
  const VD shifted = x * 0.63661977236758134308 + big;
  const VL q = (VL)shifted;
  const VD k = shifted - big;
  const VD r = ((x - k * 1.57079632673412561417e+00) - k * 6.07710050630396597660e-11) - k * 2.02226624879595063154e-21;
  VD sn, cs;
  sine_cosine_poly(r, sn, cs);
  const VL odd = (q & 1) != 0;
  s = (VD)((VU)pick(odd, cs, sn) ^ (((VU)q & 2) << 62));
  c = (VD)((VU)pick(odd, sn, cs) ^ ((((VU)q + 1) & 2) << 62));
}

// atan2(y, x), with atan2(0, 0) = 0 (Cephes rational approximation of atan on [0, tan(pi/8)]).
INLINE VD angle_of(VD y, VD x) {
  const VD ay = magnitude(y), ax = magnitude(x);
  const VL swap = ay > ax;
  const VD top = pick(swap, ax, ay), bottom = pick(swap, ay, ax);
  const VL zero = bottom == 0.0;
  VD a = top / pick(zero, VD{} + 1.0, bottom);
  const VL large = a > 0.41421356237309504880;
  a = pick(large, (a - 1.0) / (a + 1.0), a);
  const VD z = a * a;
  const VD p = -6.485021904942025371773e1 + z * (-1.228866684490136173410e2 + z * (-7.500855792314704667340e1 +
               z * (-1.615753718733365076637e1 + z * -8.750608600031904122785e-1)));
  const VD q = 1.945506571482613964425e2 + z * (4.853903996359136964868e2 + z * (4.328810604912902668951e2 +
               z * (1.650270098316988542046e2 + z * (2.485846490142306297962e1 + z))));
  VD r = a + a * z * p / q;
  r = pick(large, r + 0.78539816339744830962, r);
  r = pick(swap, 1.57079632679489661923 - r, r);
  r = pick(x < 0.0, 3.14159265358979323846 - r, r);
  return (VD)((VL)r | ((VL)y & ~0x7fffffffffffffffLL));
}

INLINE VD at(const double* p) { return load_vector(p); }

void sine_cosine_array(std::size_t n, const double* angle, double* sine, double* cosine) {
  for (std::size_t i = 0; i < n; i += kDoubles) {
    VD s, c;
    sine_cosine(at(angle + i), s, c);
    store_vector(sine + i, s), store_vector(cosine + i, c);
  }
}

// half: n vectors of half angles of per-sample rotations; out: of each vector, cosines, then sines. Angles are
// finite: the binding looks.
void half_angle_cos_sin(std::size_t n, const double* half, double* out) {
  for (std::size_t i = 0; i < n; i++) {
    VD s, c;
    sine_cosine(at(half + kDoubles * i), s, c);
    store_vector(out + 2 * kDoubles * i, c), store_vector(out + 2 * kDoubles * i + kDoubles, s);
  }
}
// Half angles over 2 pi to integers, 2^32 of which are 2 pi, as diagonals have them; in the low half of each 64 bits.
INLINE VecBits<float> integer_of_cycles(VD cycles) {
  const VD big = VD{} + 6755399441055744.0;  // 1.5 * 2^52: adding it rounds to an integer in the low bits
  const VD fraction = cycles - ((cycles + big) - big);
  return (VecBits<float>)(fraction * 4294967296.0 + big);
}
// Half angles as they are, or over 2 pi already: then no product is there that one instruction set rounds and another
// does not.
enum AngleUnit { kRadians, kCycles };
template <AngleUnit Unit> INLINE VD cycles_of(VD x) {
  if constexpr (Unit == kRadians) x = x * 0.15915494309189533577;
  return x;
}
// The even numbers of a, then of b.
#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, VecBits<float>{__VA_ARGS__})
#endif
INLINE VecBits<float> evens(VecBits<float> a, VecBits<float> b) {
#if VB == 64
  return SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
#elif VB == 32
  return SHUFFLE(a, b, 0, 2, 4, 6, 8, 10, 12, 14);
#else
  return SHUFFLE(a, b, 0, 2, 4, 6);
#endif
}
#undef SHUFFLE
void half_angle_cos_sin(std::size_t n, const double* half, float* out) {
  constexpr int W = Vector<float>::lanes;
  for (std::size_t i = 0; i < n; i++) {
    const VD x = at(half + W * i), y = at(half + W * i + kDoubles);
    Vec<float> s, c;
    sine_cosine_of(evens(integer_of_cycles(cycles_of<kRadians>(x)), integer_of_cycles(cycles_of<kRadians>(y))), s, c);
    store_vector(out + 2 * W * i, c), store_vector(out + 2 * W * i + W, s);
  }
}

// The same in double: 2^64 of them are 2 pi.
INLINE VU integer_of_cycles_dual(VD cycles) {
  const VD big = VD{} + 6755399441055744.0;
  const VD fraction = cycles - ((cycles + big) - big);
  return (VU)__builtin_convertvector(fraction * 9223372036854775808.0, VL) * 2;
}

// n vectors of half angles to integer angles.
template <AngleUnit Unit> [[maybe_unused]] void integer_angles_single(std::size_t n, const double* from, void* out) {
  constexpr int W = Vector<float>::lanes;
  for (std::size_t i = 0; i < n; i++)
    static_cast<VecBits<float>*>(out)[i] = evens(integer_of_cycles(cycles_of<Unit>(at(from + W * i))),
                                                 integer_of_cycles(cycles_of<Unit>(at(from + W * i + kDoubles))));
}
template <AngleUnit Unit> [[maybe_unused]] void integer_angles_dual(std::size_t n, const double* from, void* out) {
  for (std::size_t i = 0; i < n; i++)
    static_cast<VU*>(out)[i] = integer_of_cycles_dual(cycles_of<Unit>(at(from + kDoubles * i)));
}

// n gate runs of one sequence of axes, rotation k in row k of half_sine and half_cosine: the product as a quaternion
// w - i (x X + y Y + z Z), and from it U = RZ(gamma) RY(beta) RZ(alpha); cos_half, sin_half are of beta / 2.
void euler(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine, const double* half_cosine,
           double* alpha, double* gamma, double* cos_half, double* sin_half) {
  for (std::size_t r = 0; r < n; r += kDoubles) {
    VD w = VD{} + 1.0, v[3] = {};
    for (int k = 0; k < n_rotations; k++) {
      const VD s = at(half_sine + k * n + r), c = at(half_cosine + k * n + r);
      VD &a = v[axes[k]], &b = v[(axes[k] + 1) % 3], &d = v[(axes[k] + 2) % 3];
      const VD w1 = c * w - s * a, a1 = c * a + s * w, b1 = c * b - s * d, d1 = c * d + s * b;
      w = w1, a = a1, b = b1, d = d1;
    }
    const VD sum = angle_of(v[2], w), difference = angle_of(v[0], v[1]);
    store_vector(alpha + r, sum + difference);
    store_vector(gamma + r, sum - difference);
    store_vector(cos_half + r, root(w * w + v[2] * v[2]));
    store_vector(sin_half + r, root(v[0] * v[0] + v[1] * v[1]));
  }
}

// v (3 rows of n: x, y, z, right after R) carried back to each rotation; row k of `along` is axis_k . v, the raw sum of
// rotation k's angle.
void chain(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine, const double* half_cosine,
           const double* gamma, double* v, double* along) {
  for (std::size_t r = 0; r < n; r += kDoubles) {
    VD a[3] = {at(v + r), at(v + n + r), at(v + 2 * n + r)}, s, c;
    sine_cosine(at(gamma + r), s, c);
    const VD x = c * a[0] - s * a[1], y = s * a[0] + c * a[1];
    a[0] = x, a[1] = y;
    for (int k = n_rotations - 1; k >= 0; k--) {
      const int axis = axes[k];
      store_vector(along + k * n + r, a[axis]);
      const VD hs = at(half_sine + k * n + r), hc = at(half_cosine + k * n + r);
      const VD sk = 2.0 * hs * hc, ck = hc * hc - hs * hs;
      VD &i = a[(axis + 1) % 3], &j = a[(axis + 2) % 3];
      const VD i1 = ck * i + sk * j, j1 = ck * j - sk * i;
      i = i1, j = j1;
    }
  }
}

}  // namespace
