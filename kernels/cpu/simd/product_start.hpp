// The product start: what one-qubit gates make of |0...0> before anything entangles, and their gradients.
//
// A qubit's factor is (u_0, u_1), complex, a number per lane. Row r = (h, l) of the state is A_l B_h, products of the
// factors of the low and of the high row bits, times those of the lanes' bits, which are in B (`weighted`). Going back,
//
//   M_h = sum_l conj(bra_hl) A_l,   N_l = sum_h conj(bra_hl) B_h      8 multiply-adds a row, one read of the bra
//
// and from these, qubit by qubit, the environment e_b = sum of conj(bra) times all other factors over the amplitudes
// whose bit is b. Then <bra|P|psi> = e . P u for every Pauli P of the qubit, at any of its gates once these after it are
// un-applied on both e and u.
#pragma once
#include "float64.hpp"

namespace {

template <class Real> INLINE Amp<Real> times(Amp<Real> a, Amp<Real> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class Real> INLINE Amp<Real> conjugate_times(Amp<Real> a, Amp<Real> b) {
  return {a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}
template <class Real> INLINE void add_to(Amp<Real>& to, Amp<Real> x) { to.re += x.re, to.im += x.im; }
template <class Real> INLINE Amp<Real>* amplitudes(Real* p) { return reinterpret_cast<Amp<Real>*>(p); }
template <class Real> INLINE const Amp<Real>* amplitudes(const Real* p) {
  return reinterpret_cast<const Amp<Real>*>(p);
}

// a in the lanes with bit q, 0 (or b) in the others
template <class Real> INLINE Vec<Real> of_lanes(Vec<Real> a, Vec<Real> b, int q) {
  const VecBits<Real> odd = *reinterpret_cast<const VecBits<Real>*>(kLanes<Real>.odd[q]);
  return (Vec<Real>)(((VecBits<Real>)a & odd) | ((VecBits<Real>)b & ~odd));
}
template <class Real> INLINE Amp<Real> of_lanes(const Amp<Real>* factor, int q) {
  return {of_lanes<Real>(factor[1].re, factor[0].re, q), of_lanes<Real>(factor[1].im, factor[0].im, q)};
}

// (u_0, u_1) -> (e^{-i p} u_0, e^{i p} u_1), c = cos p, s = sin p
template <class Real> INLINE void turn_phase(Amp<Real>* u, Vec<Real> c, Vec<Real> s) {
  u[0] = times<Real>(u[0], {c, -s}), u[1] = times<Real>(u[1], {c, s});
}
template <class Real> INLINE void turn(Amp<Real>* u, Vec<Real> c, Vec<Real> s) {
  const Amp<Real> a = u[0], b = u[1];
  u[0] = {c * a.re - s * b.re, c * a.im - s * b.im};
  u[1] = {c * b.re + s * a.re, c * b.im + s * a.im};
}
template <class Real>
INLINE void sample_pair(const qmltrain::StartRotation<Real>& rotation, int index, const Real* cos_sin, Vec<Real>& c,
                        Vec<Real>& s) {
  constexpr int W = Vector<Real>::lanes;
  c = load_vector(cos_sin + 2 * W * index), s = load_vector(cos_sin + 2 * W * index + W) * rotation.sign;
}

// The factors of `bits` address bits, from |0>.
template <class Real>
void start_factors(const qmltrain::StartRotation<Real>* rotations, std::size_t n, int bits, const Real* cos_sin,
                   Real* factors) {
  for (int q = 0; q < bits; q++) {
    amplitudes(factors)[2 * q] = {splat<Real>(1), Vec<Real>{}};
    amplitudes(factors)[2 * q + 1] = {Vec<Real>{}, Vec<Real>{}};
  }
  for (std::size_t i = 0; i < n; i++) {
    const qmltrain::StartRotation<Real>& rotation = rotations[i];
    Amp<Real>* u = amplitudes(factors) + 2 * rotation.bit;
    Vec<Real> c = splat(rotation.cosine), s = splat(rotation.sine);
    if (rotation.sample_rotation >= 0) sample_pair(rotation, rotation.sample_rotation, cos_sin, c, s);
    turn<Real>(u, c, s);
    if (rotation.phase) turn_phase<Real>(u, splat(rotation.phase_cosine), splat(rotation.phase_sine));
    if (rotation.sample_phase >= 0) {
      const Real* p = cos_sin + 2 * Vector<Real>::lanes * rotation.sample_phase;
      turn_phase<Real>(u, load_vector(p), load_vector(p + Vector<Real>::lanes));
    }
  }
}

// A_l and B_h over 0, 1, 2, ... of their bits, level k from 2^k on; see StartRows.
template <class Real> void start_tables(const qmltrain::StartRows& rows, const Real* factors, Real* tables) {
  const Amp<Real>* u = amplitudes(factors);
  Amp<Real>*low = amplitudes(tables), *high = low + rows.high_table(), *weighted = low + rows.weighted_table();
  Amp<Real> lanes{splat<Real>(1), Vec<Real>{}};
  for (int q = 0; q < rows.lane_bits; q++) lanes = times<Real>(lanes, of_lanes<Real>(u + 2 * q, q));
  u += 2 * rows.lane_bits;
  low[0] = lanes;
  for (int part = 0; part < 2; part++) {
    Amp<Real>* levels = part ? high : low;
    levels[1] = {splat<Real>(1), Vec<Real>{}};
    for (int k = 0; k < (part ? rows.high_bits : rows.low_bits); k++, u += 2)
      for (std::size_t i = 0, n = std::size_t(1) << k; i < n; i++) {
        const Amp<Real> a = levels[n + i];
        levels[2 * n + i] = times<Real>(a, u[0]), levels[3 * n + i] = times<Real>(a, u[1]);
      }
  }
  const std::size_t n = std::size_t(1) << rows.high_bits;
  for (std::size_t i = 0; i < n; i++) weighted[i] = times<Real>(high[n + i], lanes);
}

// Rows (h, l), first <= h < end.
template <class Real>
void start_state(const qmltrain::StartRows& rows, const Real* tables, std::size_t first, std::size_t end,
                 char* state) {
  const std::size_t n = std::size_t(1) << rows.low_bits;
  const Amp<Real>*a = amplitudes(tables) + n, *b = amplitudes(tables) + rows.weighted_table();
  for (std::size_t h = first; h < end; h++) {
    const Amp<Real> x = b[h];
    for (std::size_t l = 0; l < n; l++) *row<Real>(state, rows.high[h] ^ rows.low[l]) = times<Real>(a[l], x);
  }
}

template <class Real, int J>
INLINE void contract_rows(const qmltrain::StartRows& rows, const Amp<Real>* a, const Amp<Real>* b, std::size_t h,
                          const char* bra, Amp<Real>* m, Amp<Real>* n) {
  Amp<Real> sum[J], factor[J];
#pragma GCC unroll 4
  for (int j = 0; j < J; j++) sum[j] = {Vec<Real>{}, Vec<Real>{}}, factor[j] = b[h + std::size_t(j)];
  for (std::size_t l = 0; l < std::size_t(1) << rows.low_bits; l++) {
    const Amp<Real> of_row = a[l];
    Amp<Real> to = n[l];
#pragma GCC unroll 4
    for (int j = 0; j < J; j++) {
      const Amp<Real>* p = row<Real>(bra, rows.high[h + std::size_t(j)] ^ rows.low[l]);
      const Amp<Real> x{load(p->re), load(p->im)};
      add_to<Real>(sum[j], conjugate_times<Real>(x, of_row));
      add_to<Real>(to, conjugate_times<Real>(x, factor[j]));
    }
    n[l] = to;
  }
#pragma GCC unroll 4
  for (int j = 0; j < J; j++) m[h + std::size_t(j)] = sum[j];
}

// M_h of first <= h < end, and what these rows give to N.
template <class Real>
void start_contract(const qmltrain::StartRows& rows, const Real* tables, std::size_t first, std::size_t end,
                    const char* bra, Real* m, Real* n) {
  constexpr int together = VB == 64 ? 4 : 2;
  const std::size_t low = std::size_t(1) << rows.low_bits;
  const Amp<Real>*a = amplitudes(tables) + low, *b = amplitudes(tables) + rows.weighted_table();
  for (std::size_t l = 0; l < low; l++) amplitudes(n)[l] = {Vec<Real>{}, Vec<Real>{}};
  std::size_t h = first;
  for (; h + together <= end; h += together)
    contract_rows<Real, together>(rows, a, b, h, bra, amplitudes(m), amplitudes(n));
  for (; h < end; h++) contract_rows<Real, 1>(rows, a, b, h, bra, amplitudes(m), amplitudes(n));
}

// Environments of `bits` bits from x over their 2^bits values, the highest first; x[0] is then all of it contracted.
template <class Real>
INLINE void fold(Amp<Real>* x, int bits, const Amp<Real>* levels, const Amp<Real>* u, Amp<Real>* environment) {
  for (int k = bits - 1; k >= 0; k--) {
    const std::size_t n = std::size_t(1) << k;
    const Amp<Real> u0 = u[2 * k], u1 = u[2 * k + 1];
    Amp<Real> e0{}, e1{};
    for (std::size_t i = 0; i < n; i++) {
      const Amp<Real> a = levels[n + i], p = x[i], q = x[n + i];
      add_to<Real>(e0, times<Real>(p, a)), add_to<Real>(e1, times<Real>(q, a));
      x[i] = times<Real>(p, u0);
      add_to<Real>(x[i], times<Real>(q, u1));
    }
    environment[2 * k] = e0, environment[2 * k + 1] = e1;
  }
}

// Environments of all bits; n: `sections` parts, added in their order. Both m and n are destroyed.
template <class Real>
void start_environments(const qmltrain::StartRows& rows, const Real* factors, const Real* tables, Real* m, Real* n,
                        int sections, Real* environments) {
  const Amp<Real>*u = amplitudes(factors), *low = amplitudes(tables), *high = low + rows.high_table();
  Amp<Real>*e = amplitudes(environments), *N = amplitudes(n), *M = amplitudes(m);
  const std::size_t size = std::size_t(1) << rows.low_bits;
  for (int section = 1; section < sections; section++)
    for (std::size_t l = 0; l < size; l++) add_to<Real>(N[l], N[size * std::size_t(section) + l]);
  const int b = rows.lane_bits, first_high = b + rows.low_bits;
  fold<Real>(N, rows.low_bits, low, u + 2 * b, e + 2 * b);
  fold<Real>(M, rows.high_bits, high, u + 2 * first_high, e + 2 * first_high);
  if (!b) return;
  for (int i = 2 * first_high; i < 2 * (first_high + rows.high_bits); i++) e[i] = times<Real>(e[i], low[0]);
  for (int q = 0; q < b; q++) {
    Amp<Real> x = M[0];
    for (int p = 0; p < b; p++)
      if (p != q) x = times<Real>(x, of_lanes<Real>(u + 2 * p, p));
    const Vec<Real> zero{};
    e[2 * q] = {of_lanes<Real>(zero, x.re, q), of_lanes<Real>(zero, x.im, q)};
    e[2 * q + 1] = {of_lanes<Real>(x.re, zero, q), of_lanes<Real>(x.im, zero, q)};
  }
}

// v where it is wanted, with or without the gradients of per-sample angles; factors and environments are un-applied as
// far as that takes.
template <class Real>
void start_gradients(const qmltrain::StartRotation<Real>* rotations, std::size_t n, bool samples, const Real* cos_sin,
                     Real* factors, Real* environments, Real* accumulators) {
  constexpr int W = Vector<Real>::lanes;
  for (std::size_t i = n; i-- > 0;) {
    const qmltrain::StartRotation<Real>& rotation = rotations[i];
    if (!rotation.wanted[samples] && !rotation.before[samples]) continue;
    Amp<Real>*u = amplitudes(factors) + 2 * rotation.bit, *e = amplitudes(environments) + 2 * rotation.bit;
    if (rotation.sample_phase >= 0) {
      const Vec<Real> c = load_vector(cos_sin + 2 * W * rotation.sample_phase);
      const Vec<Real> s = load_vector(cos_sin + 2 * W * rotation.sample_phase + W);
      turn_phase<Real>(u, c, -s), turn_phase<Real>(e, c, s);
    }
    if (rotation.phase) {
      turn_phase<Real>(u, splat(rotation.phase_cosine), splat(-rotation.phase_sine));
      turn_phase<Real>(e, splat(rotation.phase_cosine), splat(rotation.phase_sine));
    }
    if (rotation.wanted[samples]) {
      Real* to = accumulators + std::size_t(W) * rotation.accumulator;
      const Amp<Real> a = times<Real>(e[0], u[1]), b = times<Real>(e[1], u[0]);
      store_vector(to, a.im + b.im), store_vector(to + W, b.re - a.re);
      store_vector(to + 2 * W, times<Real>(e[0], u[0]).im - times<Real>(e[1], u[1]).im);
    }
    if (!rotation.before[samples]) continue;
    Vec<Real> c = splat(rotation.cosine), s = splat(rotation.sine);
    if (rotation.sample_rotation >= 0) sample_pair(rotation, rotation.sample_rotation, cos_sin, c, s);
    turn<Real>(u, c, -s), turn<Real>(e, c, -s);
  }
}

INLINE void add_lanes(Vec<double>* to, Vec<double> x) { to[0] += x; }
INLINE void add_lanes(Vec<double>* to, Vec<float> x) {
  typedef float Half __attribute__((vector_size(VB / 2)));
  struct Halves { Half a, b; } h;
  __builtin_memcpy(&h, &x, VB);
  to[0] += __builtin_convertvector(h.a, Vec<double>), to[1] += __builtin_convertvector(h.b, Vec<double>);
}

// As Kernels::distances, b being the product state.
template <class Real>
void start_distances(const qmltrain::StartRows& rows, const Real* tables, const char* state, double scale, int count,
                     double* out) {
  constexpr int W = Vector<Real>::lanes;
  const std::size_t n = std::size_t(1) << rows.low_bits, high = std::size_t(1) << rows.high_bits;
  const Amp<Real>*a = amplitudes(tables) + n, *b = amplitudes(tables) + rows.weighted_table();
  const Real factor = Real(scale);
  Vec<double> total[sizeof(double) / sizeof(Real)] = {};
  for (std::size_t h = 0; h < high; h++) {
    const Amp<Real> x = b[h];
    Vec<Real> sum{};
    for (std::size_t l = 0; l < n; l++) {
      const Amp<Real>* p = row<Real>(state, rows.high[h] ^ rows.low[l]);
      const Amp<Real> product = times<Real>(a[l], x);
      const Vec<Real> re = p->re * factor - product.re, im = p->im * factor - product.im;
      sum += re * re + im * im;
    }
    add_lanes(total, sum);
  }
  alignas(VB) double of_lane[W];
  __builtin_memcpy(of_lane, total, sizeof of_lane);
  for (int i = 0; i < count; i++) {
    out[i] = 0;
    for (int lane = i << rows.lane_bits; lane < (i + 1) << rows.lane_bits; lane++) out[i] += of_lane[lane];
  }
}

}  // namespace
