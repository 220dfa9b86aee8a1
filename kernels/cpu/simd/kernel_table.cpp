// The table of all kernels of one instruction set. Compiled once a set with -DVB=64|32|16
// -DSET=kAvx512|kAvx2|kBaseline.
#include <utility>

#include "arithmetic.hpp"
#include "diagonal.hpp"
#include "diagonal_rotate.hpp"
#include "diagonal_rotate_back.hpp"
#include "measure_four.hpp"
#include "observe.hpp"
#include "product_start.hpp"
#include "rotate_back.hpp"
#include "sample_runs.hpp"

namespace {

using namespace qmltrain;

template <int... I> using Indices = std::integer_sequence<int, I...>;
template <int N> using Count = std::make_integer_sequence<int, N>;

// The order in which kernels are first named is the order in which GCC compiles them, and its code for those that
// exchange lanes depends on that (some per cent of their instructions either way): time them after a change here.

template <class Real, RotationKind Kind, bool Lanes, int... I>
constexpr void fill_rotate(Kernels<Real>& k, Indices<I...>) {
  ((k.rotate[I + 1][Kind][Lanes] = rotate<Real, I + 1, Kind, Lanes>), ...);
}
template <class Real, int... I> constexpr void fill_diagonal_rotate(Kernels<Real>& k, Indices<I...>) {
  ((k.diagonal_rotate[I + 1] = diagonal_rotate<Real, I + 1>), ...);
}
template <class Real, int... I> constexpr void fill_diagonal_rotate_back(Kernels<Real>& k, Indices<I...>) {
  ((k.diagonal_rotate_back[I + 1] = diagonal_rotate_back<Real, I + 1>), ...);
}

// rotate_back<Real, K, per-sample, lanes, with v_x, undo>
template <class Real, int K> constexpr void fill_rotate_back(Kernels<Real>& k) {
  k.rotate_back[K][false][false][false] = rotate_back<Real, K, false, false, false, true>;
  k.rotate_back[K][false][false][true] = rotate_back<Real, K, false, false, true, true>;
  k.rotate_back[K][false][true][false] = rotate_back<Real, K, false, true, false, true>;
  k.rotate_back[K][false][true][true] = rotate_back<Real, K, false, true, true, true>;
  k.rotate_back[K][true][false][false] = rotate_back<Real, K, true, false, false, true>;
  k.rotate_back[K][true][true][false] = rotate_back<Real, K, true, true, false, true>;
}
template <class Real, int K> constexpr void fill_measure(Kernels<Real>& k) {
  k.measure[K][false][false] = rotate_back<Real, K, false, false, false, false>;
  k.measure[K][false][true] = rotate_back<Real, K, false, false, true, false>;
  k.measure[K][true][false] = rotate_back<Real, K, false, true, false, false>;
  k.measure[K][true][true] = rotate_back<Real, K, false, true, true, false>;
}

// Of one DiagonalKind: diagonal<Real, kind, lane rotations>, diagonal_back<Real, kind, lane rotations, compressed,
// kept>.
template <class Real, int Kind, int... N> constexpr void fill_diagonals(Kernels<Real>& k, Indices<N...>) {
  ((k.diagonal[Kind][N] = diagonal<Real, Kind, N>), ...);
  k.diagonal_general[Kind] = diagonal<Real, Kind, kGeneral>;
  k.diagonal_exchange[Kind] = diagonal<Real, Kind, kExchange>;
  ((k.diagonal_back[Kind][N][false] = diagonal_back<Real, Kind, N, false>,
    k.diagonal_back[Kind][N][true] = diagonal_back<Real, Kind, N, true>), ...);
  k.diagonal_back_general[Kind] = diagonal_back<Real, Kind, kGeneral, false>;
  k.diagonal_back_exchange[Kind][false] = diagonal_back<Real, Kind, kExchange, false>;
  k.diagonal_back_exchange[Kind][true] = diagonal_back<Real, Kind, kExchange, true>;
  k.diagonal_back_kept[Kind][false] = diagonal_back<Real, Kind, 0, false, true>;
  k.diagonal_back_kept[Kind][true] = diagonal_back<Real, Kind, 0, true, true>;
}
template <class Real, int... Kind> constexpr void fill_kinds(Kernels<Real>& k, Indices<Kind...>) {
  (fill_diagonals<Real, Kind>(k, Count<kMaxLaneBits + 1>{}), ...);
}

template <class Real> constexpr void fill_others(Kernels<Real>& k) {
  k.tree = tree<Real>;
  k.walsh = walsh<Real>;
  k.add_sums = add_sums<Real>;
  k.observe = observe<Real>;
  k.string = string<Real>;
  k.cos_sin = half_angle_cos_sin;
  k.scalar_table = scalar_table<Real>;
  k.scalar_tables = scalar_tables<Real>;
  k.vector_table = vector_table<Real>;
  k.sum_lanes = sum_lanes<Real>;
  k.distances = distances<Real>;
  k.product = product<Real>;
  k.product_distances = product_distances<Real>;
  k.start_factors = start_factors<Real>;
  k.start_tables = start_tables<Real>;
  k.start_state = start_state<Real>;
  k.start_contract = start_contract<Real>;
  k.start_environments = start_environments<Real>;
  k.start_gradients = start_gradients<Real>;
  k.start_distances = start_distances<Real>;
}

// What plans with `sample_angles` take; after all else, see above.
template <class Real, int... I> constexpr void fill_sample_runs(Kernels<Real>& k, Indices<I...> up_to) {
  fill_rotate<Real, kFactored, false>(k, up_to);
  fill_rotate<Real, kFactored, true>(k, up_to);
  k.rotate_back[1][true][false][true] = rotate_back<Real, 1, true, false, true, true>;
  k.rotate_back[1][true][true][true] = rotate_back<Real, 1, true, true, true, true>;
  k.rotate_back[2][true][false][true] = rotate_back<Real, 2, true, false, true, true>;
  k.rotate_back[2][true][true][true] = rotate_back<Real, 2, true, true, true, true>;
  k.product_table = product_table<Real>;
  if constexpr (sizeof(Real) == 4) k.integer_angles = integer_angles_single<kRadians>;
  else k.integer_angles = integer_angles_dual<kRadians>;
  if constexpr (sizeof(Real) == 4) k.integers_of_cycles = integer_angles_single<kCycles>;
  else k.integers_of_cycles = integer_angles_dual<kCycles>;
  k.sample_euler = sample_euler<Real>;
  k.sample_chain = sample_chain<Real>;
}

template <class Real> constexpr Kernels<Real> make_kernels() {
  constexpr int group = kRegisters == 32 ? 4 : 3;
  Kernels<Real> k{};
  k.lanes = Vector<Real>::lanes;
  k.max_group = group;
  k.max_measured = 2;
  fill_rotate<Real, kShared, false>(k, Count<kMaxGroup>{});
  fill_rotate<Real, kShared, true>(k, Count<kMaxGroup>{});
  fill_rotate<Real, kCosSin, false>(k, Count<kMaxSampleGroup>{});
  fill_rotate<Real, kCosSin, true>(k, Count<kMaxSampleGroup>{});
  fill_diagonal_rotate(k, Count<group>{});
  fill_diagonal_rotate_back(k, Count<kMaxGroup>{});
  fill_rotate_back<Real, 1>(k);
  fill_rotate_back<Real, 2>(k);
  fill_measure<Real, 1>(k);
  fill_measure<Real, 2>(k);
#if VB == 64  // with fewer registers and half the row it was not tried
  k.max_measured = 4;
  k.measure[4][false][false] = measure_four<Real, false>;
  k.measure[4][false][true] = measure_four<Real, true>;
#endif
  fill_kinds(k, Count<kDiagonalKinds>{});
  fill_others(k);
  fill_sample_runs(k, Count<group>{});
  return k;
}

constexpr Kernels<float> kSingle = make_kernels<float>();
constexpr Kernels<double> kDual = make_kernels<double>();
constexpr Arithmetic kArithmetic{sine_cosine_array, euler, chain};

}  // namespace

namespace qmltrain {
extern const InstructionSet SET;
const InstructionSet SET = {SET_NAME, &kSingle, &kDual, &kArithmetic};
}  // namespace qmltrain
