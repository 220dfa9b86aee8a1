// Diagonal stages of real states: a sign for each lane of each row, times a factor, and the lane rotations after it.
//
//   real_diagonal          psi -> (lane rotations) (exchange) D psi
//   real_diagonal_back     v_y of the lane rotations, their inverses and D on psi and bra (D of the bra alone where psi
//                          was kept); a D of signs is its own inverse and has no gradient
//   real_diagonal_rotate   R D psi of kept states, out of place
#pragma once
#include "diagonal.hpp"
#include "rotate.hpp"

namespace {

using qmltrain::kSigns;

// Scale times the signs of a row (kNone: times one). A row's word is read into every 32 bits of a vector, then shifted so
// that each lane's bit comes to the place of its sign.
template <class Real, int Kind> struct SignedScale {
  using Bits = typename Int<Real>::bits;
  static constexpr int top = 8 * int(sizeof(Real)) - 1;
  Vec<Real> scale;
  VecBits<Real> lane_bit;  // how far to shift; without such shifts the bit itself
  explicit SignedScale(const DiagonalCall<Real>& call) : scale(splat(call.scale)) {
    if constexpr (Kind == kSigns)
      for (int i = 0; i < Vector<Real>::lanes; i++) {
        const int bit = i ^ int(call.sign_lane);
        lane_bit[i] = VB > 16 ? Bits(31 - bit) : Bits(1) << bit;
      }
  }
  INLINE_MEMBER Vec<Real> operator()([[maybe_unused]] std::uint32_t word, Vec<Real> a) const {
    a *= scale;
    if constexpr (Kind == kSigns) {
      VecBits<Real> sign;
      if constexpr (VB > 16) {
        const VecBits<float> words = word - VecBits<float>{};
        sign = (VecBits<Real>)words << lane_bit;
      } else {
        sign = (VecBits<Real>)(((Bits(word) - VecBits<Real>{}) & lane_bit) != 0);
      }
      a = (Vec<Real>)((VecBits<Real>)a ^ (sign & (Bits(1) << top)));
    }
    return a;
  }
};

template <class Real, int Kind>
INLINE std::uint32_t signs_of(const DiagonalCall<Real>& call, std::uint32_t h, std::uint32_t l) {
  if constexpr (Kind == kSigns) return call.signs[call.sign_index ^ (h * call.n_low + l)];
  return 0;
}

template <class Real, int N, int K = 0>
INLINE void rotate_real_lanes(const DiagonalCall<Real>& call, const LaneState<Real, N>& state, std::uint32_t h,
                              std::uint32_t l, Vec<Real>& a) {
  if constexpr (N == kGeneral) {
    for (int k = 0; k < state.n; k++) {
      const Vec<Real> p = partner<Real, N, 0>(call, k, a);
      a = state.c[k] * a + state.s[k] * row_sign(call.lane[k], h, l) * p;
    }
  } else if constexpr (K < N) {
    a += state.s[K] * partner<Real, N, K>(call, K, a);
    rotate_real_lanes<Real, N, K + 1>(call, state, h, l, a);
  }
}

template <class Real, int N, int K = 0>
INLINE void undo_real_lanes(const DiagonalCall<Real>& call, LaneState<Real, N>& state, std::uint32_t h,
                            std::uint32_t l, Vec<Real>& a, Vec<Real>& b) {
  if constexpr (N == kGeneral) {
    for (int k = 0; k < state.n; k++) {
      const Real sign = row_sign(call.lane[k], h, l);
      const Vec<Real> p = partner<Real, N, 0>(call, k, a), q = partner<Real, N, 0>(call, k, b);
      state.y[k] += sign * (b * p);
      const Vec<Real> s = state.s[k] * sign, c = state.c[k];
      a = c * a - s * p, b = c * b - s * q;
    }
  } else if constexpr (K < N) {
    const Vec<Real> p = partner<Real, N, K>(call, K, a), q = partner<Real, N, K>(call, K, b);
    state.y[K] += b * p;
    a -= state.s[K] * p, b -= state.s[K] * q;
    undo_real_lanes<Real, N, K + 1>(call, state, h, l, a, b);
  }
}

template <class Real, int N>
INLINE Vec<Real> exchanged([[maybe_unused]] const DiagonalCall<Real>& call, [[maybe_unused]] std::uint32_t h,
                           [[maybe_unused]] std::uint32_t l, Vec<Real> a) {
  if constexpr (N == kGeneral || N == kExchange)
    if (N == kExchange || call.exchange_low)
      return xor_lanes<Real>(a, call.exchange_high[h] ^ call.exchange_low[l] ^ call.exchange);
  return a;
}

template <class Real, int Kind, int N>
void real_diagonal(const DiagonalCall<Real>& call, const Operands<Real>& operands, const WScratch<Real>&) {
  const LaneState<Real, N> state(call);
  const SignedScale<Real, Kind> scaled(call);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  const char* in = operands.psi;
  char* out = operands.other_psi;
  for (int unit = 0; unit < operands.units; unit++, in += operands.psi_stride, out += operands.psi_stride)
    for (std::uint32_t h = 0; h < n_high; h++) {
      const Offset high = call.high[h] ^ operands.base;
#pragma GCC unroll 2
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high ^ call.low[l];
        Vec<Real> a = scaled(signs_of<Real, Kind>(call, h, l), load(*plane<Real>(in, at)));
        a = exchanged<Real, N>(call, h, l, a);
        rotate_real_lanes<Real, N>(call, state, h, l, a);
        *plane<Real>(out, at) = a;
      }
    }
}

