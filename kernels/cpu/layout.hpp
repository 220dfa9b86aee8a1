// Layout: a shape, and everything about it that depends on the shared angles: signs, scales, tables, prepared calls.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>
#include <vector>

#include "buffer.hpp"
#include "engine.hpp"
#include "shape.hpp"
#include "threads.hpp"

namespace qmltrain {

template <class Real> using Turn = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

// phi -> phi / (4 pi) of a turn: exp(-i phi / 2) = exp(-2 pi i turn)
template <class Real> Turn<Real> turn_of(double angle) {
  double x = angle * 0.079577471545947667884;
  x -= std::nearbyint(x);
  if constexpr (sizeof(Real) == 4) return std::uint32_t(std::int64_t(std::nearbyint(x * 4294967296.0)));
  else return std::uint64_t(std::int64_t(x * 9223372036854775808.0)) * 2;
}

// Scratch memory of one thread.
struct Worker {
  Buffer w, sums, contexts, table, variant, phase, turns, observe;
  Buffer lam, kept, segment, acc, unit_angles, expectation, weight;
};

// What all layouts of a program share.
template <class Real> struct Context {
  const PlanData& plan;
  const Kernels<Real>& kernels;
  const Arithmetic& arithmetic;
  const Settings& settings;
  Runs& runs;
  Team& team;
  std::vector<Worker>& workers;
  std::size_t W;          // lanes
  std::size_t row_bytes;
};

// A step with everything filled in that does not depend on the tile, the unit or the thread.
template <class Real> struct Call {
  Step::Kind kind;
  int index;
  bool plain;                 // nothing changes from tile to tile but where it lies
  BackwardCall<Real> group;
  typename Kernels<Real>::Rotate rotate;
  typename Kernels<Real>::Backward reverse;
  ElementwiseCall<Real> elementwise;
  typename Kernels<Real>::Elementwise kernel;
  bool compressed;
  bool for_samples;           // measures gradients of per-sample angles and does nothing else
  // not nullptr: an elementwise step together with the rotations of group `then`, whose angles are in `group`
  typename Kernels<Real>::PhaseRotate phase_rotate;
  int then;
  // not nullptr: a whole layer going back, with these rotations
  typename Kernels<Real>::LayerBack layer_back;
  LayerCall<Real> layer;
  int rotation[kMaxGroup];
};

template <class Real> class Layout {
 public:
  Layout(const Context<Real>& context, const PlanData& plan, int lane_bits)
      : c_(context),
        shape(plan, context.runs, lane_bits, int(context.W), context.row_bytes, context.kernels.max_group, may_keep(plan, lane_bits),
              context.settings.interval > 0, context.settings.fusion, context.settings.share_row_bits),
        keep(may_keep(plan, lane_bits) && shape.resident && shape.sweeps.size() <= 1) {
    if (may_keep(plan, lane_bits) && !keep)
      shape = Shape(plan, context.runs, lane_bits, int(context.W), context.row_bytes, context.kernels.max_group, false, false,
                    context.settings.fusion, context.settings.share_row_bits);
    choose_kept();
    for (StringData string : plan.strings) {
      string.x = shape.frame.pair(string.x), string.z = shape.frame.parity(string.z);
      framed_strings_.push_back(string);
      string.x = shape.scatter.pair(string.x), string.z = shape.scatter.parity(string.z);
      strings.push_back(string);
    }
    for (const bool flips : {false, true}) {
      for (std::size_t i = 0; i < strings.size(); i++)
        if ((strings[i].x != 0) == flips) observed.push_back(i);
      if (!flips) n_diagonal = observed.size();
    }
  }

  bool prepared() const { return prepared_; }
  void forget() { prepared_ = false; }

  // For these shared angles (S); `runs` has been prepared for them.
  void prepare(const double* shared) {
    prepare_values(shared);
    prepare_calls();
    prepare_tables();
    prepared_ = true;
  }

  // One vector of phases for each row of a tile: many masks across the lanes, or per-sample phases, whose turns (a vector a
  // term) the caller gives. `a` is scratch of a number a lane.
  void vector_phases(int index, std::size_t tile, Turn<Real>* a, Real* table, const Turn<Real>* sample_turns) const {
    const Elementwise& e = shape.elementwise[std::size_t(index)];
    const DiagonalShape& d = e.diagonal;
    const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high), b = shape.lane_bits;
    const std::size_t W = c_.W;
    std::memset(a, 0, (W << tile_bits) * sizeof(Real));
    const Turn<Real>* turn = turns.data() + first_turn[std::size_t(index)];
    for (std::size_t j = 0; j < d.terms.size(); j++) {
      const PhaseTerm& t = d.terms[j];
      const Turn<Real> x = parity_of(tile & t.tau) ? Turn<Real>(0) - turn[j] : turn[j];
      for (std::size_t lane = std::size_t(t.lane); lane < W; lane += std::size_t(1) << b) a[t.e * W + lane] += x;
    }
    for (const SampleTerm& t : d.sample) {
      const bool minus = parity_of(tile & t.where.tau);
      Turn<Real>* to = a + t.where.e * W;
      for (std::size_t lane = std::size_t(t.where.lane); lane < W; lane += std::size_t(1) << b)
        to[lane] += minus ? Turn<Real>(0) - sample_turns[lane] : sample_turns[lane];
      sample_turns += W;
    }
    c_.kernels.vector_table(a, tile_bits, b, Real(scale[std::size_t(index)]), table);
  }

