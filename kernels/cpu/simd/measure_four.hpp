// v of four qubits where nothing is rotated, as two pairs: both while a coset's sixteen rows are in the first cache,
// which halves what comes from the second (8 qubits, Zen 5: 12 % of a step). Where rows are rotated and written as well
// it does not pay: the second pair waits for what the first one writes.
#pragma once
#include "rotate_back.hpp"

namespace {

template <class Real, bool WithX> void measure_four(const RotateBackCall<Real>& call, const Operands<Real>& operands) {
  const qmltrain::Rows rows = call.rotate.rows;
  char *psi = operands.psi, *bra = operands.bra;
  for (int unit = 0; unit < operands.units; unit++) {
    VSums<Real, true> v[2];
    // qubits k and k + 1 of the four cosets from row `at`: their members are `step` apart, the cosets `next`
    auto add_pair = [&](Offset at, VSums<Real, true>& sums, int step, int next) {
      VSums<Real, true> local = sums;
#pragma GCC unroll 1
      for (int i = 0; i < 4; i++) {
        Amp<Real>*p[4], *q[4];
        for (int j = 0; j < 4; j++) {
          const Offset offset = at ^ rows.member[i * next + j * step];
          p[j] = pinned<Real>(psi, offset);
          q[j] = pinned<Real>(bra, offset);
        }
        v_two<Real, false, WithX, false>(p, q, call.rotate.member_lane, local, BellRotation<Real>{});
      }
      sums = local;
    };
    for (std::uint32_t h = 0; h < call.rotate.n_high; h++)
      for (std::uint32_t l = 0; l < call.rotate.n_low; l++) {
        const Offset at = operands.base ^ rows.high[h] ^ rows.low[l];
        add_pair(at, v[0], 1, 4);
        add_pair(at, v[1], 4, 1);
      }
    Real* acc = operands.accumulators + operands.accumulator_stride * std::size_t(unit);
    for (int i = 0; i < 2; i++) {
      v[i].finish();
      for (int k = 0; k < 2; k++) {
        Real* of_qubit = acc + std::size_t(Vector<Real>::lanes) * call.accumulator[2 * i + k];
        const Vec<Real> y = k ? v[i].sy - v[i].dy : v[i].sy + v[i].dy;
        if constexpr (WithX) give(of_qubit, k ? v[i].sx - v[i].dx : v[i].sx + v[i].dx, operands.fresh);
        give(of_qubit + Vector<Real>::lanes, call.y_sign[2 * i + k] * y, operands.fresh);
      }
    }
    psi += operands.psi_stride, bra += operands.bra_stride;
  }
}

}  // namespace
