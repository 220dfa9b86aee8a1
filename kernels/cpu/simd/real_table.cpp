// The table of the kernels of real states of one instruction set. Compiled once a set with -DVB=64|32|16
// -DREAL_KERNELS=kRealAvx512|kRealAvx2|kRealBaseline; apart from kernel_table.cpp, whose code depends on what is
// compiled with it.
#include <utility>

#include "arithmetic.hpp"
#include "observe.hpp"
#include "product_start.hpp"
#include "real_diagonal.hpp"
#include "real_rotate.hpp"

namespace {

using namespace qmltrain;

template <int... I> using Indices = std::integer_sequence<int, I...>;
template <int N> using Count = std::make_integer_sequence<int, N>;

template <class Real, bool PerSample, bool Lanes, int... I>
constexpr void fill_rotate(Kernels<Real>& k, Indices<I...>) {
  ((k.rotate[I + 1][PerSample][Lanes] = real_rotate<Real, I + 1, PerSample, Lanes>), ...);
}
template <class Real, int... I> constexpr void fill_diagonal_rotate(Kernels<Real>& k, Indices<I...>) {
  ((k.diagonal_rotate[I + 1] = real_diagonal_rotate<Real, I + 1>), ...);
}

template <class Real, int K> constexpr void fill_back(Kernels<Real>& k) {
  k.rotate_back[K][false][false][false] = real_rotate_back<Real, K, false, false, true>;
  k.rotate_back[K][false][true][false] = real_rotate_back<Real, K, false, true, true>;
  k.rotate_back[K][true][false][false] = real_rotate_back<Real, K, true, false, true>;
  k.rotate_back[K][true][true][false] = real_rotate_back<Real, K, true, true, true>;
  k.measure[K][false][false] = real_rotate_back<Real, K, false, false, false>;
  k.measure[K][true][false] = real_rotate_back<Real, K, false, true, false>;
}

template <class Real, int Kind, int... N> constexpr void fill_diagonals(Kernels<Real>& k, Indices<N...>) {
  ((k.diagonal[Kind][N] = real_diagonal<Real, Kind, N>), ...);
  k.diagonal_general[Kind] = real_diagonal<Real, Kind, kGeneral>;
  k.diagonal_exchange[Kind] = real_diagonal<Real, Kind, kExchange>;
  ((k.diagonal_back[Kind][N][false] = k.diagonal_back[Kind][N][true] = real_diagonal_back<Real, Kind, N, false>), ...);
  k.diagonal_back_general[Kind] = real_diagonal_back<Real, Kind, kGeneral, false>;
  k.diagonal_back_exchange[Kind][false] = k.diagonal_back_exchange[Kind][true] =
      real_diagonal_back<Real, Kind, kExchange, false>;
  k.diagonal_back_kept[Kind][false] = k.diagonal_back_kept[Kind][true] = real_diagonal_back<Real, Kind, 0, true>;
}

template <class Real> constexpr Kernels<Real> make_kernels() {
  constexpr int group = kRegisters == 32 ? 4 : 3;
  Kernels<Real> k{};
  k.lanes = Vector<Real>::lanes;
  k.max_group = group;
  k.max_measured = 2;
  fill_rotate<Real, false, false>(k, Count<kMaxGroup>{});
  fill_rotate<Real, false, true>(k, Count<kMaxGroup>{});
  fill_rotate<Real, true, false>(k, Count<kMaxSampleGroup>{});
  fill_rotate<Real, true, true>(k, Count<kMaxSampleGroup>{});
  fill_diagonal_rotate(k, Count<group>{});
  fill_back<Real, 1>(k);
  fill_back<Real, 2>(k);
#if VB == 64
  k.max_measured = 4;
  k.measure[4][false][false] = real_measure_four<Real>;
#endif
  fill_diagonals<Real, kNone>(k, Count<kMaxLaneBits + 1>{});
  fill_diagonals<Real, kSigns>(k, Count<kMaxLaneBits + 1>{});
  k.observe = observe<Real, 1>;
  k.string = real_string<Real>;
  k.cos_sin = half_angle_cos_sin;
  if constexpr (sizeof(Real) == 4) k.integers_of_cycles = integer_angles_single<kCycles>;
  else k.integers_of_cycles = integer_angles_dual<kCycles>;
  k.sum_lanes = sum_lanes<Real>;
  k.distances = distances<Real, 1>;
  k.product = product<Real, 1>;
  k.product_distances = product_distances<Real, 1>;
  k.start_factors = start_factors<Real, 1>;
  k.start_tables = start_tables<Real, 1>;
  k.start_state = start_state<Real, 1>;
  k.start_contract = start_contract<Real, 1>;
  k.start_environments = start_environments<Real, 1>;
  k.start_gradients = start_gradients<Real, 1>;
  k.start_distances = start_distances<Real, 1>;
  return k;
}

[[maybe_unused]] constexpr Arithmetic kArithmetic{sine_cosine_array, euler, chain};  // of kernel_table.cpp
constexpr Kernels<float> kSingle = make_kernels<float>();
constexpr Kernels<double> kDual = make_kernels<double>();

}  // namespace

namespace qmltrain {
extern const RealKernelSet REAL_KERNELS;
const RealKernelSet REAL_KERNELS = {SET_NAME, &kSingle, &kDual};
}  // namespace qmltrain
