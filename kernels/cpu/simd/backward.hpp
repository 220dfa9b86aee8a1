// Going back over rotations: v_x = Im<lam|X|psi> and v_y = Im<lam|Y|psi> of one or two qubits, then the inverse
// rotation of psi and lam.
//
// Two qubits share their products in the Bell basis of the four rows of a coset. With sums and differences
//     s = a00 + a11, d = a00 - a11, e = a01 + a10, f = a01 - a10     (adds run beside the multiply-adds)
// of psi (plain) and lam (primed):
//     y0 + y1 = e'd - d'e,  y0 - y1 = f's - s'f,  x0 + x1 = Im(e*s + s*e),  x0 - x1 = Im(f*d + d*f):
// 16 multiply-adds and 16 adds instead of 32 multiply-adds.
#pragma once
#include "rotate.hpp"

namespace {

using qmltrain::BackwardCall;

template <class Real> struct Bell { Vec<Real> s, d, e, f; };
template <class Real> INLINE Bell<Real> bell(Vec<Real> a, Vec<Real> b, Vec<Real> g, Vec<Real> h) {
  return {a + h, a - h, b + g, b - g};
}

// Split: what is subtracted has sums of its own, since four multiply-adds a coset on one register would wait for each other.
template <class Real, bool Split> struct Sums2 {
  Vec<Real> sx{}, dx{}, sy{}, dy{};
  Vec<Real> minus[Split ? 4 : 1]{};
  INLINE_MEMBER void less(Vec<Real>& sum, int i, Vec<Real> a, Vec<Real> b) {
    if constexpr (Split) minus[i] += a * b;
    else sum -= a * b;
  }
  INLINE_MEMBER void finish() {
    if constexpr (Split) sx -= minus[0], dx -= minus[1], sy -= minus[2], dy -= minus[3];
  }
};

template <class Real, bool Lanes> INLINE Bell<Real> fetch_bell(Amp<Real>* const* q, Vec<Real> Amp<Real>::*part, const std::uint8_t* lane) {
  return bell<Real>(fetch<Real, Lanes>(q[0]->*part, lane, 0), fetch<Real, Lanes>(q[1]->*part, lane, 1),
                    fetch<Real, Lanes>(q[2]->*part, lane, 2), fetch<Real, Lanes>(q[3]->*part, lane, 3));
}

// Two rotations are two plane rotations in the Bell basis, of (s, f) by the difference and of (d, e) by the sum of their
// angles: with R = [[c, -s], [s, c]] for each,
//     s' = (c1 c2 + s1 s2) s - (s1 c2 - c1 s2) f,   d' = (c1 c2 - s1 s2) d - (s1 c2 + c1 s2) e,   f', e' likewise,
// as many multiply-adds as in the plain basis, half as many for per-sample ones, and nothing is read again.
template <class Real> struct BellTurn {
  Vec<Real> cs, ss, cd, sd;
  BellTurn() = default;
  BellTurn(const Vec<Real>* t, const Vec<Real>* c, bool scaled) {
    const Vec<Real> half = splat(Real(0.5)), c0 = scaled ? splat(Real(1)) : c[0], c1 = scaled ? splat(Real(1)) : c[1];
    cs = half * (c0 * c1 + t[0] * t[1]), cd = half * (c0 * c1 - t[0] * t[1]);
    ss = half * (t[0] * c1 - c0 * t[1]), sd = half * (t[0] * c1 + c0 * t[1]);
  }
};
template <class Real, bool Lanes>
INLINE void put_turned(Amp<Real>* const* q, Vec<Real> Amp<Real>::*part, const Bell<Real>& x, const BellTurn<Real>& turn, const std::uint8_t* lane) {
  // The order, and pinning two of the products, are for GCC: it then finds a schedule that keeps the pipes full. 12.6 slots
  // a row on Zen 4, where 12 multiplications are the limit; 13 to 15.5 in other ways of writing this.
  Vec<Real> fs = turn.ss * x.f, ed = turn.sd * x.e, sf = turn.ss * x.s, de = turn.sd * x.d;
  keep_apart(fs), keep_apart(sf);
  const Vec<Real> ss = turn.cs * x.s, dd = turn.cd * x.d, ff = turn.cs * x.f, ee = turn.cd * x.e;
  const Vec<Real> s = ss - fs, f = ff + sf, d = dd - ed, e = ee + de;
  put<Real, Lanes>(q[0]->*part, s + d, lane, 0);
  put<Real, Lanes>(q[1]->*part, e + f, lane, 1);
  put<Real, Lanes>(q[2]->*part, e - f, lane, 2);
  put<Real, Lanes>(q[3]->*part, s - d, lane, 3);
}

// p, l: the rows of a coset in psi and in lam. For sixteen registers, which hold two quadruples beside the sums: psi's real
// part is fetched twice, and products are added in pairs first, since the sums would wait for each other.
template <class Real, bool Lanes, bool WithX>
INLINE void v_two_in_turn(Amp<Real>* const* p, Amp<Real>* const* l, const std::uint8_t* lane, Sums2<Real, false>& v) {
  const Bell<Real> lr = fetch_bell<Real, Lanes>(l, &Amp<Real>::re, lane), pr = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane);
  v.sy += lr.e * pr.d - lr.d * pr.e, v.dy += lr.f * pr.s - lr.s * pr.f;
  const Bell<Real> pi = fetch_bell<Real, Lanes>(p, &Amp<Real>::im, lane);
  if constexpr (WithX) v.sx += lr.e * pi.s + lr.s * pi.e, v.dx += lr.f * pi.d + lr.d * pi.f;
  const Bell<Real> li = fetch_bell<Real, Lanes>(l, &Amp<Real>::im, lane);
  v.sy += li.e * pi.d - li.d * pi.e, v.dy += li.f * pi.s - li.s * pi.f;
  if constexpr (WithX) {
    const Bell<Real> again = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane);
    v.sx -= li.e * again.s + li.s * again.e, v.dx -= li.f * again.d + li.d * again.f;
  }
}