  // States are stored one after the other; the last one is the current state.
  std::size_t state_bytes() const { return c_.row_bytes << shape.row_bits; }
  std::size_t state_stride() const { return state_bytes() + 5 * c_.row_bytes; }
  int stored_states() const { return keep ? 1 + int(shape.elementwise.size()) : 1 + n_kept; }
  std::size_t unit_bytes() const { return state_stride() * std::size_t(stored_states()); }

 private:
  const Context<Real>& c_;
  bool prepared_ = false, built_ = false;

 public:
  Shape shape;
  std::vector<StringData> strings;     // their masks by where the rows lie
  bool keep;                           // psi after every set of rotations is stored
  std::vector<int> kept_before;        // [sweep]: place of the state before it among the stored ones, or -1
  int n_kept = 0;
  std::vector<std::uint8_t> minus_x, minus_z, minus;  // of each rotation: signs of v_x, v_z, v_y (frame and flip)
  std::vector<Real> tangent;           // of each rotation: tan with its sign; +-1 for per-sample ones
  std::vector<double> scale;           // of each elementwise step
  std::vector<Mask> frame;             // X part of the frame at each elementwise step
  std::vector<Turn<Real>> turns;       // of each phase term, all elementwise steps one after the other
  std::vector<std::size_t> first_turn; // of each elementwise step
  std::vector<std::uint8_t> string_minus;
  std::vector<std::size_t> observed;   // strings in the order they are observed: the n_diagonal without X or Y come first
  std::size_t n_diagonal = 0;
  double expectation_factor = 1, psi_end = 1, lam_end = 1;
  std::vector<double> raw_factor, sample_factor;
  std::vector<std::uint32_t> raw_acc;
  std::vector<std::uint8_t> raw_lane;
  std::vector<std::vector<Call<Real>>> forward, backward;  // [sweep][step]

 private:
  std::vector<StringData> framed_strings_;  // their masks in the lane frame of the final state
  Buffer lane_sine_;                   // [rotation][lane]
  Buffer tables_;

  bool may_keep(const PlanData& plan, int lane_bits) const {
    return c_.settings.mode == Mode::kKeep && lane_bits == 0 && plan.passes.size() <= 1;
  }

  // Which states are kept for checkpoints: every `interval` steps of progress, counted in rotations.
  void choose_kept() {
    kept_before.assign(shape.sweeps.size() + 1, -1);
    if (c_.settings.interval <= 0 || shape.sweeps.empty()) return;
    int rotations = 0, steps = 1;
    for (const Sweep& s : shape.sweeps) rotations += s.rotations;
    for (const Elementwise& e : shape.elementwise) steps += e.diagonal.kind != kNone;
    const double per_step = double(rotations) / steps;
    double done = 0, due = 0;
    for (std::size_t s = 0; s < shape.sweeps.size(); s++) {
      if (done >= due) {
        kept_before[s] = n_kept++;
        due += c_.settings.interval * per_step;
      }
      done += shape.sweeps[s].rotations;
    }
  }

