// Going back over rotations: v_x = Im<bra|X|psi> and v_y = Im<bra|Y|psi> of one or two qubits, then the inverse
// rotation of psi and bra.
//
// Two qubits share their products in the Bell basis of the four rows of a coset. With sums and differences
//     s = a00 + a11, d = a00 - a11, e = a01 + a10, f = a01 - a10     (additions and multiply-adds overlap)
// of psi (plain) and of the bra (primed):
//     y0 + y1 = e'd - d'e,  y0 - y1 = f's - s'f,  x0 + x1 = Im(e*s + s*e),  x0 - x1 = Im(f*d + d*f):
// 16 multiply-adds and 16 adds instead of 32 multiply-adds.
#pragma once
#include "rotate.hpp"

namespace {

using qmltrain::RotateBackCall;

template <class Real> struct Bell { Vec<Real> s, d, e, f; };
template <class Real> INLINE Bell<Real> bell(Vec<Real> a, Vec<Real> b, Vec<Real> g, Vec<Real> h) {
  return {a + h, a - h, b + g, b - g};
}

// Sums of two qubits 0 and 1: sx, sy of x0 + x1, y0 + y1, and dx, dy of x0 - x1, y0 - y1; of one qubit two halves of
// each. Split: what is subtracted has sums of its own, since four multiply-adds a coset on one register would wait for
// each other.
template <class Real, bool Split> struct VSums {
  Vec<Real> sx{}, dx{}, sy{}, dy{};
  Vec<Real> minus[Split ? 4 : 1]{};
  INLINE_MEMBER void subtract(Vec<Real>& sum, int i, Vec<Real> a, Vec<Real> b) {
    if constexpr (Split) minus[i] += a * b;
    else sum -= a * b;
  }
  INLINE_MEMBER void finish() {
    if constexpr (Split) sx -= minus[0], dx -= minus[1], sy -= minus[2], dy -= minus[3];
  }
};

template <class Real, bool Lanes>
INLINE Bell<Real> fetch_bell(Amp<Real>* const* q, Plane<Real> plane, const std::uint8_t* lane) {
  return bell<Real>(fetch<Real, Lanes>(q[0]->*plane, lane, 0), fetch<Real, Lanes>(q[1]->*plane, lane, 1),
                    fetch<Real, Lanes>(q[2]->*plane, lane, 2), fetch<Real, Lanes>(q[3]->*plane, lane, 3));
}

// Two rotations are two plane rotations in the Bell basis, of (s, f) by the difference and of (d, e) by the sum of
// their angles: with R = [[c, -s], [s, c]] for each,
//     s' = (c1 c2 + s1 s2) s - (s1 c2 - c1 s2) f,   d' = (c1 c2 - s1 s2) d - (s1 c2 + c1 s2) e,   f', e' likewise,
// as many multiply-adds as in the plain basis, half as many for per-sample ones, and nothing is read again.
template <class Real> struct BellRotation {
  Vec<Real> cs, ss, cd, sd;
  BellRotation() = default;
  BellRotation(const Vec<Real>* t, const Vec<Real>* c, bool scaled) {
    const Vec<Real> half = splat(Real(0.5)), c0 = scaled ? splat(Real(1)) : c[0], c1 = scaled ? splat(Real(1)) : c[1];
    cs = half * (c0 * c1 + t[0] * t[1]), cd = half * (c0 * c1 - t[0] * t[1]);
    ss = half * (t[0] * c1 - c0 * t[1]), sd = half * (t[0] * c1 + c0 * t[1]);
  }
};
template <class Real, bool Lanes>
INLINE void put_rotated(Amp<Real>* const* q, Plane<Real> plane, const Bell<Real>& x, const BellRotation<Real>& r,
                        const std::uint8_t* lane) {
  // The order, and pinning two of the products, are for GCC: it then finds a schedule that keeps the pipes full. 12.6
  // slots a row on Zen 4, where 12 multiplications are the limit; 13 to 15.5 in other ways of writing this.
  Vec<Real> fs = r.ss * x.f, ed = r.sd * x.e, sf = r.ss * x.s, de = r.sd * x.d;
  keep_apart(fs), keep_apart(sf);
  const Vec<Real> ss = r.cs * x.s, dd = r.cd * x.d, ff = r.cs * x.f, ee = r.cd * x.e;
  const Vec<Real> s = ss - fs, f = ff + sf, d = dd - ed, e = ee + de;
  put<Real, Lanes>(q[0]->*plane, s + d, lane, 0);
  put<Real, Lanes>(q[1]->*plane, e + f, lane, 1);
  put<Real, Lanes>(q[2]->*plane, e - f, lane, 2);
  put<Real, Lanes>(q[3]->*plane, s - d, lane, 3);
}

// p, q: the rows of a coset in psi and in bra; pr, pi, qr, qi their planes. For sixteen registers, which hold the sums
// and two quadruples: psi's real part is fetched twice, and products are added in pairs first, since the sums would
// wait for each other.
template <class Real, bool Lanes, bool WithX>
INLINE void v_two_by_planes(Amp<Real>* const* p, Amp<Real>* const* q, const std::uint8_t* lane, VSums<Real, false>& v) {
  const Bell<Real> qr = fetch_bell<Real, Lanes>(q, &Amp<Real>::re, lane);
  const Bell<Real> pr = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane);
  v.sy += qr.e * pr.d - qr.d * pr.e, v.dy += qr.f * pr.s - qr.s * pr.f;
  const Bell<Real> pi = fetch_bell<Real, Lanes>(p, &Amp<Real>::im, lane);
  if constexpr (WithX) v.sx += qr.e * pi.s + qr.s * pi.e, v.dx += qr.f * pi.d + qr.d * pi.f;
  const Bell<Real> qi = fetch_bell<Real, Lanes>(q, &Amp<Real>::im, lane);
  v.sy += qi.e * pi.d - qi.d * pi.e, v.dy += qi.f * pi.s - qi.s * pi.f;
  if constexpr (WithX) {
    const Bell<Real> again = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane);
    v.sx -= qi.e * again.s + qi.s * again.e, v.dx -= qi.f * again.d + qi.d * again.f;
  }
}