// v of two qubits. Turn (thirty-two registers): then both states are rotated and written back.
template <class Real, bool Lanes, bool WithX, bool Turn, bool Split>
INLINE void v_two(Amp<Real>* const* p, Amp<Real>* const* l, const std::uint8_t* lane, Sums2<Real, Split>& v, const BellTurn<Real>& turn) {
  if constexpr (kRegisters == 16) {
    static_assert(!Turn && !Split);
    return v_two_in_turn<Real, Lanes, WithX>(p, l, lane, v);
  } else {
    const Bell<Real> pr = fetch_bell<Real, Lanes>(p, &Amp<Real>::re, lane), lr = fetch_bell<Real, Lanes>(l, &Amp<Real>::re, lane);
    v.sy += lr.e * pr.d; v.dy += lr.f * pr.s; v.less(v.sy, 2, lr.d, pr.e); v.less(v.dy, 3, lr.s, pr.f);
    const Bell<Real> pi = fetch_bell<Real, Lanes>(p, &Amp<Real>::im, lane);
    if constexpr (WithX) { v.sx += lr.e * pi.s; v.dx += lr.f * pi.d; v.sx += lr.s * pi.e; v.dx += lr.d * pi.f; }
    if constexpr (Turn) put_turned<Real, Lanes>(l, &Amp<Real>::re, lr, turn, lane);
    const Bell<Real> li = fetch_bell<Real, Lanes>(l, &Amp<Real>::im, lane);
    v.sy += li.e * pi.d; v.dy += li.f * pi.s; v.less(v.sy, 2, li.d, pi.e); v.less(v.dy, 3, li.s, pi.f);
    if constexpr (Turn) put_turned<Real, Lanes>(p, &Amp<Real>::im, pi, turn, lane);
    if constexpr (WithX) { v.less(v.sx, 0, li.e, pr.s); v.less(v.dx, 1, li.f, pr.d); v.less(v.sx, 0, li.s, pr.e); v.less(v.dx, 1, li.d, pr.f); }
    if constexpr (Turn) {
      put_turned<Real, Lanes>(l, &Amp<Real>::im, li, turn, lane);
      put_turned<Real, Lanes>(p, &Amp<Real>::re, pr, turn, lane);
    }
  }
}