  double term_angle(const PhaseTerm& term, const double* shared) const {
    double angle = term.constant;
    for (const auto& p : term.parts)
      angle += p.coefficient *
               (p.source == kSlot ? shared[p.index] : p.source == kAlpha ? c_.runs.alpha[p.index] : c_.runs.gamma[p.index]);
    return angle;
  }

  // Signs, scales and angles in time order. The stored state is X^F Z^G of the true one: where |tan(beta/2)| > 1 half a turn
  // XZ = X^pair Z^parity is split off and joins (F, G) instead of the data; later signs follow from parities with F and G.
  void prepare_values(const double* shared) {
    const Shape& s = shape;
    const std::size_t n_rotations = s.rotations.size(), n_elementwise = s.elementwise.size();
    tangent.assign(n_rotations + 1, 0), minus.assign(n_rotations, 0), minus_x = minus, minus_z = minus;
    scale.assign(n_elementwise, 1), frame.assign(n_elementwise, 0), first_turn.assign(n_elementwise, 0);
    turns.clear();
    lane_sine_.reserve((n_rotations + 1) * c_.W * sizeof(Real));
    Mask F = 0, G = 0;
    double now = 1;
    auto rotation = [&](int m) {
      const ShapeRotation& r = s.rotations[std::size_t(m)];
      const bool sample = r.sample_index >= 0;
      if (!sample && c_.runs.turned[r.run]) F ^= r.pair, G ^= r.parity;
      minus_z[m] = std::uint8_t(parity_of(F & r.parity) ^ int(r.flip));
      minus_x[m] = std::uint8_t(parity_of(G & r.pair));
      minus[m] = minus_z[m] ^ minus_x[m];
      const double t = sample ? 1.0 : c_.runs.tangent[r.run];
      tangent[m] = Real(minus[m] ? -t : t);
      if (!sample) now *= c_.runs.factor[r.run];
    };
    for (int m : s.initial) {
      minus_z[m] = minus[m] = s.rotations[m].flip;
      tangent[m] = minus[m] ? Real(-1) : Real(1);
    }
    std::vector<double> slot_scale, before(s.sweeps.size() + 1, 1);
    for (std::size_t i = 0; i < s.sweeps.size(); i++) {
      before[i] = now;
      for (const Step& step : s.sweeps[i].forward) {
        if (step.kind == Step::kRotate) {
          const Group& g = s.groups[step.index];
          for (int k = 0; k < g.count; k++) rotation(g.rotation[k]);
          continue;
        }
        const Elementwise& e = s.elementwise[step.index];
        slot_scale.push_back(now);
        frame[step.index] = F;
        scale[step.index] = now;
        now = 1;
        if (e.exchanges) F = e.exchange.pair(F), G = e.exchange.parity(G);
        for (const LaneRotationShape& l : e.lanes) {
          rotation(l.rotation);
          Real* sine = lane_sine_.template as<Real>() + c_.W * std::size_t(l.rotation);
          for (std::size_t lane = 0; lane < c_.W; lane++)
            sine[lane] = parity_of(lane & Mask(l.lane_parity)) ? tangent[l.rotation] : -tangent[l.rotation];
        }
        first_turn[step.index] = turns.size();
        for (const PhaseTerm& term : e.diagonal.terms) {
          const Turn<Real> a = turn_of<Real>(term_angle(term, shared));
          turns.push_back(parity_of(term.mask & frame[step.index]) ? Turn<Real>(0) - a : a);
        }
      }
    }
    before[s.sweeps.size()] = now;
    // stored = true / now
    expectation_factor = now * now;
    string_minus.clear();
    for (const StringData& string : framed_strings_)
      string_minus.push_back(std::uint8_t((string.sign < 0) ^ parity_of(F & string.z) ^ parity_of(G & string.x)));
    backward_scales(now, before, slot_scale);
  }