// v of two qubits. Rotate (thirty-two registers): then both states are rotated and written back.
template <class Real, bool Lanes, bool WithX, bool Rotate, bool Split>
INLINE void v_two(Amp<Real>* const* p, Amp<Real>* const* q, const std::uint8_t* lane, VSums<Real, Split>& v,
                  const BellRotation<Real>& rotation) {
  if constexpr (kRegisters == 16) {
    static_assert(!Rotate && !Split);
    return v_two_by_planes<Real, Lanes, WithX>(p, q, lane, v);
  } else {
    const Bell<Real> pr = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane);
    const Bell<Real> qr = fetch_bell<Real, Lanes>(q, &Amp<Real>::re, lane);
    v.sy += qr.e * pr.d; v.dy += qr.f * pr.s; v.subtract(v.sy, 2, qr.d, pr.e); v.subtract(v.dy, 3, qr.s, pr.f);
    const Bell<Real> pi = fetch_bell<Real, Lanes>(p, &Amp<Real>::im, lane);
    if constexpr (WithX) { v.sx += qr.e * pi.s; v.dx += qr.f * pi.d; v.sx += qr.s * pi.e; v.dx += qr.d * pi.f; }
    if constexpr (Rotate) put_rotated<Real, Lanes>(q, &Amp<Real>::re, qr, rotation, lane);
    const Bell<Real> qi = fetch_bell<Real, Lanes>(q, &Amp<Real>::im, lane);
    v.sy += qi.e * pi.d; v.dy += qi.f * pi.s; v.subtract(v.sy, 2, qi.d, pi.e); v.subtract(v.dy, 3, qi.s, pi.f);
    if constexpr (Rotate) put_rotated<Real, Lanes>(p, &Amp<Real>::im, pi, rotation, lane);
    if constexpr (WithX) {
      v.subtract(v.sx, 0, qi.e, pr.s); v.subtract(v.dx, 1, qi.f, pr.d);
      v.subtract(v.sx, 0, qi.s, pr.e); v.subtract(v.dx, 1, qi.d, pr.f);
    }
    if constexpr (Rotate) {
      put_rotated<Real, Lanes>(q, &Amp<Real>::im, qi, rotation, lane);
      put_rotated<Real, Lanes>(p, &Amp<Real>::re, pr, rotation, lane);
    }
  }
}

