// All kernels of one instruction set. Compiled once a set with -DVB=64|32|16 -DSET=kAvx512|kAvx2|kBaseline.
#include "arithmetic.hpp"
#include "backward.hpp"
#include "diagonal.hpp"
#include "diagonal_rotate_back.hpp"
#include "observe.hpp"
#include "diagonal_rotate.hpp"

namespace {

using namespace qmltrain;

template <class Real> constexpr Kernels<Real> make_kernels() {
  Kernels<Real> k{};
  k.lanes = Vector<Real>::lanes;
  k.max_group = kRegisters == 32 ? 4 : 3;
  k.rotate[1][0][0] = rotate<Real, 1, false, false>;
  k.rotate[2][0][0] = rotate<Real, 2, false, false>;
  k.rotate[3][0][0] = rotate<Real, 3, false, false>;
  k.rotate[4][0][0] = rotate<Real, 4, false, false>;
  k.rotate[1][0][1] = rotate<Real, 1, false, true>;
  k.rotate[2][0][1] = rotate<Real, 2, false, true>;
  k.rotate[3][0][1] = rotate<Real, 3, false, true>;
  k.rotate[4][0][1] = rotate<Real, 4, false, true>;
  k.rotate[1][1][0] = rotate<Real, 1, true, false>;
  k.rotate[2][1][0] = rotate<Real, 2, true, false>;
  k.rotate[3][1][0] = rotate<Real, 3, true, false>;
  k.rotate[1][1][1] = rotate<Real, 1, true, true>;
  k.rotate[2][1][1] = rotate<Real, 2, true, true>;
  k.rotate[3][1][1] = rotate<Real, 3, true, true>;
  k.phase_rotate[1] = phase_rotate<Real, 1>;
  k.phase_rotate[2] = phase_rotate<Real, 2>;
  k.phase_rotate[3] = phase_rotate<Real, 3>;
  if constexpr (kRegisters == 32) k.phase_rotate[4] = phase_rotate<Real, 4>;
  k.layer_back[1] = layer_back<Real, 1>;
  k.layer_back[2] = layer_back<Real, 2>;
  k.layer_back[3] = layer_back<Real, 3>;
  k.layer_back[4] = layer_back<Real, 4>;
  k.backward[1][0][0][0] = backward<Real, 1, false, false, false, true>;
  k.backward[1][0][0][1] = backward<Real, 1, false, false, true, true>;
  k.backward[1][0][1][0] = backward<Real, 1, false, true, false, true>;
  k.backward[1][0][1][1] = backward<Real, 1, false, true, true, true>;
  k.backward[1][1][0][0] = backward<Real, 1, true, false, false, true>;
  k.backward[1][1][1][0] = backward<Real, 1, true, true, false, true>;
  k.backward[2][0][0][0] = backward<Real, 2, false, false, false, true>;
  k.backward[2][0][0][1] = backward<Real, 2, false, false, true, true>;
  k.backward[2][0][1][0] = backward<Real, 2, false, true, false, true>;
  k.backward[2][0][1][1] = backward<Real, 2, false, true, true, true>;
  k.backward[2][1][0][0] = backward<Real, 2, true, false, false, true>;
  k.backward[2][1][1][0] = backward<Real, 2, true, true, false, true>;
  k.measure[1][0][0] = backward<Real, 1, false, false, false, false>;
  k.measure[1][0][1] = backward<Real, 1, false, false, true, false>;
  k.measure[1][1][0] = backward<Real, 1, false, true, false, false>;
  k.measure[1][1][1] = backward<Real, 1, false, true, true, false>;
  k.measure[2][0][0] = backward<Real, 2, false, false, false, false>;
  k.measure[2][0][1] = backward<Real, 2, false, false, true, false>;
  k.measure[2][1][0] = backward<Real, 2, false, true, false, false>;
  k.measure[2][1][1] = backward<Real, 2, false, true, true, false>;
#define KIND(kind)                                                                \
  k.forward[kind][0] = elementwise_forward<Real, kind, 0>;                        \
  k.forward[kind][1] = elementwise_forward<Real, kind, 1>;                        \
  k.forward[kind][2] = elementwise_forward<Real, kind, 2>;                        \
  k.forward[kind][3] = elementwise_forward<Real, kind, 3>;                        \
  k.forward[kind][4] = elementwise_forward<Real, kind, 4>;                        \
  k.forward_general[kind] = elementwise_forward<Real, kind, kGeneral>;            \
  k.forward_exchange[kind] = elementwise_forward<Real, kind, kExchange>;          \
  k.reverse[kind][0][0] = elementwise_reverse<Real, kind, 0, false>;              \
  k.reverse[kind][0][1] = elementwise_reverse<Real, kind, 0, true>;               \
  k.reverse[kind][1][0] = elementwise_reverse<Real, kind, 1, false>;              \
  k.reverse[kind][1][1] = elementwise_reverse<Real, kind, 1, true>;               \
  k.reverse[kind][2][0] = elementwise_reverse<Real, kind, 2, false>;              \
  k.reverse[kind][2][1] = elementwise_reverse<Real, kind, 2, true>;               \
  k.reverse[kind][3][0] = elementwise_reverse<Real, kind, 3, false>;              \
  k.reverse[kind][3][1] = elementwise_reverse<Real, kind, 3, true>;               \
  k.reverse[kind][4][0] = elementwise_reverse<Real, kind, 4, false>;              \
  k.reverse[kind][4][1] = elementwise_reverse<Real, kind, 4, true>;               \
  k.reverse_general[kind] = elementwise_reverse<Real, kind, kGeneral, false>;     \
  k.reverse_exchange[kind][0] = elementwise_reverse<Real, kind, kExchange, false>;\
  k.reverse_exchange[kind][1] = elementwise_reverse<Real, kind, kExchange, true>; \
  k.reverse_kept[kind][0] = elementwise_reverse<Real, kind, 0, false, true>;      \
  k.reverse_kept[kind][1] = elementwise_reverse<Real, kind, 0, true, true>;
  KIND(kNone)
  KIND(kScalar)
  KIND(kFactor)
  KIND(kVector)
#undef KIND
  k.tree = tree<Real>;
  k.walsh = walsh<Real>;
  k.add_sums = add_sums<Real>;
  k.observe = observe<Real>;
  k.string = string<Real>;
  k.turns = turns;
  k.scalar_table = scalar_table<Real>;
  k.vector_table = vector_table<Real>;
  k.sum_lanes = sum_lanes<Real>;
  k.distance = distance<Real>;
  k.product = product<Real>;
  return k;
}

constexpr Kernels<float> kSingle = make_kernels<float>();
constexpr Kernels<double> kDual = make_kernels<double>();
constexpr Arithmetic kArithmetic{sine_cosine_array, euler, chain};

}  // namespace

#define QUOTE_(x) #x
#define QUOTE(x) QUOTE_(x)
namespace qmltrain {
extern const InstructionSet SET;
const InstructionSet SET = {SET_NAME, &kSingle, &kDual, &kArithmetic};
}  // namespace qmltrain