  // Going back: scales of psi and lam wherever something is measured, hence the factor of every raw sum.
  void backward_scales(double end, const std::vector<double>& before, const std::vector<double>& slot_scale) {
    const Shape& s = shape;
    std::vector<double> at_rotation(s.rotations.size(), 1), at_elementwise(s.elementwise.size(), 1);
    double psi = end, lam = end;
    std::size_t slot = slot_scale.size();
    for (std::size_t i = s.sweeps.size(); i-- > 0;) {
      if (c_.settings.mode == Mode::kCheckpoint || kept_before[i + 1] >= 0) psi = before[i + 1];
      for (const Step& step : s.sweeps[i].backward) {
        if (step.kind == Step::kElementwise) {
          const Elementwise& e = s.elementwise[step.index];
          for (const LaneRotationShape& l : e.lanes) {
            at_rotation[l.rotation] = psi * lam;
            const ShapeRotation& r = s.rotations[l.rotation];
            if (r.sample_index < 0 && !e.measure) psi *= c_.runs.factor[r.run], lam *= c_.runs.factor[r.run];
          }
          if (e.measure) continue;
          if (keep) {
            lam /= scale[step.index];
            psi = slot_scale[--slot];
            at_elementwise[step.index] = psi * lam;
          } else {
            at_elementwise[step.index] = psi * lam;
            psi /= scale[step.index], lam /= scale[step.index];
          }
          continue;
        }
        const Group& g = s.groups[step.index];
        double factor = 1;
        for (int k = 0; k < g.count; k++) {
          if (step.kind == Step::kReverse || step.kind == Step::kMeasure)
            at_rotation[g.rotation[k]] = (g.count == 2 ? 0.5 : 1.0) * psi * lam;
          if (!g.per_sample) factor *= c_.runs.factor[s.rotations[g.rotation[k]].run];
        }
        if (step.kind == Step::kReverse || step.kind == Step::kUndo) psi *= factor, lam *= factor;
        if (step.kind == Step::kUndoLam) lam *= factor;
      }
    }
    psi_end = psi, lam_end = lam;
    const std::size_t n_raw = std::size_t(c_.runs.n_raw());
    raw_factor.assign(n_raw, 0), raw_acc.assign(n_raw, 0), raw_lane.assign(n_raw, 0), sample_factor.clear();
    for (const RawRow& r : s.raw_rows) {
      double f = r.elementwise >= 0 ? at_elementwise[r.elementwise] : at_rotation[r.rotation];
      switch (r.what) {
        case 'x': if (minus_x[r.rotation]) f = -f; break;
        case 'y': if (minus[r.rotation]) f = -f; break;
        case 'm': if (!minus[r.rotation]) f = -f; break;
        case 'z': if (minus_z[r.rotation]) f = -f; break;
        default: if (parity_of(r.mask & frame[r.elementwise])) f = -f;
      }
      raw_factor[r.row] = f, raw_acc[r.row] = std::uint32_t(r.acc), raw_lane[r.row] = std::uint8_t(r.lane_mask);
    }
    for (const SampleRow& r : s.sample_rows) {
      double f = r.coefficient * (r.elementwise >= 0 ? at_elementwise[r.elementwise] : at_rotation[r.rotation]);
      if (r.elementwise >= 0 ? parity_of(r.mask & frame[r.elementwise]) : int(minus[r.rotation])) f = -f;
      sample_factor.push_back(f);
    }
  }

  void prepare_calls() {
    const Shape& s = shape;
    if (!built_) {
      built_ = true;
      tables_.reserve((s.table_size + 2 * c_.W) * sizeof(Real));
      forward.resize(s.sweeps.size()), backward.resize(s.sweeps.size());
      for (std::size_t i = 0; i < s.sweeps.size(); i++)
        for (const bool back : {false, true}) build_calls(s.sweeps[i], back, back ? backward[i] : forward[i]);
    }
    for (auto* all : {&forward, &backward})
      for (auto& calls : *all)
        for (auto& call : calls) {
          if (call.kind == Step::kElementwise) {
            call.elementwise.scale = Real(scale[call.index]);
            if (!call.phase_rotate && !call.layer_back) continue;
          }
          if (call.layer_back) {
            for (int q = 0; q < s.row_bits; q++) call.layer.t[q] = -tangent[call.rotation[q]];
            continue;
          }
          const Group& g = s.groups[call.phase_rotate ? call.then : call.index];
          const bool inverse = call.kind == Step::kUndo || call.kind == Step::kUndoLam;
          for (int q = 0; q < g.count; q++) {
            const Real t = tangent[g.rotation[q]];
            call.group.psi.t[q] = inverse ? -t : t;
            if (q < 2) call.group.y_sign[q] = 1;
          }
        }
  }

