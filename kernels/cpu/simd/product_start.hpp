// The product start: what one-qubit gates make of |0...0> before anything entangles, and their gradients.
//
// A qubit's factor is (u_0, u_1), complex (real where states are: Planes is 1), a number per lane. Row r = (h, l) of
// the state is A_l B_h, products of the factors of the low and of the high row bits, times those of the lanes' bits, which
// are in B (`weighted`). Going back,
//
//   M_h = sum_l conj(bra_hl) A_l,   N_l = sum_h conj(bra_hl) B_h      8 multiply-adds a row, one read of the bra
//
// and from these, qubit by qubit, the environment e_b = sum of conj(bra) times all other factors over the amplitudes
// whose bit is b. Then <bra|P|psi> = e . P u for every Pauli P of the qubit, at any of its gates once these after it
// are un-applied on both e and u.
#pragma once
#include "float64.hpp"

namespace {

// A number in each lane: complex, or real where states are.
template <class Real, int Planes> struct Value;
template <class Real> struct Value<Real, 1> { Vec<Real> re; };
template <class Real> struct Value<Real, 2> { Vec<Real> re, im; };

template <class Real, int Planes> INLINE Value<Real, Planes> one() {
  Value<Real, Planes> v{};
  v.re = splat<Real>(1);
  return v;
}
template <class Real> INLINE Value<Real, 2> times(Value<Real, 2> a, Value<Real, 2> b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class Real> INLINE Value<Real, 1> times(Value<Real, 1> a, Value<Real, 1> b) { return {a.re * b.re}; }
template <class Real> INLINE Value<Real, 2> conjugate_times(Value<Real, 2> a, Value<Real, 2> b) {
  return {a.re * b.re + a.im * b.im, a.re * b.im - a.im * b.re};
}
template <class Real> INLINE Value<Real, 1> conjugate_times(Value<Real, 1> a, Value<Real, 1> b) {
  return {a.re * b.re};
}
template <class Real, int Planes> INLINE void add_to(Value<Real, Planes>& to, Value<Real, Planes> x) {
  to.re += x.re;
  if constexpr (Planes == 2) to.im += x.im;
}
template <int Planes, class Real> INLINE Value<Real, Planes>* values(Real* p) {
  return reinterpret_cast<Value<Real, Planes>*>(p);
}
template <int Planes, class Real> INLINE const Value<Real, Planes>* values(const Real* p) {
  return reinterpret_cast<const Value<Real, Planes>*>(p);
}
template <class Real, int Planes> INLINE const Value<Real, Planes>* at_row(const char* p, Offset o) {
  return reinterpret_cast<const Value<Real, Planes>*>(p + o);
}
template <class Real, int Planes> INLINE Value<Real, Planes>* at_row(char* p, Offset o) {
  return reinterpret_cast<Value<Real, Planes>*>(p + o);
}

// a in the lanes with bit q, b in the others
template <class Real> INLINE Vec<Real> of_lanes(Vec<Real> a, Vec<Real> b, int q) {
  const VecBits<Real> odd = *reinterpret_cast<const VecBits<Real>*>(kLanes<Real>.odd[q]);
  return (Vec<Real>)(((VecBits<Real>)a & odd) | ((VecBits<Real>)b & ~odd));
}
template <class Real, int Planes>
INLINE Value<Real, Planes> of_lanes(Value<Real, Planes> a, Value<Real, Planes> b, int q) {
  if constexpr (Planes == 2) return {of_lanes<Real>(a.re, b.re, q), of_lanes<Real>(a.im, b.im, q)};
  else return {of_lanes<Real>(a.re, b.re, q)};
}

// (u_0, u_1) -> (e^{-i p} u_0, e^{i p} u_1), c = cos p, s = sin p; of real numbers (u_0, c u_1), c = +-1
template <class Real, int Planes> INLINE void turn_phase(Value<Real, Planes>* u, Vec<Real> c, Vec<Real> s) {
  if constexpr (Planes == 2) u[0] = times(u[0], {c, -s}), u[1] = times(u[1], {c, s});
  else u[1].re *= c;
}
template <class Real, int Planes> INLINE void turn(Value<Real, Planes>* u, Vec<Real> c, Vec<Real> s) {
  const Value<Real, Planes> a = u[0], b = u[1];
  u[0].re = c * a.re - s * b.re, u[1].re = c * b.re + s * a.re;
  if constexpr (Planes == 2) u[0].im = c * a.im - s * b.im, u[1].im = c * b.im + s * a.im;
}
template <class Real>
INLINE void sample_pair(const qmltrain::StartRotation<Real>& rotation, int index, const Real* cos_sin, Vec<Real>& c,
                        Vec<Real>& s) {
  constexpr int W = Vector<Real>::lanes;
  c = load_vector(cos_sin + 2 * W * index), s = load_vector(cos_sin + 2 * W * index + W) * rotation.sign;
}

// The factors of `bits` address bits, from |0>.
template <class Real, int Planes = 2>
void start_factors(const qmltrain::StartRotation<Real>* rotations, std::size_t n, int bits, const Real* cos_sin,
                   Real* factors) {
  using V = Value<Real, Planes>;
  for (int q = 0; q < bits; q++) {
    values<Planes>(factors)[2 * q] = one<Real, Planes>();
    values<Planes>(factors)[2 * q + 1] = V{};
  }
  for (std::size_t i = 0; i < n; i++) {
    const qmltrain::StartRotation<Real>& rotation = rotations[i];
    V* u = values<Planes>(factors) + 2 * rotation.bit;
    Vec<Real> c = splat(rotation.cosine), s = splat(rotation.sine);
    if (rotation.sample_rotation >= 0) sample_pair(rotation, rotation.sample_rotation, cos_sin, c, s);
    turn<Real, Planes>(u, c, s);
    if (rotation.phase) turn_phase<Real, Planes>(u, splat(rotation.phase_cosine), splat(rotation.phase_sine));
    if (rotation.sample_phase >= 0) {
      const Real* p = cos_sin + 2 * Vector<Real>::lanes * rotation.sample_phase;
      turn_phase<Real, Planes>(u, load_vector(p), load_vector(p + Vector<Real>::lanes));
    }
  }
}

// A_l and B_h over 0, 1, 2, ... of their bits, level k from 2^k on; see StartRows.
template <class Real, int Planes = 2>
void start_tables(const qmltrain::StartRows& rows, const Real* factors, Real* tables) {
  using V = Value<Real, Planes>;
  const V* u = values<Planes>(factors);
  V*low = values<Planes>(tables), *high = low + rows.high_table(), *weighted = low + rows.weighted_table();
  V lanes = one<Real, Planes>();
  for (int q = 0; q < rows.lane_bits; q++) lanes = times(lanes, of_lanes<Real, Planes>(u[2 * q + 1], u[2 * q], q));
  u += 2 * rows.lane_bits;
  low[0] = lanes;
  for (int part = 0; part < 2; part++) {
    V* levels = part ? high : low;
    levels[1] = one<Real, Planes>();
    for (int k = 0; k < (part ? rows.high_bits : rows.low_bits); k++, u += 2)
      for (std::size_t i = 0, n = std::size_t(1) << k; i < n; i++) {
        const V a = levels[n + i];
        levels[2 * n + i] = times(a, u[0]), levels[3 * n + i] = times(a, u[1]);
      }
  }
  const std::size_t n = std::size_t(1) << rows.high_bits;
  for (std::size_t i = 0; i < n; i++) weighted[i] = times(high[n + i], lanes);
}

// Rows (h, l), first <= h < end.
template <class Real, int Planes = 2>
void start_state(const qmltrain::StartRows& rows, const Real* tables, std::size_t first, std::size_t end,
                 char* state) {
  using V = Value<Real, Planes>;
  const std::size_t n = std::size_t(1) << rows.low_bits;
  const V*a = values<Planes>(tables) + n, *b = values<Planes>(tables) + rows.weighted_table();
  for (std::size_t h = first; h < end; h++) {
    const V x = b[h];
    for (std::size_t l = 0; l < n; l++) *at_row<Real, Planes>(state, rows.high[h] ^ rows.low[l]) = times(a[l], x);
  }
}

template <class Real, int Planes, int J>
INLINE void contract_rows(const qmltrain::StartRows& rows, const Value<Real, Planes>* a,
                          const Value<Real, Planes>* b, std::size_t h, const char* bra, Value<Real, Planes>* m,
                          Value<Real, Planes>* n) {
  using V = Value<Real, Planes>;
  V sum[J], factor[J];
#pragma GCC unroll 4
  for (int j = 0; j < J; j++) sum[j] = V{}, factor[j] = b[h + std::size_t(j)];
  for (std::size_t l = 0; l < std::size_t(1) << rows.low_bits; l++) {
    const V of_row = a[l];
    V to = n[l];
#pragma GCC unroll 4
    for (int j = 0; j < J; j++) {
      V x = *at_row<Real, Planes>(bra, rows.high[h + std::size_t(j)] ^ rows.low[l]);
      x.re = load(x.re);
      if constexpr (Planes == 2) x.im = load(x.im);
      add_to(sum[j], conjugate_times(x, of_row));
      add_to(to, conjugate_times(x, factor[j]));
    }
    n[l] = to;
  }
#pragma GCC unroll 4
  for (int j = 0; j < J; j++) m[h + std::size_t(j)] = sum[j];
}

// M_h of first <= h < end, and what these rows give to N.
template <class Real, int Planes = 2>
void start_contract(const qmltrain::StartRows& rows, const Real* tables, std::size_t first, std::size_t end,
                    const char* bra, Real* m, Real* n) {
  using V = Value<Real, Planes>;
  constexpr int together = VB == 64 ? 4 : 2;
  const std::size_t low = std::size_t(1) << rows.low_bits;
  const V*a = values<Planes>(tables) + low, *b = values<Planes>(tables) + rows.weighted_table();
  for (std::size_t l = 0; l < low; l++) values<Planes>(n)[l] = V{};
  std::size_t h = first;
  for (; h + together <= end; h += together)
    contract_rows<Real, Planes, together>(rows, a, b, h, bra, values<Planes>(m), values<Planes>(n));
  for (; h < end; h++) contract_rows<Real, Planes, 1>(rows, a, b, h, bra, values<Planes>(m), values<Planes>(n));
}

// Environments of `bits` bits from x over their 2^bits values, the highest first; x[0] is then all of it contracted.
template <class Real, int Planes>
INLINE void fold(Value<Real, Planes>* x, int bits, const Value<Real, Planes>* levels, const Value<Real, Planes>* u,
                 Value<Real, Planes>* environment) {
  using V = Value<Real, Planes>;
  for (int k = bits - 1; k >= 0; k--) {
    const std::size_t n = std::size_t(1) << k;
    const V u0 = u[2 * k], u1 = u[2 * k + 1];
    V e0{}, e1{};
    for (std::size_t i = 0; i < n; i++) {
      const V a = levels[n + i], p = x[i], q = x[n + i];
      add_to(e0, times(p, a)), add_to(e1, times(q, a));
      x[i] = times(p, u0);
      add_to(x[i], times(q, u1));
    }
    environment[2 * k] = e0, environment[2 * k + 1] = e1;
  }
}

// Environments of all bits; n: `sections` parts, added in their order. Both m and n are destroyed.
template <class Real, int Planes = 2>
void start_environments(const qmltrain::StartRows& rows, const Real* factors, const Real* tables, Real* m, Real* n,
                        int sections, Real* environments) {
  using V = Value<Real, Planes>;
  const V*u = values<Planes>(factors), *low = values<Planes>(tables), *high = low + rows.high_table();
  V*e = values<Planes>(environments), *N = values<Planes>(n), *M = values<Planes>(m);
  const std::size_t size = std::size_t(1) << rows.low_bits;
  for (int section = 1; section < sections; section++)
    for (std::size_t l = 0; l < size; l++) add_to(N[l], N[size * std::size_t(section) + l]);
  const int b = rows.lane_bits, first_high = b + rows.low_bits;
  fold<Real, Planes>(N, rows.low_bits, low, u + 2 * b, e + 2 * b);
  fold<Real, Planes>(M, rows.high_bits, high, u + 2 * first_high, e + 2 * first_high);
  if (!b) return;
  for (int i = 2 * first_high; i < 2 * (first_high + rows.high_bits); i++) e[i] = times(e[i], low[0]);
  for (int q = 0; q < b; q++) {
    V x = M[0];
    for (int p = 0; p < b; p++)
      if (p != q) x = times(x, of_lanes<Real, Planes>(u[2 * p + 1], u[2 * p], p));
    e[2 * q] = of_lanes<Real, Planes>(V{}, x, q), e[2 * q + 1] = of_lanes<Real, Planes>(x, V{}, q);
  }
}

// v where it is wanted, with or without the gradients of per-sample angles; factors and environments are un-applied as
// far as that takes.
template <class Real, int Planes = 2>
void start_gradients(const qmltrain::StartRotation<Real>* rotations, std::size_t n, bool samples, const Real* cos_sin,
                     Real* factors, Real* environments, Real* accumulators) {
  using V = Value<Real, Planes>;
  constexpr int W = Vector<Real>::lanes;
  for (std::size_t i = n; i-- > 0;) {
    const qmltrain::StartRotation<Real>& rotation = rotations[i];
    if (!rotation.wanted[samples] && !rotation.before[samples]) continue;
    V*u = values<Planes>(factors) + 2 * rotation.bit, *e = values<Planes>(environments) + 2 * rotation.bit;
    if (rotation.sample_phase >= 0) {
      const Vec<Real> c = load_vector(cos_sin + 2 * W * rotation.sample_phase);
      const Vec<Real> s = load_vector(cos_sin + 2 * W * rotation.sample_phase + W);
      turn_phase<Real, Planes>(u, c, -s), turn_phase<Real, Planes>(e, c, s);
    }
    if (rotation.phase) {
      turn_phase<Real, Planes>(u, splat(rotation.phase_cosine), splat(-rotation.phase_sine));
      turn_phase<Real, Planes>(e, splat(rotation.phase_cosine), splat(rotation.phase_sine));
    }
    if (rotation.wanted[samples]) {
      Real* to = accumulators + std::size_t(W) * rotation.accumulator;
      const V a = times(e[0], u[1]), b = times(e[1], u[0]);
      store_vector(to + W, b.re - a.re);
      if constexpr (Planes == 2) {
        store_vector(to, a.im + b.im);
        store_vector(to + 2 * W, times(e[0], u[0]).im - times(e[1], u[1]).im);
      }
    }
    if (!rotation.before[samples]) continue;
    Vec<Real> c = splat(rotation.cosine), s = splat(rotation.sine);
    if (rotation.sample_rotation >= 0) sample_pair(rotation, rotation.sample_rotation, cos_sin, c, s);
    turn<Real, Planes>(u, c, -s), turn<Real, Planes>(e, c, -s);
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
template <class Real, int Planes = 2>
void start_distances(const qmltrain::StartRows& rows, const Real* tables, const char* state, double scale, int count,
                     double* out) {
  using V = Value<Real, Planes>;
  constexpr int W = Vector<Real>::lanes;
  const std::size_t n = std::size_t(1) << rows.low_bits, high = std::size_t(1) << rows.high_bits;
  const V*a = values<Planes>(tables) + n, *b = values<Planes>(tables) + rows.weighted_table();
  const Real factor = Real(scale);
  Vec<double> total[sizeof(double) / sizeof(Real)] = {};
  for (std::size_t h = 0; h < high; h++) {
    const V x = b[h];
    Vec<Real> sum{};
    for (std::size_t l = 0; l < n; l++) {
      const V* p = at_row<Real, Planes>(state, rows.high[h] ^ rows.low[l]);
      const V product = times(a[l], x);
      const Vec<Real> re = p->re * factor - product.re;
      sum += re * re;
      if constexpr (Planes == 2) {
        const Vec<Real> im = p->im * factor - product.im;
        sum += im * im;
      }
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