// Kept: psi is the kept state before D and is not needed; no lane rotations.
template <class Real, int Kind, int N, bool Kept>
void real_diagonal_back(const DiagonalCall<Real>& call, const Operands<Real>& operands, const WScratch<Real>&) {
  constexpr int W = Vector<Real>::lanes;
  const SignedScale<Real, Kind> scaled(call);
  const std::uint32_t n_low = call.n_low, n_high = call.n_high;
  char *psi = operands.psi, *bra = operands.bra;
  for (int unit = 0; unit < operands.units; unit++) {
    LaneState<Real, N> state(call);
    for (std::uint32_t h = 0; h < n_high; h++) {
      const Offset high = call.high[h] ^ operands.base;
#pragma GCC unroll 2
      for (std::uint32_t l = 0; l < n_low; l++) {
        const Offset at = high ^ call.low[l];
        const std::uint32_t word = signs_of<Real, Kind>(call, h, l);
        Vec<Real> b = load(*plane<Real>(bra, at));
        if constexpr (!Kept) {
          Vec<Real> a = load(*plane<Real>(psi, at));
          undo_real_lanes<Real, N>(call, state, h, l, a, b);
          *plane<Real>(psi, at) = scaled(word, exchanged<Real, N>(call, h, l, a));
        }
        *plane<Real>(bra, at) = scaled(word, exchanged<Real, N>(call, h, l, b));
      }
    }
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit);
    for (int k = 0; k < state.n; k++) add_to(acc + std::size_t(W) * (call.lane[k].accumulator + 1), state.y[k]);
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

// Rows of a group lie one after the other, signs in the order of their addresses; all lanes have the same.
template <class Real, int K>
void real_diagonal_rotate(const DiagonalCall<Real>& diagonal, const RotateCall<Real>& call,
                          const Operands<Real>& operands) {
  Vec<Real> t[K];
  coefficients<Real, K, qmltrain::kShared, false>(call, nullptr, t, nullptr);
  const Real scale[2] = {diagonal.scale, -diagonal.scale};
  const std::uint32_t n_groups = call.n_low * call.n_high;
  const char* in = operands.psi;
  char* out = operands.other_psi;
  for (int unit = 0; unit < operands.units; unit++, in += operands.psi_stride, out += operands.psi_stride)
    for (std::uint32_t g = 0; g < n_groups; g++) {
      const Vec<Real>* from = plane<Real>(in, 0) + (g << K);
      Vec<Real>* to = plane<Real>(out, 0) + (g << K);
      Vec<Real> a[1 << K];
#pragma GCC unroll 16
      for (std::uint32_t j = 0; j < 1u << K; j++)
        a[j] = from[j] * splat(scale[diagonal.signs[diagonal.sign_index ^ (g << K | j)] & 1]);
      butterflies<Real, K, qmltrain::kShared, kApart>(a, t, nullptr);
#pragma GCC unroll 16
      for (int j = 0; j < 1 << K; j++) to[j] = a[j];
    }
}

}  // namespace