  void build_calls(const Sweep& sweep, bool back, std::vector<Call<Real>>& calls) {
    const std::vector<Step>& steps = back ? sweep.backward : sweep.forward;
    const bool single = shape.geometries[sweep.geometry].tau_bits == 0;
    for (const Step& step : steps) {
      Call<Real> call = build_call(step, back, single);
      if (back ? join_backward(calls, call) : join_forward(calls, call)) continue;
      calls.push_back(call);
    }
  }

  // ---- kept states: several steps in one call ----------------------------------------------------------------------

  // A diagonal whose table has the rows in the order of their addresses, and nothing else.
  bool plain_diagonal(const Call<Real>& call) const {
    if (!keep || call.kind != Step::kElementwise || !call.plain) return false;
    const Elementwise& e = shape.elementwise[call.index];
    for (std::size_t i = 0; i < e.basis.size(); i++)
      if (e.basis[i] != Mask(1) << i) return false;
    return e.diagonal.kind == kScalar && e.lanes.empty();
  }

  // Shared rotations of the lowest address bits, rotation k of bit k in both its masks.
  bool lowest_bits(const Call<Real>& call) const {
    const Group& g = shape.groups[call.index];
    const RotateCall<Real>& r = call.group.psi;
    if (!call.plain || g.per_sample || g.lanes) return false;
    const Offset members = (c_.row_bytes << g.count) - 1;
    for (std::size_t j = 0; j < std::size_t(1) << g.count; j++)
      if (r.rows.member[j] != j * c_.row_bytes) return false;
    for (std::uint32_t l = 0; l < r.n_low; l++)
      if (r.rows.low[l] & members) return false;
    for (std::uint32_t h = 0; h < r.n_high; h++)
      if (r.rows.high[h] & members) return false;
    for (int k = 0; k < g.count; k++)
      if (shape.rotations[g.rotation[k]].parity != Mask(1) << k) return false;
    return true;
  }

  // Forward: a diagonal and the rotations after it.
  bool join_forward(std::vector<Call<Real>>& calls, const Call<Real>& call) const {
    if (calls.empty() || call.kind != Step::kRotate) return false;
    Call<Real>& before = calls.back();
    if (before.phase_rotate || !plain_diagonal(before) || !lowest_bits(call)) return false;
    before.group = call.group, before.then = call.index;
    before.phase_rotate = c_.kernels.phase_rotate[shape.groups[call.index].count];
    return true;
  }

  // Backward: v of all rotations of a state of one group, their inverses, and the diagonal before them.
  bool join_backward(std::vector<Call<Real>>& calls, const Call<Real>& call) const {
    const int n = shape.row_bits;
    if (n > kMaxGroup || !plain_diagonal(call) || shape.elementwise[call.index].walsh) return false;
    // the calls before it, from the last: inverse rotations, then v in pairs, as the kernel takes them
    std::size_t first = calls.size();
    std::vector<int> undone, measured;
    for (const auto& [kind, rotations] : {std::pair{Step::kUndoLam, &undone}, std::pair{Step::kMeasure, &measured}})
      while (first > 0 && calls[first - 1].kind == kind) {
        const Call<Real>& before = calls[--first];
        const Group& g = shape.groups[before.index];
        if (!before.plain || g.per_sample || g.lanes) return false;
        if (kind == Step::kMeasure && g.count != (measured.empty() && n % 2 ? 1 : 2)) return false;
        rotations->insert(rotations->begin(), g.rotation.begin(), g.rotation.begin() + g.count);
      }
    for (const auto* rotations : {&undone, &measured}) {
      if (int(rotations->size()) != n) return false;  // else: angles that are not trained
      for (int k = 0; k < n; k++) {
        const ShapeRotation& r = shape.rotations[(*rotations)[std::size_t(k)]];
        if (r.pair != Mask(1) << k || r.parity != Mask(1) << k) return false;
      }
    }
    Call<Real> layer = call;
    layer.layer = {};
    for (int k = 0; k < n; k++) {
      layer.rotation[k] = undone[std::size_t(k)];
      layer.layer.acc[k] = std::uint32_t(shape.rotations[undone[std::size_t(k)]].acc);
    }
    for (const SumTarget& target : shape.elementwise[call.index].sums) layer.layer.sum_acc[target.from] = target.acc;
    layer.layer.table = call.elementwise.table;
    layer.layer_back = c_.kernels.layer_back[n];
    calls.resize(first);
    calls.push_back(layer);
    return true;
  }

