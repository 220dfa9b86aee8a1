// Execution: forward, pass by pass and tile by tile.
#pragma once
#include "execution.hpp"

namespace qmltrain {

template <class Real> inline void Execution<Real>::forward() {
  load_angles();
  for (int u = 0; u < units; u++) write_initial(u, start() + psi_stride * std::size_t(u));
  forward_from_start();
}

// The same from the states that are there; per-sample angles have been loaded.
template <class Real> inline void Execution<Real>::forward_from_start() {
  psi = start();
  if (prepared.keep) return forward_kept();
  for (std::size_t i = 0; i < shape.passes.size(); i++) {
    if (const int checkpoint = prepared.checkpoint_before[i]; checkpoint >= 0)
      std::memcpy(stored(checkpoint), psi, rows * row_bytes);
    pass_forward(i, psi);
  }
}

// Where states are kept there is one tile, and every diagonal stage writes the next state.
template <class Real> inline void Execution<Real>::forward_kept() {
  if (shape.passes.empty()) return;
  int stored_index = 0;
  for (const PreparedCall<Real>& call : prepared.forward[0]) {
    if (call.kind == CallShape::kRotate) {
      rotate_group(call, 0, 0, one_state(psi, psi_stride));
      continue;
    }
    Operands<Real> operands = one_state(psi, psi_stride);
    operands.other_psi = stored(++stored_index);
    if (call.diagonal_rotate) call.diagonal_rotate(call.diagonal, call.group.rotate, operands);
    else apply_stage(call, 0, 0, operands, {}, worker);
    psi = operands.other_psi;
  }
}

// Rows of a tile lie further apart than any hardware prefetcher looks: where the state is long, the next tile's rows
// are asked for while this one is worked on, a part of them before each of its calls (all at once they would block each
// other). A shorter state is found again in the caches without being asked for.
template <class Real> inline bool Execution<Real>::far() const { return prepared.state_bytes() > std::size_t(3) << 20; }

template <class Real>
inline void Execution<Real>::prefetch(const TileGeometry& g, std::size_t tile, std::size_t part, std::size_t parts,
                                      const char* state) const {
  const Offset base = g.tile_base[tile];
  // GCC takes a function that only prefetches for one without effects and drops the call
  asm volatile("" ::"r"(state));
  for (std::size_t i = part * g.rows.size() / parts; i < (part + 1) * g.rows.size() / parts; i++)
    for (std::size_t line = 0; line < row_bytes; line += 64)
      __builtin_prefetch(state + (g.rows[i] ^ base) + line, 1, 2);
}

template <class Real> inline void Execution<Real>::pass_forward(std::size_t index, char* state) {
  const std::vector<PreparedCall<Real>>& calls = prepared.forward[index];
  if (calls.empty()) return;
  if (shape.share_bits) return shares_forward(calls, state);
  const TileGeometry& g = shape.geometries[shape.passes[index].geometry];
  const std::size_t tiles = g.tile_base.size();
  each_section(tiles, [&](int section, int sections, Worker& scratch) {
    const std::size_t end = (section + 1) * tiles / sections;
    for (std::size_t tile = section * tiles / sections; tile < end; tile++) {
      const bool ahead = far() && tile + 1 < end;
      for (const PreparedCall<Real>& call : calls) {
        if (ahead) prefetch(g, tile + 1, std::size_t(&call - calls.data()), calls.size(), state);
        const Operands<Real> operands = one_state(state, psi_stride);
        if (call.kind == CallShape::kRotate) rotate_group(call, tile, g.tile_base[tile], operands);
        else apply_stage(call, tile, g.tile_base[tile], operands, {}, scratch);
      }
    }
    if (tiles > 1) check(&scratch == &context.workers[0]);
  });
}

}  // namespace qmltrain
