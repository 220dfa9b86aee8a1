// Run: units of samples side by side through one layout, forward and backward.
//
// A unit is what fits the lanes. Where states are small, several units go through every kernel call together (a bundle), so
// that a call's fixed cost is shared; each keeps its own accumulators, so its numbers do not depend on its neighbours.
#pragma once
#include <cstring>
#include <functional>
#include <vector>

#include "bundles.hpp"
#include "inputs.hpp"
#include "prepared_shape.hpp"

namespace qmltrain {

constexpr int kContexts = 16;      // fixed number of partial sums of a sweep over tiles, added in order
constexpr std::size_t kSkew = 9;   // rows: lam must not lie on the cache sets of psi
constexpr int kChunkBits = 8;      // rows that expectations are taken of at a time
constexpr std::size_t kNearBytes = 3 << 20;  // a state of so many bytes is found again in the caches without being asked for

template <class Real> struct Run {
  const Context<Real>& c;
  const Layout<Real>& v;
  const Bundle& bundle;
  const Inputs& in;
  Worker& worker;
  bool one_thread;           // other bundles run beside this one
  char* store;               // stored states of every unit
  const std::function<void(bool)>& check;  // throws where the run was interrupted; true: by the calling thread

  const Shape& s = v.shape;
  const Kernels<Real>& k = c.kernels;
  const int b = bundle.lane_bits, units = bundle.count;
  const std::size_t W = c.W, row_bytes = c.row_bytes, rows = std::size_t(1) << s.row_bits;
  const std::size_t psi_stride = v.unit_bytes(), lam_stride = (rows + kSkew) * row_bytes;
  const std::size_t acc_stride = std::size_t(s.n_acc) * W;
  char* psi = nullptr;       // current states of the first unit; the others' follow at the strides
  char* lam = nullptr;
  // of all units, one unit after the other:
  Real* turn = nullptr;      // [per-sample rotation][cos, sin][lane]
  Real* lane_turn = nullptr; // the same with lane signs
  Turn<Real>* sample_turn = nullptr;  // [elementwise step's sample terms][lane]
  std::size_t n_turns = 0, n_sample_terms = 0;

  char* stored(int i) const { return store + v.state_stride() * std::size_t(i); }
  int sample_of_lane(const Unit& unit, std::size_t lane) const {
    return unit.first + std::min(int(lane >> b), unit.count - 1);
  }

  // execution_ends.hpp
  void load_angles();
  void load_angles(int u);
  void write_initial(int u, char* state);
  void observe(const double* cotangents, bool per_row, double* expectations);
  void load_weights(const double* cotangents, bool per_row, bool same);
  void observe_units(int first_unit, int count, bool same_weights, double* expectations);
  void collect(int u, const Real* acc, const Gradients& out, double* unit_sums, double* raw);

  Place<Real> place(char* state, std::size_t stride) const {
    return {state, state, nullptr, 0, turn, nullptr, units, stride, 0, 2 * W * n_turns, 0, false};
  }
  Place<Real> place(char* state, char* bra, Real* acc) const {
    return {state, state, bra, 0, turn, acc, units, psi_stride, lam_stride, 2 * W * n_turns, acc_stride, v.keep};
  }

  // ---- forward ---------------------------------------------------------------------------------------------------

  void forward() {
    load_angles();
    psi = v.keep ? stored(0) : stored(v.n_kept);
    for (int u = 0; u < units; u++) write_initial(u, psi + psi_stride * std::size_t(u));
    if (v.keep) {
      if (s.sweeps.empty()) return;
      int slot = 0;
      for (const Call<Real>& call : v.forward[0]) {
        if (call.kind == Step::kRotate) {
          run_group(call, 0, 0, place(psi, psi_stride));
        } else {
          char* next = stored(++slot);
          Place<Real> onwards = place(psi, psi_stride);
          onwards.psi_beside = next;
          if (call.phase_rotate) call.phase_rotate(call.elementwise, call.group.psi, onwards);
          else run_elementwise(call, 0, 0, onwards, {}, worker);
          psi = next;
        }
      }
      return;
    }
    for (std::size_t i = 0; i < s.sweeps.size(); i++) {
      if (const int kept = v.kept_before[i]; kept >= 0) std::memcpy(stored(kept), psi, rows * row_bytes);
      sweep_forward(i, psi);
    }
  }

  // Rows of a tile lie further apart than any hardware prefetcher looks: where the state is long, the next tile's rows are
  // asked for while this one is worked on, a share before each of its calls (all at once they would block each other).
  bool far() const { return v.state_bytes() > kNearBytes; }
  void prefetch(const TileGeometry& g, std::size_t tile, std::size_t share, std::size_t shares, const char* state) const {
    const Offset base = g.tile_base[tile];
    asm volatile("" ::"r"(state));  // GCC takes a function that only prefetches for one without effects and drops the call
    for (std::size_t i = share * g.rows.size() / shares; i < (share + 1) * g.rows.size() / shares; i++)
      for (std::size_t line = 0; line < row_bytes; line += 64) __builtin_prefetch(state + (g.rows[i] ^ base) + line, 1, 2);
  }

  // job(context, worker) over the fixed shares of the tiles; by the whole team where this bundle is alone
  template <class Job> void each_context(std::size_t tiles, Job job) {
    const int n = int(std::min<std::size_t>(tiles, kContexts));
    if (one_thread || n == 1) {
      for (int context = 0; context < n; context++) job(context, n, worker);
    } else {
      c.team.run(n, [&](int context, int thread) { job(context, n, c.workers[std::size_t(thread)]); });
    }
  }

  void sweep_forward(std::size_t index, char* state) {
    const std::vector<Call<Real>>& calls = v.forward[index];
    if (calls.empty()) return;
    if (s.share_bits) return shares_forward(calls, state);
    const TileGeometry& g = s.geometries[s.sweeps[index].geometry];
    const std::size_t tiles = g.tile_base.size();
    each_context(tiles, [&](int context, int contexts, Worker& w) {
      const std::size_t end = (context + 1) * tiles / contexts;
      for (std::size_t tile = context * tiles / contexts; tile < end; tile++) {
        const bool ahead = far() && tile + 1 < end;
        for (const Call<Real>& call : calls) {
          if (ahead) prefetch(g, tile + 1, std::size_t(&call - calls.data()), calls.size(), state);
          if (call.kind == Step::kRotate) run_group(call, tile, g.tile_base[tile], place(state, psi_stride));
          else run_elementwise(call, tile, g.tile_base[tile], place(state, psi_stride), {}, w);
        }
      }
      if (tiles > 1) check(&w == &c.workers[0]);
    });
  }

  // ---- kernel calls ----------------------------------------------------------------------------------------------

  // One group of rotations on one tile: forward or inverse on one state, or v and inverse on psi and lam.
  void run_group(const Call<Real>& prepared, std::size_t tile, Offset base, Place<Real> place, Share share = {}) {
    if (prepared.plain && share.count == 1) {
      place.base = base;
      if (prepared.reverse) prepared.reverse(prepared.group, place);
      else prepared.rotate(prepared.group.psi, place);
      return;
    }
    const Group& g = s.groups[prepared.index];
    BackwardCall<Real> call = prepared.group;
    std::size_t first = 0, count = g.parts.size();
    if (std::size_t n = std::size_t(share.count); n > 1) {  // a share is some of the parts, or some blocks of rows of one part
      const std::size_t of_part = std::max<std::size_t>(n / count, 1);
      first = std::size_t(share.index) / of_part * count / (n / of_part), count = std::max<std::size_t>(count / n, 1);
      const std::size_t blocks = std::min<std::size_t>(of_part, g.n_high), block = std::size_t(share.index) % of_part;
      if (block >= blocks) return;  // fewer blocks than shares
      call.psi.n_high = std::uint32_t(g.n_high / blocks), call.psi.rows.high += block * call.psi.n_high;
    }
    for (std::size_t i = first; i < first + count; i++) {
      const Group::Part& part = g.parts[i];
      place.base = base ^ part.offset;
      for (int q = 0; q < g.count; q++) {
        const bool minus = (part.signs >> q & 1) ^ parity_of(tile & s.rotations[g.rotation[q]].tau);
        call.psi.t[q] = minus ? -prepared.group.psi.t[q] : prepared.group.psi.t[q];
        if (q < 2) call.y_sign[q] = minus ? Real(-1) : Real(1);
      }
      if (prepared.reverse) prepared.reverse(call, place);
      else prepared.rotate(call.psi, place);
      place.fresh = false;
    }
  }

  void run_elementwise(const Call<Real>& prepared, std::size_t tile, Offset base, Place<Real> place, Sums<Real> sums, Worker& w) {
    place.base = base;
    if (prepared.plain) {
      prepared.kernel(prepared.elementwise, place, sums);
      return;
    }
    const int count = place.units;
    place.units = 1;
    for (int u = 0; u < count; u++) {
      ElementwiseCall<Real> call;
      fill_elementwise(call, prepared, u, tile, w);
      prepared.kernel(call, place, sums);
      place.psi += place.psi_stride, place.psi_beside += place.psi_stride;
      place.lam += place.lam_stride, place.acc += place.acc_stride;
      sums.w += sums.w_stride, sums.pair_sums += sums.stride;
    }
  }

  // What changes from tile to tile and unit to unit in an elementwise step that is not plain.
  void fill_elementwise(ElementwiseCall<Real>& call, const Call<Real>& prepared, int u, std::size_t tile, Worker& w) {
    const Elementwise& e = s.elementwise[prepared.index];
    call = prepared.elementwise;
    for (int q = 0; q < call.n_lane; q++) {
      const ShapeRotation& r = s.rotations[e.lanes[std::size_t(q)].rotation];
      LaneRotation<Real>& lane = call.lane[q];
      if (parity_of(tile & r.tau)) lane.low_signs = ~lane.low_signs;
      if (r.sample_index >= 0 && !e.measure) {
        lane.cosine = lane_turn + 2 * W * (n_turns * std::size_t(u) + std::size_t(r.sample_index));
        lane.sine = lane.cosine + W;
      }
    }
    for (std::size_t i = 0; i < e.exchange_tau.size(); i++)
      if (tile >> i & 1) call.exchange ^= e.exchange_tau[i];
    switch (e.diagonal.kind) {
      case kScalar: call.table += std::size_t(2) * tile * e.n_low * e.n_high; break;
      case kFactor:
        if (e.diagonal.variant.empty()) factor_tile(call, e, prepared.index, tile, w);
        break;
      case kVector:
        if (e.diagonal.whole) call.table += 2 * W * tile * e.n_low * e.n_high;
        else vector_tile(call, e, prepared.index, u, tile, w);
        break;
      default: break;
    }
  }

  // Phases of the high indices of a tile, and which of the small tables goes with each.
  void factor_tile(ElementwiseCall<Real>& call, const Elementwise& e, int index, std::size_t tile, Worker& w) {
    const DiagonalShape& d = e.diagonal;
    const Turn<Real>* turns = v.turns.data() + v.first_turn[index];
    const std::size_t n = std::max<std::size_t>(e.n_high, W);
    const int low_bits = __builtin_ctz(e.n_low);
    w.phase.reserve(3 * n * sizeof(Real)), w.variant.reserve(n);
    Turn<Real>* a = w.phase.template as<Turn<Real>>();
    Real* table = reinterpret_cast<Real*>(a + n);
    std::memset(a, 0, n * sizeof(Real));
    for (int j : d.high) {
      const PhaseTerm& t = d.terms[std::size_t(j)];
      const Turn<Real> x = turns[j];
      a[t.e >> low_bits] += parity_of(tile & t.tau) ? Turn<Real>(0) - x : x;
    }
    k.scalar_table(a, __builtin_ctz(e.n_high), Real(v.scale[index]), table);
    std::uint8_t* variant = w.variant.template as<std::uint8_t>();
    std::memset(variant, 0, e.n_high);
    for (std::size_t i = 0; i < d.crossing.size(); i++) {
      const PhaseTerm& t = d.terms[std::size_t(d.crossing[i])];
      const int base = parity_of(tile & t.tau);
      for (std::uint32_t h = 0; h < e.n_high; h++) variant[h] |= std::uint8_t((base ^ parity_of(h & (t.e >> low_bits))) << i);
    }
    call.high_phase = table, call.variant = variant;
  }

  // Phases that are worked out for every tile: per-sample ones, and those whose table would be too long to keep.
  void vector_tile(ElementwiseCall<Real>& call, const Elementwise& e, int index, int u, std::size_t tile, Worker& w) {
    const std::size_t n = W * e.n_low * e.n_high;
    w.turns.reserve(n * sizeof(Real)), w.table.reserve(2 * n * sizeof(Real));
    std::size_t term = n_sample_terms * std::size_t(u);
    for (int i = 0; i < index; i++) term += s.elementwise[std::size_t(i)].diagonal.sample.size();
    v.vector_phases(index, tile, w.turns.template as<Turn<Real>>(), w.table.template as<Real>(), sample_turn + W * term);
    call.table = w.table.template as<Real>();
  }

  // execution_shares.hpp
  template <class Job> void each_share(Job job);
  ElementwiseCall<Real> share_of(ElementwiseCall<Real> call, const Elementwise& e, Share share) const;
  ElementwiseCall<Real> filled(const Call<Real>& prepared);
  void shares_forward(const std::vector<Call<Real>>& calls, char* state);
  template <class Acc> void shares_backward(const std::vector<Call<Real>>& calls, bool samples, Acc acc);

  // ---- backward --------------------------------------------------------------------------------------------------

  // unit_sums (units of the program, R) gets a row a unit; raw (B, R) a row a sample, where wanted.
  void backward(const Gradients& out, double* unit_sums, double* raw) {
    worker.acc.reserve(std::size_t(units) * acc_stride * sizeof(Real));
    Real* acc = worker.acc.template as<Real>();
    // Where states are kept there is one tile, and every accumulator but the first has one call that writes it.
    for (std::size_t u = 0; u < std::size_t(units); u++) std::memset(acc + acc_stride * u, 0, (v.keep ? W : acc_stride) * sizeof(Real));
    int slot = v.stored_states() - 1;
    const int n = int(s.sweeps.size());
    const bool recompute = c.settings.mode == Mode::kCheckpoint;
    int segment_start = n;  // states after sweeps segment_start .. are in worker.segment
    for (int i = n; i-- > 0;) {
      if (recompute) {
        if (i < segment_start) segment_start = recompute_segment(i);
        psi = segment_state(i - segment_start);
      } else if (const int kept = v.kept_before[std::size_t(i) + 1]; kept >= 0) {
        psi = stored(kept);
      }
      sweep_backward(std::size_t(i), acc, slot, out.per_sample != nullptr);
    }
    const std::size_t R = v.raw_acc.size();
    for (int u = 0; u < units; u++)
      collect(u, acc + acc_stride * std::size_t(u), out, unit_sums + R * std::size_t(bundle.unit[u].index), raw);
  }

  char* segment_state(int i) const { return worker.segment.get() + v.state_stride() * std::size_t(i); }

  // States after each sweep of the segment that ends with sweep `last`; returns its first sweep.
  int recompute_segment(int last) {
    int first = last;
    while (v.kept_before[std::size_t(first)] < 0) first--;
    worker.segment.reserve(v.state_stride() * std::size_t(last - first + 1));
    const char* from = stored(v.kept_before[std::size_t(first)]);
    for (int i = first; i <= last; i++) {
      std::memcpy(segment_state(i - first), from, rows * row_bytes);
      sweep_forward(std::size_t(i), segment_state(i - first));
      from = segment_state(i - first);
    }
    return first;
  }

  void sweep_backward(std::size_t index, Real* total, int& slot, bool samples) {
    const Sweep& sweep = s.sweeps[index];
    const std::vector<Call<Real>>& calls = v.backward[index];
    if (calls.empty()) return;
    const TileGeometry& g = s.geometries[sweep.geometry];
    const std::size_t tiles = g.tile_base.size();
    const int contexts = s.share_bits ? 1 << s.share_bits : int(std::min<std::size_t>(tiles, kContexts));
    const std::size_t count = std::size_t(sweep.acc_count) * W;
    Real* partial = nullptr;
    if (contexts > 1) {
      worker.contexts.reserve(count * std::size_t(contexts) * sizeof(Real) + 64);
      partial = worker.contexts.template as<Real>();
      std::memset(partial, 0, count * std::size_t(contexts) * sizeof(Real));
    }
    const auto acc_of = [&](int context) {
      return contexts > 1 ? partial + count * std::size_t(context) - W * std::size_t(sweep.acc_first) : total;
    };
    if (s.share_bits) shares_backward(calls, samples, [&](Share share) { return acc_of(share.index); });
    else each_context(tiles, [&](int context, int n, Worker& w) {
      Real* acc = acc_of(context);
      const std::size_t end = (context + 1) * tiles / n;
      for (std::size_t tile = context * tiles / n; tile < end; tile++) {
        const Offset base = g.tile_base[tile];
        const bool ahead = far() && tile + 1 < end;
        for (const Call<Real>& call : calls) {
          if (call.for_samples && !samples) continue;
          const std::size_t share = std::size_t(&call - calls.data());
          if (ahead) prefetch(g, tile + 1, share, calls.size(), psi), prefetch(g, tile + 1, share, calls.size(), lam);
          switch (call.kind) {
            case Step::kElementwise:
              if (call.layer_back) {
                Place<Real> layer = place(psi, lam, acc);
                psi = layer.psi_beside = stored(--slot);
                call.layer_back(call.layer, layer);
                break;
              }
              if (v.keep) psi = stored(--slot);
              elementwise_backward(call, tile, base, place(psi, lam, acc), g.tile_bits, w);
              break;
            case Step::kUndo:
              run_group(call, tile, base, place(psi, psi_stride));
              [[fallthrough]];
            case Step::kUndoLam: run_group(call, tile, base, place(lam, lam_stride)); break;
            default: run_group(call, tile, base, place(psi, lam, acc));
          }
        }
      }
      if (tiles > 1) check(&w == &c.workers[0]);
    });
    if (contexts > 1)
      for (int i = 0; i < contexts; i++)
        for (std::size_t j = 0; j < count; j++) total[W * std::size_t(sweep.acc_first) + j] += partial[count * std::size_t(i) + j];
  }

  void elementwise_backward(const Call<Real>& prepared, std::size_t tile, Offset base, const Place<Real>& place, int bits, Worker& w) {
    const Elementwise& e = s.elementwise[prepared.index];
    const std::size_t w_stride = W << bits, sums_stride = (std::size_t(bits) + 3) * W;
    w.w.reserve(std::size_t(units) * w_stride * sizeof(Real)), w.sums.reserve(std::size_t(units) * sums_stride * sizeof(Real));
    Real *values = w.w.template as<Real>(), *sums = w.sums.template as<Real>();
    run_elementwise(prepared, tile, base, place, {values, sums, w_stride, sums_stride}, w);
    if (e.sums.empty()) return;
    for (int u = 0; u < units; u++, values += w_stride, sums += sums_stride)
      add_sums_of(prepared, values, sums, bits, e.sums, tile, place.acc + acc_stride * std::size_t(u), place.fresh);
  }

  // w over 2^bits rows to the accumulators.
  void add_sums_of(const Call<Real>& prepared, Real* values, Real* sums, int bits, const std::vector<SumTarget>& targets, std::size_t tile,
                   Real* acc, bool fresh) const {
    const bool walsh = s.elementwise[prepared.index].walsh;
    if (walsh) k.walsh(values, bits);
    else if (prepared.compressed) k.tree(values, bits - 2, sums + 2 * W);
    else k.tree(values, bits, sums);
    k.add_sums(walsh ? values : sums, targets.data(), targets.size(), tile, acc, fresh);
  }
};

}  // namespace qmltrain