  Call<Real> build_call(const Step& step, bool back, bool single) const {
    const Shape& s = shape;
    Call<Real> call{};
    call.kind = step.kind, call.index = step.index;
    auto at = [&](std::size_t i) { return s.offsets.data() + i; };
    if (step.kind == Step::kElementwise) {
      const Elementwise& e = s.elementwise[step.index];
      ElementwiseCall<Real>& c = call.elementwise;
      c.low = at(e.rows.low), c.high = at(e.rows.high);
      c.n_low = e.n_low, c.n_high = e.n_high;
      c.n_lane = int(e.lanes.size());
      const Phase kind = e.diagonal.kind;
      if (has_table(e.diagonal)) c.table = tables_.template as<Real>() + e.diagonal.table;
      call.plain = kind == kNone || (single && (kind == kScalar || kind == kFactor || e.diagonal.whole));
      if (single && kind == kFactor) {
        c.high_phase = tables_.template as<Real>() + e.diagonal.high_table;
        c.variant = e.diagonal.variant.data();
      }
      for (int q = 0; q < c.n_lane; q++) {
        const LaneRotationShape& l = e.lanes[std::size_t(q)];
        const ShapeRotation& r = s.rotations[l.rotation];
        LaneRotation<Real>& lane = c.lane[q];
        lane.lane_xor = l.lane_xor, lane.low_signs = l.low_signs, lane.high_parity = l.high_parity;
        lane.acc = std::uint32_t(std::max(r.acc, 0));
        lane.sine = e.measure ? zeros() : lane_sine_.template as<Real>() + c_.W * std::size_t(l.rotation);
        if (r.tau || (r.sample_index >= 0 && !e.measure)) call.plain = false;
        call.for_samples = e.measure && (q == 0 || call.for_samples) && r.sample_index >= 0;
      }
      if (e.exchanges) {
        c.exchange_low = e.exchange_low.data(), c.exchange_high = e.exchange_high.data();
        call.plain = call.plain && single;
      }
      call.compressed = std::size_t(e.n_low) * e.n_high >= 4 && !e.walsh && !e.general;
      const Kernels<Real>& k = c_.kernels;
      if (!back) call.kernel = e.general ? k.forward_general[kind] : k.forward[kind][e.lanes.size()];
      else if (keep) call.kernel = k.reverse_kept[kind][call.compressed];
      else call.kernel = e.general ? k.reverse_general[kind] : k.reverse[kind][e.lanes.size()][call.compressed];
      return call;
    }
    const Group& g = s.groups[step.index];
    RotateCall<Real>& c = call.group.psi;
    c.rows = {at(g.rows.low), at(g.rows.high), at(g.rows.member)};
    c.n_low = g.n_low, c.n_high = g.n_high;
    c.member_lane = g.member_lane.data(), c.parity_lane = g.parity_lane.data();
    call.plain = g.parts.size() == 1 && !g.parts[0].signs;
    bool with_x = false;
    for (int q = 0; q < g.count; q++) {
      const ShapeRotation& r = s.rotations[g.rotation[q]];
      if (r.tau) call.plain = false;
      c.turn[q] = std::uint32_t(std::max(r.sample_index, 0));
      if (q < 2) call.group.acc[q] = std::uint32_t(std::max(r.acc, 0));
      with_x = with_x || (!g.per_sample && !c_.runs.real(r.run));
    }
    call.for_samples = step.kind == Step::kMeasure && g.per_sample;
    call.rotate = c_.kernels.rotate[g.count][g.per_sample][g.lanes];
    if (step.kind == Step::kReverse) call.reverse = c_.kernels.backward[g.count][g.per_sample][g.lanes][with_x];
    if (step.kind == Step::kMeasure) call.reverse = c_.kernels.measure[g.count][g.lanes][with_x];
    return call;
  }