template <class Real, bool Lanes, bool WithX, bool Split>
INLINE void v_one(Amp<Real>* const* p, Amp<Real>* const* q, const std::uint8_t* lane, VSums<Real, Split>& v) {
  const Vec<Real> p0r = fetch<Real, Lanes>(p[0]->re, lane, 0), p0i = fetch<Real, Lanes>(p[0]->im, lane, 0);
  const Vec<Real> p1r = fetch<Real, Lanes>(p[1]->re, lane, 1), p1i = fetch<Real, Lanes>(p[1]->im, lane, 1);
  const Vec<Real> q0r = fetch<Real, Lanes>(q[0]->re, lane, 0), q0i = fetch<Real, Lanes>(q[0]->im, lane, 0);
  const Vec<Real> q1r = fetch<Real, Lanes>(q[1]->re, lane, 1), q1i = fetch<Real, Lanes>(q[1]->im, lane, 1);
  if constexpr (WithX) {
    v.sx += q0r * p1i; v.dx += q1r * p0i;
    v.subtract(v.sx, 0, q0i, p1r); v.subtract(v.dx, 1, q1i, p0r);
  }
  v.sy += q1r * p0r; v.dy += q1i * p0i; v.subtract(v.sy, 2, q0r, p1r); v.subtract(v.dy, 3, q0i, p1i);
}

// Undo = false: v only, nothing is written (psi was kept, or the rotations made the initial product state).
template <class Real, int K, bool PerSample, bool Lanes, bool WithX, bool Undo>
void rotate_back(const RotateBackCall<Real>& call, const Operands<Real>& operands) {
  constexpr int M = 1 << K, W = Vector<Real>::lanes;
  constexpr RotationKind kind = kKind<PerSample>;
  const RotateCall<Real>& g = call.rotate;
  Vec<Real> t[2]{}, c[2]{};
  auto inverse = [&](const Real* cos_sin) {
    coefficients<Real, K, kind, Lanes>(g, cos_sin, t, c);
    for (int k = 0; k < K; k++) t[k] = -t[k];
  };
  constexpr bool in_bell = Undo && K == 2 && kRegisters == 32;  // else a coset does not fit the registers
  if constexpr (Undo && !PerSample) inverse(nullptr);
  const std::uint32_t n_low = g.n_low, n_high = g.n_high;
  const Offset *low = g.rows.low, *high = g.rows.high;
  char *psi = operands.psi, *bra = operands.bra;
  Offset member[M];
  for (int j = 0; j < M; j++) member[j] = g.rows.member[j] ^ operands.base;
  for (int unit = 0; unit < operands.units; unit++) {
    if constexpr (Undo && PerSample) inverse(operands.cos_sin + operands.cos_sin_stride * std::size_t(unit));
    const BellRotation<Real> rotation(t, c, !PerSample);
    VSums<Real, !Undo && kRegisters == 32> v;
    for (std::uint32_t h = 0; h < n_high; h++)
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high[h] ^ low[l];
        Amp<Real>*p[M], *q[M];
        for (int j = 0; j < M; j++) {
          p[j] = pinned<Real>(psi, at ^ member[j]);
          q[j] = pinned<Real>(bra, at ^ member[j]);
        }
        if constexpr (K == 2) v_two<Real, Lanes, WithX, in_bell>(p, q, g.member_lane, v, rotation);
        else v_one<Real, Lanes, WithX>(p, q, g.member_lane, v);
        if constexpr (Undo && !in_bell) {
          // read the amplitudes again (they are in L1) rather than keep 16 more registers alive
          asm volatile("" ::: "memory");
          rotate_plane<Real, K, kind, Lanes>(p, &Amp<Real>::re, t, c, g.member_lane);
          rotate_plane<Real, K, kind, Lanes>(p, &Amp<Real>::im, t, c, g.member_lane);
          rotate_plane<Real, K, kind, Lanes>(q, &Amp<Real>::re, t, c, g.member_lane);
          rotate_plane<Real, K, kind, Lanes>(q, &Amp<Real>::im, t, c, g.member_lane);
        }
      }
    v.finish();
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit);
    Real* acc0 = acc + std::size_t(W) * call.accumulator[0];
    if constexpr (K == 2) {
      Real* acc1 = acc + std::size_t(W) * call.accumulator[1];
      if constexpr (WithX) {
        give(acc0, v.sx + v.dx, operands.fresh);
        give(acc1, v.sx - v.dx, operands.fresh);
      }
      give(acc0 + W, call.y_sign[0] * (v.sy + v.dy), operands.fresh);
      give(acc1 + W, call.y_sign[1] * (v.sy - v.dy), operands.fresh);
    } else {
      if constexpr (WithX) give(acc0, v.sx + v.dx, operands.fresh);
      give(acc0 + W, call.y_sign[0] * (v.sy + v.dy), operands.fresh);
    }
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

}  // namespace