template <class Real, bool Lanes, bool WithX, bool Split>
INLINE void v_one(Amp<Real>* const* p, Amp<Real>* const* l, const std::uint8_t* lane, Sums2<Real, Split>& v) {
  const Vec<Real> ar = fetch<Real, Lanes>(p[0]->re, lane, 0), ai = fetch<Real, Lanes>(p[0]->im, lane, 0);
  const Vec<Real> br = fetch<Real, Lanes>(p[1]->re, lane, 1), bi = fetch<Real, Lanes>(p[1]->im, lane, 1);
  const Vec<Real> lr = fetch<Real, Lanes>(l[0]->re, lane, 0), li = fetch<Real, Lanes>(l[0]->im, lane, 0);
  const Vec<Real> mr = fetch<Real, Lanes>(l[1]->re, lane, 1), mi = fetch<Real, Lanes>(l[1]->im, lane, 1);
  if constexpr (WithX) { v.sx += lr * bi; v.dx += mr * ai; v.less(v.sx, 0, li, br); v.less(v.dx, 1, mi, ar); }
  v.sy += mr * ar; v.dy += mi * ai; v.less(v.sy, 2, lr, br); v.less(v.dy, 3, li, bi);
}

// Undo = false: v only, nothing is written (psi was kept, or the rotations made the initial product state).
template <class Real, int K, bool PerSample, bool Lanes, bool WithX, bool Undo>
void backward(const BackwardCall<Real>& call, const Place<Real>& place) {
  constexpr int M = 1 << K, W = Vector<Real>::lanes;
  const RotateCall<Real>& g = call.psi;
  Vec<Real> t[2]{}, c[2]{};
  auto inverse = [&](const Real* turns) {
    coefficients<Real, K, PerSample, Lanes>(g, turns, t, c);
    for (int k = 0; k < K; k++) t[k] = -t[k];
  };
  constexpr bool in_bell = Undo && K == 2 && kRegisters == 32;  // else the Bell vectors of a coset do not fit the registers
  if constexpr (Undo && !PerSample) inverse(nullptr);
  const std::uint32_t n_low = g.n_low, n_high = g.n_high;
  const Offset *low = g.rows.low, *high = g.rows.high;
  char *psi = place.psi, *lam = place.lam;
  Offset member[M];
  for (int j = 0; j < M; j++) member[j] = g.rows.member[j] ^ place.base;
  for (int unit = 0; unit < place.units; unit++) {
    if constexpr (Undo && PerSample) inverse(place.turn + place.turn_stride * std::size_t(unit));
    const BellTurn<Real> turn(t, c, !PerSample);
    Sums2<Real, !Undo && kRegisters == 32> v;
    for (std::uint32_t h = 0; h < n_high; h++)
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high[h] ^ low[l];
        Amp<Real>*p[M], *q[M];
        for (int j = 0; j < M; j++) {
          p[j] = pinned<Real>(psi, at ^ member[j]);
          q[j] = pinned<Real>(lam, at ^ member[j]);
        }
        if constexpr (K == 2) v_two<Real, Lanes, WithX, in_bell>(p, q, g.member_lane, v, turn);
        else v_one<Real, Lanes, WithX>(p, q, g.member_lane, v);
        if constexpr (Undo && !in_bell) {
          // read the amplitudes again (they are in L1) rather than keep 16 more registers alive
          asm volatile("" ::: "memory");
          rotate_plane<Real, K, PerSample, Lanes>(p, &Amp<Real>::re, t, c, g.member_lane);
          rotate_plane<Real, K, PerSample, Lanes>(p, &Amp<Real>::im, t, c, g.member_lane);
          rotate_plane<Real, K, PerSample, Lanes>(q, &Amp<Real>::re, t, c, g.member_lane);
          rotate_plane<Real, K, PerSample, Lanes>(q, &Amp<Real>::im, t, c, g.member_lane);
        }
      }
    v.finish();
    Real* acc = place.acc + place.acc_stride * std::size_t(unit);
    Real* acc0 = acc + std::size_t(W) * call.acc[0];
    if constexpr (K == 2) {
      Real* acc1 = acc + std::size_t(W) * call.acc[1];
      if constexpr (WithX) {
        give(acc0, v.sx + v.dx, place.fresh);
        give(acc1, v.sx - v.dx, place.fresh);
      }
      give(acc0 + W, call.y_sign[0] * (v.sy + v.dy), place.fresh);
      give(acc1 + W, call.y_sign[1] * (v.sy - v.dy), place.fresh);
    } else {
      if constexpr (WithX) give(acc0, v.sx + v.dx, place.fresh);
      give(acc0 + W, call.y_sign[0] * (v.sy + v.dy), place.fresh);
    }
    psi += place.psi_stride, lam += place.lam_stride;
  }
}

}  // namespace