  static const Real* zeros() {
    alignas(64) static const Real zero[64 / sizeof(Real)] = {};
    return zero;
  }

  static bool has_table(const DiagonalShape& d) { return d.kind == kScalar || d.kind == kFactor || d.whole; }

  // Diagonals that the whole batch shares.
  void prepare_tables() {
    std::vector<int> todo;
    for (std::size_t i = 0; i < shape.elementwise.size(); i++)
      if (has_table(shape.elementwise[i].diagonal)) todo.push_back(int(i));
    auto one = [&](int which, int thread) { fill_table(todo[std::size_t(which)], c_.workers[std::size_t(thread)]); };
    if (shape.table_size > 1u << 15) c_.team.run(int(todo.size()), one);
    else for (int i = 0; i < int(todo.size()); i++) one(i, 0);
  }

  void fill_table(int index, Worker& worker) {
    const Shape& s = shape;
    const Elementwise& e = s.elementwise[std::size_t(index)];
    const DiagonalShape& d = e.diagonal;
    const Turn<Real>* turn = turns.data() + first_turn[std::size_t(index)];
    Real* table = tables_.template as<Real>() + d.table;
    const std::size_t W = c_.W;
    if (d.kind == kScalar) {
      const std::size_t rows = std::size_t(1) << s.row_bits;
      const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high);
      worker.turns.reserve(std::max(rows, W) * sizeof(Real));
      Turn<Real>* a = worker.turns.template as<Turn<Real>>();
      std::memset(a, 0, std::max(rows, W) * sizeof(Real));
      for (std::size_t j = 0; j < d.terms.size(); j++) a[d.terms[j].tau << tile_bits | d.terms[j].e] += turn[j];
      c_.kernels.scalar_table(a, s.row_bits, Real(scale[std::size_t(index)]), table);
      return;
    }
    if (d.whole) {
      const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high);
      const std::size_t size = W << tile_bits, tiles = std::size_t(1) << (s.row_bits - tile_bits);
      worker.turns.reserve(size * sizeof(Real));
      for (std::size_t tile = 0; tile < tiles; tile++)
        vector_phases(index, tile, worker.turns.template as<Turn<Real>>(), table + 2 * size * tile, nullptr);
      return;
    }
    if (!d.variant.empty()) {
      const std::size_t n = std::max<std::size_t>(e.n_high, W);
      worker.turns.reserve(n * sizeof(Real));
      Turn<Real>* a = worker.turns.template as<Turn<Real>>();
      std::memset(a, 0, n * sizeof(Real));
      for (int j : d.high) a[d.terms[std::size_t(j)].e >> __builtin_ctz(e.n_low)] += turn[j];
      c_.kernels.scalar_table(a, __builtin_ctz(e.n_high), Real(scale[std::size_t(index)]), tables_.template as<Real>() + d.high_table);
    }
    const std::size_t variants = std::size_t(1) << d.crossing.size(), size = W * e.n_low;
    worker.turns.reserve(size * sizeof(Real));
    Turn<Real>* a = worker.turns.template as<Turn<Real>>();
    for (std::size_t variant = 0; variant < variants; variant++) {
      std::memset(a, 0, size * sizeof(Real));
      auto add = [&](const PhaseTerm& t, Turn<Real> x) {
        for (std::size_t lane = std::size_t(t.lane); lane < W; lane += std::size_t(1) << s.lane_bits)
          a[(t.e & (e.n_low - 1)) * W + lane] += x;
      };
      for (int j : d.low) add(d.terms[std::size_t(j)], turn[j]);
      for (std::size_t k = 0; k < d.crossing.size(); k++) {
        const int j = d.crossing[k];
        add(d.terms[std::size_t(j)], variant >> k & 1 ? Turn<Real>(0) - turn[j] : turn[j]);
      }
      c_.kernels.vector_table(a, __builtin_ctz(e.n_low), s.lane_bits, Real(1), table + 2 * size * variant);
    }
  }
};

}  // namespace qmltrain
