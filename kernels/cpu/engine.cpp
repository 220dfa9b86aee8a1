#include "engine.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <complex>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <type_traits>

namespace qmltrain {

Buffer::~Buffer() { std::free(data_); }

void Buffer::reserve(std::size_t bytes) {
  if (bytes <= size_) return;
  std::free(data_);
  data_ = nullptr, size_ = 0;
  const std::size_t page = bytes > (1u << 21) ? std::size_t(1) << 21 : 64;
  const std::size_t rounded = (bytes + page - 1) / page * page;
  data_ = static_cast<char*>(std::aligned_alloc(page, rounded));
  if (!data_) throw std::bad_alloc();
#ifdef MADV_HUGEPAGE
  if (page > 64) madvise(data_, rounded, MADV_HUGEPAGE);
#endif
  size_ = rounded;
}

namespace {

constexpr int kContexts = 16;      // fixed number of partial sums of a sweep over tiles, added in order
constexpr std::size_t kSkew = 9;   // rows: lam must not lie on the cache sets of psi

template <class Real> using Turn = std::conditional_t<sizeof(Real) == 4, std::uint32_t, std::uint64_t>;

// phi -> phi / (4 pi) of a turn: exp(-i phi / 2) = exp(-2 pi i turn)
template <class Real> Turn<Real> turn_of(double angle) {
  double x = angle * 0.079577471545947667884;
  x -= std::nearbyint(x);
  if constexpr (sizeof(Real) == 4) return std::uint32_t(std::int64_t(std::nearbyint(x * 4294967296.0)));
  else return std::uint64_t(std::int64_t(x * 9223372036854775808.0)) * 2;
}

// Everything about one shape that depends on the shared angles.
template <class Real> struct Values {
  std::vector<Real> t;                 // of each rotation: tan with its sign; +-1 for per-sample ones
  std::vector<std::uint8_t> minus;     // sign of v_y (frame and flip)
  std::vector<std::uint8_t> minus_x, minus_z;
  Buffer lane_sine;                    // [rotation][lane]
  Buffer tables;
  std::vector<double> scale;           // of each elementwise step
  std::vector<Mask> frame;             // X part of the frame at each elementwise step
  std::vector<Turn<Real>> turns;       // of each phase term, all elementwise steps one after the other
  std::vector<std::size_t> first_turn;
  std::vector<std::uint8_t> string_minus;
  double expectation_factor = 1, psi_end = 1, lam_end = 1;
  std::vector<double> raw_factor, sample_factor;
  std::vector<std::uint32_t> raw_acc;
  std::vector<std::uint8_t> raw_lane;
  struct Call;
  std::vector<std::vector<Call>> forward, backward;  // [sweep][step]
  bool built = false;
  std::vector<int> diagonal, general;  // strings without and with X or Y
};

// A step with everything filled in that does not depend on the tile, the unit or the thread.
template <class Real> struct Values<Real>::Call {
  Step::Kind kind;
  int index;
  bool from_state, to_state;
  bool plain;              // nothing changes from tile to tile but where it lies
  BackwardCall<Real> group;
  typename Kernels<Real>::Rotate rotate;
  typename Kernels<Real>::Backward reverse;
  ElementwiseCall<Real> elementwise;
  typename Kernels<Real>::Elementwise kernel;
  bool compressed;
};

template <class Real> struct Worker {
  Buffer tile, w, sums, offsets, contexts, table, variant, phase, turns, observe;
  Buffer psi, lam, kept, segment, acc, unit_angles, expectation, weight;
};

}  // namespace

template <class Real> class Engine final : public EngineBase {
 public:
  Engine(const PlanData& plan, const InstructionSet& set, const Settings& settings)
      : plan_(plan), k_(kernels(set)), runs_(plan_, *set.arithmetic), settings_(settings), team_(settings.threads),
        W_(std::size_t(k_.lanes)), row_bytes_(2 * W_ * sizeof(Real)), workers_(std::size_t(team_.threads())),
        arithmetic_(set.arithmetic) {
    shapes_.resize(kMaxLaneBits + 1), values_.resize(kMaxLaneBits + 1);
  }

  int n_raw() const override { return runs_.n_raw(); }
  bool has_shape(int b) const override { return bool(shapes_[std::size_t(b)]); }
  void add_shape(const PlanData& plan, int b) override {
    const bool keep = settings_.mode == Mode::kKeep && b == 0 && int(plan.passes.size()) <= 1;
    auto shape = std::make_unique<Shape>(plan, runs_, b, k_.lanes, row_bytes_, k_.max_group, keep,
                                         settings_.interval > 0, settings_.fusion);
    keep_[b] = keep && shape->resident && shape->sweeps.size() <= 1;
    if (keep && !keep_[b])
      shape = std::make_unique<Shape>(plan, runs_, b, k_.lanes, row_bytes_, k_.max_group, false, false, settings_.fusion);
    shapes_[std::size_t(b)] = std::move(shape);
    values_[std::size_t(b)] = std::make_unique<Values<Real>>();
    fill_kept(b);
    prepared_.clear();
  }

  // As many samples as there are in the lanes, but no more than lets both states stay near the second cache.
  int lane_bits_of(int samples) const override {
    int b = 0;
    if (forced_lane_bits >= 0) {
      while (b < forced_lane_bits && (2 << b) <= int(W_) && b < plan_.n_qubits) b++;
      return b;
    }
    while (b < kMaxLaneBits && (2 << b) <= int(W_) && b < plan_.n_qubits &&
           (int(W_ >> (b + 1)) >= samples || plan_.n_qubits - b > 10))
      b++;
    return b;
  }

  std::unique_ptr<Tape> forward(const Inputs& in, double* expectations) override {
    prepare(in.shared);
    auto tape = std::make_unique<Tape>();
    tape->inputs = in;
    tape->shared.assign(in.shared, in.shared + plan_.n_shared);
    tape->per_sample.assign(in.per_sample, in.per_sample + std::size_t(in.batch) * plan_.n_per_sample);
    if (in.initial) tape->initial.assign(in.initial, in.initial + (std::size_t(in.batch) << plan_.n_qubits));
    tape->inputs.shared = tape->shared.data(), tape->inputs.per_sample = tape->per_sample.data();
    tape->inputs.initial = in.initial ? tape->initial.data() : nullptr;
    const std::vector<Unit> units = make_units(in.batch);
    tape->states.resize(units.size());
    each_unit(units, [&](const Unit& unit, int thread, bool one_thread) {
      Run run{*this, unit, tape->inputs, workers_[std::size_t(thread)], one_thread};
      tape->states[std::size_t(unit.index)].reserve(state_buffer(unit.lane_bits));
      run.store = tape->states[std::size_t(unit.index)].get();
      run.forward();
      run.observe(nullptr, false, expectations);
    });
    return tape;
  }

  void backward(Tape& tape, const double* cotangents, const Gradients& out) override {
    prepare(tape.inputs.shared);
    run_backward(tape.inputs, &tape, cotangents, true, nullptr, out);
  }

  void expectation_gradient(const Inputs& in, const double* cotangents, bool per_row, double* expectations,
                            const Gradients& out, double* gradient) override {
    prepare(in.shared);
    block_sums_.resize(std::size_t((in.batch + kBlock - 1) / kBlock) * std::size_t(n_raw()));
    Gradients with_blocks = out;
    with_blocks.block_sums = block_sums_.data();
    run_backward(in, nullptr, cotangents, per_row, expectations, with_blocks);
    tree_sum(block_sums_.data(), (in.batch + kBlock - 1) / kBlock, std::size_t(n_raw()));
    std::fill(gradient, gradient + plan_.n_shared, 0.0);
    runs_.slot_gradient(block_sums_.data(), gradient);
  }

  void slot_gradient(const double* total, const double* shared, double* gradient) override {
    prepare(shared);
    runs_.slot_gradient(total, gradient);
  }

 private:
  static const Kernels<Real>& kernels(const InstructionSet& set) {
    if constexpr (sizeof(Real) == 4) return *set.single;
    else return *set.dual;
  }

  // Rows added in place along the fixed tree (neighbours in pairs, a last one passed up) into row 0.
  static void tree_sum(double* rows, int count, std::size_t n) {
    while (count > 1) {
      for (int i = 0; i < count / 2; i++)
        for (std::size_t k = 0; k < n; k++) rows[std::size_t(i) * n + k] = rows[std::size_t(2 * i) * n + k] + rows[std::size_t(2 * i + 1) * n + k];
      if (count % 2) std::copy(rows + std::size_t(count - 1) * n, rows + std::size_t(count) * n, rows + std::size_t(count / 2) * n);
      count = (count + 1) / 2;
    }
  }

  struct Unit { int index, block, first, count, lane_bits; };

  // ---- storage of states ------------------------------------------------------------------------------------------

  // kept_before_[b][s]: place of the state before sweep s among the stored ones, or -1
  void fill_kept(int b) {
    const Shape& shape = *shapes_[b];
    std::vector<int>& kept = kept_before_[b];
    kept.assign(shape.sweeps.size() + 1, -1);
    n_kept_[b] = 0, longest_segment_[b] = 0;
    if (settings_.interval <= 0 || shape.sweeps.empty()) return;
    int rotations = 0, steps = 1;
    for (const Sweep& s : shape.sweeps) rotations += s.rotations;
    for (const Elementwise& e : shape.elementwise) steps += e.diagonal.kind != kNone;
    const double per_step = double(rotations) / steps;
    double done = 0, due = 0;
    int since = 0;
    for (std::size_t s = 0; s < shape.sweeps.size(); s++) {
      if (done >= due) {
        kept[s] = n_kept_[b]++;
        due += settings_.interval * per_step;
        since = 0;
      }
      longest_segment_[b] = std::max(longest_segment_[b], ++since);
      done += shape.sweeps[s].rotations;
    }
  }

  std::size_t state_bytes(int b) const { return (row_bytes_ << shapes_[b]->row_bits); }
  int stored_states(int b) const {
    if (keep_[b]) return 1 + int(shapes_[b]->elementwise.size());
    return 1 + n_kept_[b];  // the last one is the current state
  }
  std::size_t state_stride(int b) const { return state_bytes(b) + 5 * row_bytes_; }
  std::size_t state_buffer(int b) const { return state_stride(b) * std::size_t(stored_states(b)); }

  // ---- shared angles ----------------------------------------------------------------------------------------------

  void prepare(const double* shared) {
    const std::size_t n = std::size_t(plan_.n_shared);
    if (valid_ && prepared_.size() == n && std::equal(prepared_.begin(), prepared_.end(), shared)) {
      for (int b = 0; b <= kMaxLaneBits; b++)
        if (shapes_[b] && values_[b]->t.empty()) prepare_shape(b, shared);
      return;
    }
    runs_.prepare(shared);
    for (int b = 0; b <= kMaxLaneBits; b++)
      if (shapes_[b]) values_[b]->t.clear();
    prepared_.assign(shared, shared + n);
    valid_ = true;
  }

  void need_values(int b) {
    if (values_[b]->t.empty()) prepare_shape(b, prepared_.data());
  }

  double term_angle(const PhaseTerm& term, const double* shared) const {
    double angle = term.constant;
    for (const auto& p : term.parts)
      angle += p.coefficient * (p.source == kSlot ? shared[p.index] : p.source == kAlpha ? runs_.alpha[p.index] : runs_.gamma[p.index]);
    return angle;
  }

  // Signs, scales and tables in time order. The stored state is X^F Z^G of the true one: where |tan(beta/2)| > 1 half a turn
  // XZ = X^pair Z^parity is split off and joins (F, G) instead of the data; later signs follow from parities with F and G.
  void prepare_shape(int b, const double* shared) {
    const Shape& s = *shapes_[b];
    Values<Real>& v = *values_[b];
    const std::size_t n_rotations = s.rotations.size(), n_elementwise = s.elementwise.size();
    v.t.assign(n_rotations + 1, 0), v.minus.assign(n_rotations, 0), v.minus_x = v.minus, v.minus_z = v.minus;
    v.scale.assign(n_elementwise, 1), v.frame.assign(n_elementwise, 0), v.first_turn.assign(n_elementwise, 0);
    v.turns.clear();
    v.lane_sine.reserve((n_rotations + 1) * W_ * sizeof(Real));
    v.tables.reserve((s.table_size + 2 * W_) * sizeof(Real));
    Mask F = 0, G = 0;
    double scale = 1;
    auto rotation = [&](int m) {
      const ShapeRotation& r = s.rotations[std::size_t(m)];
      const bool sample = r.sample_index >= 0;
      if (!sample && runs_.turned[r.run]) F ^= r.pair, G ^= r.parity;
      v.minus_z[m] = std::uint8_t(parity_of(F & r.parity) ^ int(r.flip));
      v.minus_x[m] = std::uint8_t(parity_of(G & r.pair));
      v.minus[m] = v.minus_z[m] ^ v.minus_x[m];
      const double t = sample ? 1.0 : runs_.tangent[r.run];
      v.t[m] = Real(v.minus[m] ? -t : t);
      if (!sample) scale *= runs_.factor[r.run];
    };
    for (int m : s.initial) {
      v.minus_z[m] = v.minus[m] = s.rotations[m].flip;
      v.t[m] = v.minus[m] ? Real(-1) : Real(1);
    }
    std::vector<double> slot_scale, before(s.sweeps.size() + 1, 1);
    for (std::size_t i = 0; i < s.sweeps.size(); i++) {
      before[i] = scale;
      for (const Step& step : s.sweeps[i].forward) {
        if (step.kind == Step::kRotate) {
          const Group& g = s.groups[step.index];
          for (int k = 0; k < g.count; k++) rotation(g.rotation[k]);
          continue;
        }
        const Elementwise& e = s.elementwise[step.index];
        slot_scale.push_back(scale);
        v.frame[step.index] = F;
        v.scale[step.index] = scale;
        scale = 1;
        for (const LaneRotationShape& l : e.lanes) {
          rotation(l.rotation);
          Real* sine = v.lane_sine.template as<Real>() + W_ * std::size_t(l.rotation);
          for (std::size_t i2 = 0; i2 < W_; i2++)
            sine[i2] = parity_of(i2 & Mask(l.lane_parity)) ? v.t[l.rotation] : -v.t[l.rotation];
        }
        v.first_turn[step.index] = v.turns.size();
        for (const PhaseTerm& term : e.diagonal.terms) {
          const Turn<Real> a = turn_of<Real>(term_angle(term, shared));
          v.turns.push_back(parity_of(term.mask & v.frame[step.index]) ? Turn<Real>(0) - a : a);
        }
      }
    }
    before[s.sweeps.size()] = scale;
    // stored = true / scale
    v.expectation_factor = scale * scale;
    v.string_minus.clear();
    for (const StringData& string : plan_.strings)
      v.string_minus.push_back(std::uint8_t((string.sign < 0) ^ parity_of(F & string.z) ^ parity_of(G & string.x)));

    // backward: scales of psi and lam wherever something is measured
    std::vector<double> at_rotation(n_rotations, 1), at_elementwise(n_elementwise, 1);
    double psi = scale, lam = scale;
    std::size_t slot = slot_scale.size();
    for (std::size_t i = s.sweeps.size(); i-- > 0;) {
      if (settings_.mode == Mode::kCheckpoint || kept_before_[b][i + 1] >= 0) psi = before[i + 1];
      for (const Step& step : s.sweeps[i].backward) {
        if (step.kind == Step::kElementwise) {
          const Elementwise& e = s.elementwise[step.index];
          for (const LaneRotationShape& l : e.lanes) {
            at_rotation[l.rotation] = psi * lam;
            const ShapeRotation& r = s.rotations[l.rotation];
            if (r.sample_index < 0 && !e.measure) psi *= runs_.factor[r.run], lam *= runs_.factor[r.run];
          }
          if (e.measure) continue;
          if (keep_[b]) {
            lam /= v.scale[step.index];
            psi = slot_scale[--slot];
            at_elementwise[step.index] = psi * lam;
          } else {
            at_elementwise[step.index] = psi * lam;
            psi /= v.scale[step.index], lam /= v.scale[step.index];
          }
          continue;
        }
        const Group& g = s.groups[step.index];
        double factor = 1;
        for (int k = 0; k < g.count; k++) {
          if (step.kind == Step::kReverse || step.kind == Step::kMeasure) at_rotation[g.rotation[k]] = psi * lam;
          if (!g.per_sample) factor *= runs_.factor[s.rotations[g.rotation[k]].run];
        }
        if (step.kind == Step::kReverse || step.kind == Step::kUndo) psi *= factor, lam *= factor;
        if (step.kind == Step::kUndoLam) lam *= factor;
      }
    }
    v.psi_end = psi, v.lam_end = lam;
    v.raw_factor.clear(), v.raw_acc.clear(), v.raw_lane.clear(), v.sample_factor.clear();
    std::vector<const RawRow*> by_row(std::size_t(n_raw()), nullptr);
    for (const RawRow& r : s.raw_rows) by_row[r.row] = &r;
    for (const RawRow* r : by_row) {
      if (!r) {
        v.raw_factor.push_back(0), v.raw_acc.push_back(0), v.raw_lane.push_back(0);
        continue;
      }
      double f = r->elementwise >= 0 ? at_elementwise[r->elementwise] : at_rotation[r->rotation];
      switch (r->what) {
        case 'x': if (v.minus_x[r->rotation]) f = -f; break;
        case 'y': if (v.minus[r->rotation]) f = -f; break;
        case 'm': if (!v.minus[r->rotation]) f = -f; break;
        case 'z': if (v.minus_z[r->rotation]) f = -f; break;
        default: if (parity_of(r->mask & v.frame[r->elementwise])) f = -f;
      }
      v.raw_factor.push_back(f), v.raw_acc.push_back(std::uint32_t(r->acc)), v.raw_lane.push_back(std::uint8_t(r->lane_mask));
    }
    for (const SampleRow& r : s.sample_rows) {
      double f = r.coefficient * (r.elementwise >= 0 ? at_elementwise[r.elementwise] : at_rotation[r.rotation]);
      if (r.elementwise >= 0 ? parity_of(r.mask & v.frame[r.elementwise]) : int(v.minus[r.rotation])) f = -f;
      v.sample_factor.push_back(f);
    }
    prepare_calls(b);
    prepare_tables(b);
  }

  void prepare_calls(int b) {
    const Shape& s = *shapes_[b];
    Values<Real>& v = *values_[b];
    if (!v.built) {
      v.built = true;
      v.forward.resize(s.sweeps.size()), v.backward.resize(s.sweeps.size());
      for (std::size_t i = 0; i < plan_.strings.size(); i++) (plan_.strings[i].x ? v.general : v.diagonal).push_back(int(i));
      for (std::size_t i = 0; i < s.sweeps.size(); i++) {
        const Sweep& sweep = s.sweeps[i];
        for (const bool back : {false, true}) {
          const std::vector<Step>& steps = back ? sweep.backward : sweep.forward;
          auto& calls = back ? v.backward[i] : v.forward[i];
          const bool single = s.geometries[sweep.geometry].tau_bits == 0;
          int first = -1, last = -1;  // steps that read from and write to the state
          auto only_reads = [&](const Step& step) {
            return step.kind == Step::kMeasure || (step.kind == Step::kElementwise && s.elementwise[step.index].measure);
          };
          for (int k = 0; k < int(steps.size()); k++)
            if (!only_reads(steps[k])) {
              if (first < 0) first = k;
              last = k;
            }
          for (int k = 0; k < int(steps.size()); k++) {
            const bool reads = single || only_reads(steps[k]);
            calls.push_back(build_call(s, b, steps[k], back, reads || k == first, reads || k == last));
          }
        }
      }
    }
    for (auto* all : {&v.forward, &v.backward})
      for (auto& calls : *all)
        for (auto& call : calls) {
          if (call.kind == Step::kElementwise) {
            call.elementwise.scale = Real(v.scale[call.index]);
            continue;
          }
          const Group& g = s.groups[call.index];
          const bool inverse = call.kind == Step::kUndo || call.kind == Step::kUndoLam;
          for (int q = 0; q < g.count; q++) {
            const Real t = v.t[g.rotation[q]];
            call.group.psi.t[q] = inverse ? -t : t;
            if (q < 2) call.group.y_sign[q] = 1;
          }
        }
  }

  typename Values<Real>::Call build_call(const Shape& s, int b, const Step& step, bool back, bool from_state, bool to_state) const {
    typename Values<Real>::Call call{};
    call.kind = step.kind, call.index = step.index, call.from_state = from_state, call.to_state = to_state;
    auto at = [&](std::size_t i) { return s.offsets.data() + i; };
    if (step.kind == Step::kElementwise) {
      const Elementwise& e = s.elementwise[step.index];
      const Values<Real>& v = *values_[b];
      ElementwiseCall<Real>& c = call.elementwise;
      const RowTable &in_t = from_state ? e.state : e.tile, &out_t = to_state ? e.state : e.tile;
      c.low_in = at(in_t.low), c.high_in = at(in_t.high), c.low_out = at(out_t.low), c.high_out = at(out_t.high);
      c.n_low = e.n_low, c.n_high = e.n_high;
      c.n_lane = int(e.lanes.size());
      const std::size_t rows = std::size_t(e.n_low) * e.n_high;
      const Phase kind = e.diagonal.kind;
      if (kind == kScalar || kind == kFactor) c.table = v.tables.template as<Real>() + e.diagonal.table;
      call.plain = kind == kNone || kind == kScalar;
      for (int q = 0; q < c.n_lane; q++) {
        const LaneRotationShape& l = e.lanes[std::size_t(q)];
        const ShapeRotation& r = s.rotations[l.rotation];
        LaneRotation<Real>& lane = c.lane[q];
        lane.lane_xor = l.lane_xor, lane.low_signs = l.low_signs, lane.high_parity = l.high_parity;
        lane.acc = std::uint32_t(r.acc < 0 ? 0 : r.acc);
        lane.sine = e.measure ? zeros() : v.lane_sine.template as<Real>() + W_ * std::size_t(l.rotation);
        if (r.tau || (r.sample_index >= 0 && !e.measure)) call.plain = false;
      }
      call.compressed = rows >= 4 && !e.walsh && !e.general;
      if (!back) call.kernel = e.general ? k_.forward_general[kind] : k_.forward[kind][e.lanes.size()];
      else if (keep_[b]) call.kernel = k_.reverse_kept[kind][call.compressed];
      else call.kernel = e.general ? k_.reverse_general[kind] : k_.reverse[kind][e.lanes.size()][call.compressed];
      return call;
    }
    const Group& g = s.groups[step.index];
    RotateCall<Real>& c = call.group.psi;
    const RowTable &in_t = from_state ? g.state : g.tile, &out_t = to_state ? g.state : g.tile;
    c.in_rows = {at(in_t.low), at(in_t.high), at(in_t.member)};
    c.out_rows = {at(out_t.low), at(out_t.high), at(out_t.member)};
    c.n_low = g.n_low, c.n_high = g.n_high;
    c.member_lane = g.member_lane.data(), c.parity_lane = g.parity_lane.data();
    call.plain = g.parts.size() == 1 && !g.parts[0].signs && !g.per_sample;
    bool with_x = false;
    for (int q = 0; q < g.count; q++) {
      const ShapeRotation& r = s.rotations[g.rotation[q]];
      if (r.tau) call.plain = false;
      c.turn[q] = std::uint32_t(r.sample_index < 0 ? 0 : r.sample_index);
      if (q < 2) call.group.acc[q] = std::uint32_t(r.acc < 0 ? 0 : r.acc);
      with_x = with_x || (!g.per_sample && !runs_.real(r.run));
    }
    call.rotate = k_.rotate[g.count][g.per_sample][g.lanes];
    if (step.kind == Step::kReverse) call.reverse = k_.backward[g.count][g.per_sample][g.lanes][with_x];
    if (step.kind == Step::kMeasure) call.reverse = k_.measure[g.count][g.lanes][with_x];
    return call;
  }

  static const Real* zeros() {
    alignas(64) static const Real zero[64 / sizeof(Real)] = {};
    return zero;
  }

  void prepare_tables(int b) {
    const Shape& s = *shapes_[b];
    Values<Real>& v = *values_[b];
    std::vector<int> todo;
    for (std::size_t i = 0; i < s.elementwise.size(); i++)
      if (s.elementwise[i].diagonal.kind == kScalar || s.elementwise[i].diagonal.kind == kFactor) todo.push_back(int(i));
    if (todo.empty()) return;
    auto one = [&](int which, int thread) {
      const int i = todo[std::size_t(which)];
      const Elementwise& e = s.elementwise[std::size_t(i)];
      const DiagonalShape& d = e.diagonal;
      const Turn<Real>* turns = v.turns.data() + v.first_turn[std::size_t(i)];
      Real* table = v.tables.template as<Real>() + d.table;
      Worker<Real>& worker = workers_[std::size_t(thread)];
      const Real scale = Real(v.scale[std::size_t(i)]);
      if (d.kind == kScalar) {
        const std::size_t rows = std::size_t(1) << s.row_bits;
        const int tile_bits = __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high);
        worker.turns.reserve(std::max(rows, W_) * sizeof(Real));
        Turn<Real>* a = worker.turns.template as<Turn<Real>>();
        std::memset(a, 0, std::max(rows, W_) * sizeof(Real));
        for (std::size_t j = 0; j < d.terms.size(); j++) a[d.terms[j].tau << tile_bits | d.terms[j].e] += turns[j];
        k_.scalar_table(a, s.row_bits, scale, table);
        return;
      }
      const std::size_t variants = std::size_t(1) << d.crossing.size(), size = W_ * e.n_low;
      worker.turns.reserve(size * sizeof(Real));
      Turn<Real>* a = worker.turns.template as<Turn<Real>>();
      for (std::size_t variant = 0; variant < variants; variant++) {
        std::memset(a, 0, size * sizeof(Real));
        auto add = [&](const PhaseTerm& t, Turn<Real> turn) {
          for (std::size_t lane = std::size_t(t.lane); lane < W_; lane += std::size_t(1) << s.lane_bits)
            a[(t.e & (e.n_low - 1)) * W_ + lane] += turn;
        };
        for (int j : d.low) add(d.terms[std::size_t(j)], turns[j]);
        for (std::size_t c = 0; c < d.crossing.size(); c++) {
          const int j = d.crossing[c];
          add(d.terms[std::size_t(j)], variant >> c & 1 ? Turn<Real>(0) - turns[j] : turns[j]);
        }
        k_.vector_table(a, __builtin_ctz(e.n_low), s.lane_bits, Real(1), table + 2 * size * variant);
      }
    };
    if (s.table_size > 1u << 15) team_.run(int(todo.size()), one);
    else for (int i = 0; i < int(todo.size()); i++) one(i, 0);
  }

  // ---- units ------------------------------------------------------------------------------------------------------

  std::vector<Unit> make_units(int batch) {
    std::vector<Unit> units;
    for (int first = 0; first < batch; first += kBlock) {
      const int in_block = std::min(kBlock, batch - first), b = lane_bits_of(in_block), per_unit = int(W_) >> b;
      if (!shapes_[b]) throw std::logic_error("no plan for " + std::to_string(b) + " lane qubits");
      need_values(b);
      for (int f = first; f < first + in_block; f += per_unit)
        units.push_back({int(units.size()), first / kBlock, f, std::min(per_unit, first + in_block - f), b});
    }
    return units;
  }

  // job(unit, thread, whether tiles may use the whole team)
  template <class Job> void each_unit(const std::vector<Unit>& units, Job job) {
    const int threads = team_.threads(), n = int(units.size());
    bool tiled = false;
    for (const Unit& u : units) tiled = tiled || !shapes_[u.lane_bits]->resident;
    cancelled_ = false;
    last_check_ = std::chrono::steady_clock::now();
    if (threads == 1 || (tiled && n < 2 * threads && n % threads) || n == 1) {
      for (const Unit& u : units) {
        job(u, 0, false);
        check(0);
      }
    } else {
      team_.run(n, [&](int i, int thread) {
        job(units[std::size_t(i)], thread, true);
        check(thread);
      });
    }
  }

  void check(int thread) {
    if (cancelled_) throw Interrupted();
    if (thread || !interrupted) return;
    const auto now = std::chrono::steady_clock::now();
    if (now - last_check_ < std::chrono::milliseconds(50)) return;
    last_check_ = now;
    if (interrupted()) {
      cancelled_ = true;
      throw Interrupted();
    }
  }

  void run_backward(const Inputs& in, Tape* tape, const double* cotangents, bool per_row, double* expectations,
                    const Gradients& out) {
    const std::vector<Unit> units = make_units(in.batch);
    const std::size_t R = std::size_t(n_raw());
    unit_sums_.assign(units.size() * R, 0.0);
    std::fill(out.per_sample, out.per_sample + std::size_t(in.batch) * plan_.n_per_sample, 0.0);
    std::vector<double> raw;
    if (out.shared) raw.assign(std::size_t(in.batch) * R, 0.0);
    each_unit(units, [&](const Unit& unit, int thread, bool one_thread) {
      Run run{*this, unit, in, workers_[std::size_t(thread)], one_thread};
      if (tape) {
        run.store = tape->states[std::size_t(unit.index)].get();
        run.load_angles();
      } else {
        run.worker.kept.reserve(state_buffer(unit.lane_bits));
        run.store = run.worker.kept.get();
        run.forward();
      }
      run.observe(cotangents, per_row, expectations);
      run.backward(out, unit_sums_.data() + R * std::size_t(unit.index), out.shared ? raw.data() : nullptr);
    });
    const int blocks = (in.batch + kBlock - 1) / kBlock;
    std::fill(out.block_sums, out.block_sums + R * std::size_t(blocks), 0.0);
    for (const Unit& u : units) {
      double* row = out.block_sums + R * std::size_t(u.block);
      const double* from = unit_sums_.data() + R * std::size_t(u.index);
      for (std::size_t i = 0; i < R; i++) row[i] += from[i];
    }
    if (out.shared)
      for (int i = 0; i < in.batch; i++) {
        double* gradient = out.shared + std::size_t(i) * plan_.n_shared;
        std::fill(gradient, gradient + plan_.n_shared, 0.0);
        runs_.slot_gradient(raw.data() + R * std::size_t(i), gradient);
      }
  }

  // ---- one unit ---------------------------------------------------------------------------------------------------

  struct Run {
    using Call = typename Values<Real>::Call;
    Engine& engine;
    const Unit& unit;
    const Inputs& in;
    Worker<Real>& worker;
    bool one_thread;           // other units run beside this one
    char* store = nullptr;     // stored states; the last one is the current state
    const Shape& s = *engine.shapes_[unit.lane_bits];
    const Values<Real>& v = *engine.values_[unit.lane_bits];
    const Kernels<Real>& k = engine.k_;
    const int b = unit.lane_bits;
    const std::size_t W = engine.W_, row_bytes = engine.row_bytes_, rows = std::size_t(1) << s.row_bits;
    const bool keep = engine.keep_[b];
    char* psi = nullptr;
    char* lam = nullptr;
    Real* turn = nullptr;      // [per-sample rotation][cos, sin][lane]
    Real* lane_turn = nullptr; // [rotation][cos, sin with lane signs][lane], per-sample rotations of the lanes
    Turn<Real>* sample_turn = nullptr;  // [elementwise step's sample terms][lane]

    char* stored(int i) const { return store + engine.state_stride(b) * std::size_t(i); }
    int sample_of_lane(std::size_t lane) const {
      const int sample = int(lane >> b);
      return unit.first + std::min(sample, unit.count - 1);
    }

    void load_angles() {
      const auto& angles = s.sample_angles();
      const std::size_t n = angles.size();
      std::size_t n_terms = 0;
      for (const Elementwise& e : s.elementwise) n_terms += e.diagonal.sample.size();
      worker.unit_angles.reserve((4 * n + n_terms + 4) * W * sizeof(Real) + 24 * ((W >> b) * n + 16));
      turn = worker.unit_angles.template as<Real>();
      lane_turn = turn + 2 * n * W;
      sample_turn = reinterpret_cast<Turn<Real>*>(lane_turn + 2 * n * W);
      if (n) {
        double* half = reinterpret_cast<double*>(
            (reinterpret_cast<std::uintptr_t>(sample_turn + n_terms * W) + 63) & ~std::uintptr_t(63));
        const std::size_t samples = W >> b, padded = (n * samples + 7) / 8 * 8;
        double *sine = half + padded, *cosine = sine + padded;
        for (std::size_t i = n * samples; i < padded; i++) half[i] = 0;
        for (std::size_t sample = 0; sample < samples; sample++) {
          const double* values = in.per_sample + std::size_t(unit.first + std::min(int(sample), unit.count - 1)) * engine.plan_.n_per_sample;
          for (std::size_t i = 0; i < n; i++)
            half[i * samples + sample] = 0.5 * (angles[i].coefficient * values[angles[i].slot] + angles[i].offset);
        }
        engine.arithmetic().sine_cosine(padded, half, sine, cosine);
        for (std::size_t i = 0; i < n; i++)
          for (std::size_t lane = 0; lane < W; lane++) {
            turn[2 * i * W + lane] = Real(cosine[i * samples + (lane >> b)]);
            turn[(2 * i + 1) * W + lane] = Real(sine[i * samples + (lane >> b)]);
          }
      }
      if (!n && !n_terms) return;
      for (const Elementwise& e : s.elementwise)
        for (const LaneRotationShape& l : e.lanes) {
          const ShapeRotation& r = s.rotations[l.rotation];
          if (r.sample_index < 0) continue;
          const Real* from = turn + 2 * std::size_t(r.sample_index) * W;
          Real* to = lane_turn + 2 * std::size_t(r.sample_index) * W;
          for (std::size_t i = 0; i < W; i++) {
            to[i] = from[i];
            to[W + i] = (parity_of(i & Mask(l.lane_parity)) ? from[W + i] : -from[W + i]) * v.t[l.rotation];
          }
        }
      std::size_t place = 0;
      for (std::size_t i = 0; i < s.elementwise.size(); i++)
        for (const SampleTerm& t : s.elementwise[i].diagonal.sample) {
          const bool minus = parity_of(t.where.mask & v.frame[i]);
          for (std::size_t lane = 0; lane < W; lane++) {
            const double x = in.per_sample[std::size_t(sample_of_lane(lane)) * engine.plan_.n_per_sample + t.slot];
            const Turn<Real> a = turn_of<Real>(t.coefficient * x + t.offset);
            sample_turn[place * W + lane] = minus ? Turn<Real>(0) - a : a;
          }
          place++;
        }
    }

    // ---- states --------------------------------------------------------------------------------------------------

    void write_initial(char* state) {
      if (in.initial) {
        const std::size_t low = (std::size_t(1) << b) - 1;
        for (std::size_t r = 0; r < rows; r++) {
          Real* p = reinterpret_cast<Real*>(state + r * row_bytes);
          for (std::size_t lane = 0; lane < W; lane++) {
            p[lane] = Real(in.initial[(std::size_t(sample_of_lane(lane)) << s.n) + (r << b | (lane & low))]);
            p[W + lane] = 0;
          }
        }
        return;
      }
      Real* first = reinterpret_cast<Real*>(state);
      for (std::size_t lane = 0; lane < W; lane++) first[lane] = lane & ((std::size_t(1) << b) - 1) ? Real(0) : Real(1), first[W + lane] = 0;
      alignas(64) Real c[16], sn[16];
      auto load = [&](int m) {
        const ShapeRotation& r = s.rotations[m];
        for (std::size_t i = 0; i < W; i++) {
          if (r.sample_index >= 0) c[i] = turn[2 * std::size_t(r.sample_index) * W + i], sn[i] = turn[(2 * std::size_t(r.sample_index) + 1) * W + i];
          else c[i] = Real(engine.runs_.cosine[r.run]), sn[i] = Real(engine.runs_.sine[r.run]);
          if (r.flip) sn[i] = -sn[i];
        }
      };
      std::size_t n_rows = 1;
      std::vector<std::size_t> support;
      bool cleared = false;
      for (int m : s.initial) {  // rotations within the rows come first
        load(m);
        const std::size_t mask = s.row_of(s.rotations[m].pair), exchange = std::size_t(s.lane_of(s.rotations[m].pair));
        if (!mask) {
          Real next[16];
          for (std::size_t i = 0; i < W; i++) next[i] = c[i] * first[i] + sn[i ^ exchange] * first[i ^ exchange];
          std::copy(next, next + W, first);
          continue;
        }
        if (s.plain_initial) {
          k.product(state, n_rows, mask, c, sn);
          n_rows *= 2;
          continue;
        }
        if (!cleared) {
          std::memset(state + row_bytes, 0, (rows - 1) * row_bytes);
          support.push_back(0);
          cleared = true;
        }
        const std::size_t count = support.size();
        for (std::size_t i = 0; i < count; i++) {
          Real *p = reinterpret_cast<Real*>(state + support[i] * row_bytes), *q = reinterpret_cast<Real*>(state + (support[i] ^ mask) * row_bytes);
          for (std::size_t lane = 0; lane < W; lane++) q[lane] = sn[lane ^ exchange] * p[lane ^ exchange];
          for (std::size_t lane = 0; lane < W; lane++) p[lane] *= c[lane];
          support.push_back(support[i] ^ mask);
        }
      }
      if (!cleared && n_rows < rows) std::memset(state + n_rows * row_bytes, 0, (rows - n_rows) * row_bytes);
    }

    void forward() {
      load_angles();
      if (keep) {
        psi = stored(0);
        write_initial(psi);
        if (s.sweeps.empty()) return;
        int slot = 0;
        for (const Call& call : v.forward[0]) {
          if (call.kind == Step::kRotate) {
            run_group(call, 0, 0, {psi, psi, nullptr, nullptr, 0, 0, nullptr, nullptr});
          } else {
            char* next = stored(++slot);
            run_elementwise(call, 0, 0, {psi, next, nullptr, nullptr, 0, 0, nullptr, nullptr}, {}, worker);
            psi = next;
          }
        }
        return;
      }
      psi = stored(engine.n_kept_[b]);
      write_initial(psi);
      for (std::size_t i = 0; i < s.sweeps.size(); i++) {
        if (const int place = engine.kept_before_[b][i]; place >= 0) std::memcpy(stored(place), psi, rows * row_bytes);
        sweep_forward(i, psi);
      }
    }

    // job(context, worker) over the fixed shares of the tiles; by the whole team where this unit is alone
    template <class Job> void each_context(std::size_t tiles, Job job) {
      const int n = int(std::min<std::size_t>(tiles, kContexts));
      if (one_thread || n == 1) {
        for (int c = 0; c < n; c++) job(c, n, worker);
      } else {
        engine.team_.run(n, [&](int c, int thread) { job(c, n, engine.workers_[std::size_t(thread)]); });
      }
    }

    void sweep_forward(std::size_t index, char* state) {
      const std::vector<Call>& calls = v.forward[index];
      if (calls.empty()) return;
      const TileGeometry& g = s.geometries[s.sweeps[index].geometry];
      const std::size_t tiles = g.tile_base.size();
      each_context(tiles, [&](int context, int contexts, Worker<Real>& w) {
        if (tiles > 1) w.tile.reserve((std::size_t(1) << g.tile_bits) * row_bytes);
        for (std::size_t tile = context * tiles / contexts; tile < (context + 1) * tiles / contexts; tile++)
          for (const Call& call : calls) {
            char *from = call.from_state ? state : w.tile.get(), *to = call.to_state ? state : w.tile.get();
            const Place<Real> place{from, to, nullptr, nullptr, 0, 0, nullptr, nullptr};
            if (call.kind == Step::kRotate) run_group(call, tile, g.tile_base[tile], place);
            else run_elementwise(call, tile, g.tile_base[tile], place, {}, w);
          }
        if (tiles > 1) engine.check(&w == &engine.workers_[0] ? 0 : 1);
      });
    }

    // One group of rotations on one tile: forward or inverse on the state psi_in -> psi_out, or v and inverse on psi and lam.
    void run_group(const Call& prepared, std::size_t tile, Offset base, Place<Real> place) {
      const Offset in_base = prepared.from_state ? base : 0, out_base = prepared.to_state ? base : 0;
      place.turn = turn;
      if (prepared.plain) {
        place.in_base = in_base, place.out_base = out_base;
        if (prepared.reverse) prepared.reverse(prepared.group, place);
        else prepared.rotate(prepared.group.psi, place);
        return;
      }
      const Group& g = s.groups[prepared.index];
      BackwardCall<Real> call = prepared.group;
      for (const Group::Part& part : g.parts) {
        place.in_base = in_base ^ (prepared.from_state ? part.state : part.tile);
        place.out_base = out_base ^ (prepared.to_state ? part.state : part.tile);
        for (int q = 0; q < g.count; q++) {
          const bool minus = (part.signs >> q & 1) ^ parity_of(tile & s.rotations[g.rotation[q]].tau);
          call.psi.t[q] = minus ? -prepared.group.psi.t[q] : prepared.group.psi.t[q];
          if (q < 2) call.y_sign[q] = minus ? Real(-1) : Real(1);
        }
        if (prepared.reverse) prepared.reverse(call, place);
        else prepared.rotate(call.psi, place);
      }
    }

    // What changes from tile to tile and unit to unit in an elementwise step that is not plain.
    void fill_elementwise(ElementwiseCall<Real>& call, const Call& prepared, std::size_t tile, Worker<Real>& w) {
      const Elementwise& e = s.elementwise[prepared.index];
      call = prepared.elementwise;
      for (int q = 0; q < call.n_lane; q++) {
        const ShapeRotation& r = s.rotations[e.lanes[std::size_t(q)].rotation];
        LaneRotation<Real>& lane = call.lane[q];
        if (parity_of(tile & r.tau)) lane.low_signs = ~lane.low_signs;
        if (r.sample_index >= 0 && !e.measure) {
          lane.cosine = lane_turn + 2 * std::size_t(r.sample_index) * W;
          lane.sine = lane.cosine + W;
        }
      }
      if (e.diagonal.kind == kFactor) factor_tile(call, e, prepared.index, tile, w);
      else if (e.diagonal.kind == kVector) vector_tile(call, e, prepared.index, tile, w, __builtin_ctz(e.n_low) + __builtin_ctz(e.n_high));
    }

    void run_elementwise(const Call& prepared, std::size_t tile, Offset base, Place<Real> place, const Sums<Real>& sums, Worker<Real>& w) {
      place.in_base = prepared.from_state ? base : 0, place.out_base = prepared.to_state ? base : 0;
      if (prepared.plain && tile == 0) {
        prepared.kernel(prepared.elementwise, place, sums);
        return;
      }
      ElementwiseCall<Real> call;
      fill_elementwise(call, prepared, tile, w);
      const Elementwise& e = s.elementwise[prepared.index];
      if (e.diagonal.kind == kScalar) call.table += std::size_t(2) * tile * e.n_low * e.n_high;
      prepared.kernel(call, place, sums);
    }

    // phases of the high indices of a tile, and which of the small tables goes with each
    void factor_tile(ElementwiseCall<Real>& call, const Elementwise& e, int index, std::size_t tile, Worker<Real>& w) {
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
      for (std::size_t c = 0; c < d.crossing.size(); c++) {
        const PhaseTerm& t = d.terms[std::size_t(d.crossing[c])];
        const int base = parity_of(tile & t.tau);
        for (std::uint32_t h = 0; h < e.n_high; h++) variant[h] |= std::uint8_t((base ^ parity_of(h & (t.e >> low_bits))) << c);
      }
      call.high_phase = table, call.variant = variant;
    }

    void vector_tile(ElementwiseCall<Real>& call, const Elementwise& e, int index, std::size_t tile, Worker<Real>& w, int tile_bits) {
      const DiagonalShape& d = e.diagonal;
      const std::size_t n = W << tile_bits;
      w.turns.reserve(n * sizeof(Real)), w.table.reserve(2 * n * sizeof(Real));
      Turn<Real>* a = w.turns.template as<Turn<Real>>();
      std::memset(a, 0, n * sizeof(Real));
      const Turn<Real>* turns = v.turns.data() + v.first_turn[index];
      for (std::size_t j = 0; j < d.terms.size(); j++) {
        const PhaseTerm& t = d.terms[j];
        const Turn<Real> x = parity_of(tile & t.tau) ? Turn<Real>(0) - turns[j] : turns[j];
        for (std::size_t lane = std::size_t(t.lane); lane < W; lane += std::size_t(1) << b) a[t.e * W + lane] += x;
      }
      std::size_t place = 0;
      for (int i = 0; i < index; i++) place += s.elementwise[std::size_t(i)].diagonal.sample.size();
      for (const SampleTerm& t : d.sample) {
        const Turn<Real>* x = sample_turn + W * place++;
        const bool minus = parity_of(tile & t.where.tau);
        Turn<Real>* to = a + t.where.e * W;
        for (std::size_t lane = std::size_t(t.where.lane); lane < W; lane += std::size_t(1) << b)
          to[lane] += minus ? Turn<Real>(0) - x[lane] : x[lane];
      }
      k.vector_table(a, tile_bits, b, Real(v.scale[index]), w.table.template as<Real>());
      call.table = w.table.template as<Real>();
    }

    // ---- expectations and lam ------------------------------------------------------------------------------------

    void observe(const double* cotangents, bool per_row, double* expectations) {
      psi = stored(engine.stored_states(b) - 1);
      const auto& strings = engine.plan_.strings;
      const std::size_t M = strings.size();
      worker.weight.reserve((M + 1) * W * sizeof(Real));
      Real* weight = worker.weight.template as<Real>();
      lam = nullptr;
      if (cotangents) {
        worker.lam.reserve((rows + kSkew) * row_bytes);
        lam = worker.lam.get() + kSkew * row_bytes;
        for (std::size_t m = 0; m < M; m++)
          for (std::size_t lane = 0; lane < W; lane++)
            weight[m * W + lane] = int(lane >> b) < unit.count
                                       ? Real(cotangents[(per_row ? std::size_t(sample_of_lane(lane)) * M : 0) + m]) : Real(0);
      }
      const std::vector<int>&diagonal = v.diagonal, &general = v.general;
      const int bits = std::min(s.row_bits, 8);
      const std::size_t chunks = rows >> bits;
      const int contexts = int(std::min<std::size_t>(chunks, kContexts));
      worker.expectation.reserve((std::size_t(contexts) * M + 1) * W * sizeof(Real));
      Real* sums = worker.expectation.template as<Real>();
      std::memset(sums, 0, std::size_t(contexts) * M * W * sizeof(Real));
      each_context(chunks, [&](int context, int n, Worker<Real>& w) {
        const std::size_t D = diagonal.size();
        w.observe.reserve((W << bits) * sizeof(Real) + 2 * D * W * sizeof(Real) + 16 * D + 64);
        Real* work = w.observe.template as<Real>();
        Real* packed_weight = work + (W << bits);
        Real* packed_sum = packed_weight + D * W;
        std::uint32_t* mask = reinterpret_cast<std::uint32_t*>(packed_sum + D * W);
        std::uint8_t* lane_mask = reinterpret_cast<std::uint8_t*>(mask + D);
        std::uint8_t* sign = lane_mask + D;
        std::memset(packed_sum, 0, D * W * sizeof(Real));
        for (std::size_t i = 0; i < D; i++) {
          const Mask z = strings[diagonal[i]].z;
          mask[i] = std::uint32_t(s.row_of(z) & ((Mask(1) << bits) - 1)), lane_mask[i] = std::uint8_t(s.lane_of(z));
          std::copy_n(weight + std::size_t(diagonal[i]) * W, W, packed_weight + i * W);
        }
        const std::size_t first = context * chunks / n, last = (context + 1) * chunks / n;
        for (std::size_t chunk = first; chunk < last; chunk++) {
          for (std::size_t i = 0; i < D; i++)
            sign[i] = std::uint8_t(v.string_minus[diagonal[i]] ^ parity_of((chunk << bits) & s.row_of(strings[diagonal[i]].z)));
          const std::size_t offset = (chunk << bits) * row_bytes;
          k.observe({psi + offset, lam ? lam + offset : nullptr, std::uint32_t(bits), int(D), mask, lane_mask, sign, packed_weight,
                     expectations ? packed_sum : nullptr, work});
        }
        for (std::size_t i = 0; i < D; i++)
          std::copy_n(packed_sum + i * W, W, sums + (std::size_t(context) * M + std::size_t(diagonal[i])) * W);
        for (const int m_ : general) {
          const std::size_t m = std::size_t(m_);
          const StringData& t = strings[m];
          k.string({psi, lam, first << bits, (last - first) << bits, s.row_of(t.x), s.row_of(t.z), s.lane_of(t.x), s.lane_of(t.z), t.n_y,
                    Real(v.string_minus[m] ? -1 : 1), weight + m * W,
                    expectations ? sums + (std::size_t(context) * M + m) * W : nullptr});
        }
      });
      if (!expectations) return;
      const std::size_t per_sample = std::size_t(1) << b;
      for (std::size_t m = 0; m < M; m++) {
        const std::size_t lane_mask = strings[m].x ? 0 : std::size_t(s.lane_of(strings[m].z));
        for (int i = 0; i < unit.count; i++) {
          double total = 0;
          for (int c = 0; c < contexts; c++)
            for (std::size_t lane = std::size_t(i) * per_sample; lane < (std::size_t(i) + 1) * per_sample; lane++) {
              const double x = double(sums[(std::size_t(c) * M + m) * W + lane]);
              total += parity_of(lane & lane_mask) ? -x : x;
            }
          expectations[std::size_t(unit.first + i) * M + m] = total * v.expectation_factor;
        }
      }
    }

    // ---- backward ------------------------------------------------------------------------------------------------

    void backward(const Gradients& out, double* unit_sums, double* raw) {
      worker.acc.reserve(std::size_t(s.n_acc) * W * sizeof(Real));
      Real* acc = worker.acc.template as<Real>();
      std::memset(acc, 0, std::size_t(s.n_acc) * W * sizeof(Real));
      int slot = engine.stored_states(b) - 1;
      const int n = int(s.sweeps.size());
      const bool recompute = engine.settings_.mode == Mode::kCheckpoint;
      int segment_start = n;  // states after sweeps segment_start .. are in worker.segment
      for (int i = n; i-- > 0;) {
        if (recompute) {
          if (i < segment_start) segment_start = recompute_segment(i);
          psi = segment_state(i - segment_start);
        } else if (const int place = engine.kept_before_[b][std::size_t(i) + 1]; place >= 0) {
          psi = stored(place);
        }
        sweep_backward(std::size_t(i), acc, slot);
      }
      collect(acc, out, unit_sums, raw);
    }

    char* segment_state(int i) const { return worker.segment.get() + engine.state_stride(b) * std::size_t(i); }

    // States after each sweep of the segment that ends with sweep `last`; returns its first sweep.
    int recompute_segment(int last) {
      int first = last;
      while (engine.kept_before_[b][std::size_t(first)] < 0) first--;
      worker.segment.reserve(engine.state_stride(b) * std::size_t(last - first + 1));
      const char* from = stored(engine.kept_before_[b][std::size_t(first)]);
      for (int i = first; i <= last; i++) {
        std::memcpy(segment_state(i - first), from, rows * row_bytes);
        sweep_forward(std::size_t(i), segment_state(i - first));
        from = segment_state(i - first);
      }
      return first;
    }

    void sweep_backward(std::size_t index, Real* total, int& slot) {
      const Sweep& sweep = s.sweeps[index];
      const std::vector<Call>& calls = v.backward[index];
      if (calls.empty()) return;
      const TileGeometry& g = s.geometries[sweep.geometry];
      const std::size_t tiles = g.tile_base.size(), tile_rows = std::size_t(1) << g.tile_bits;
      const int contexts = int(std::min<std::size_t>(tiles, kContexts));
      const std::size_t count = std::size_t(sweep.acc_count) * W;
      Real* partial = nullptr;
      if (contexts > 1) {
        worker.contexts.reserve(count * std::size_t(contexts) * sizeof(Real) + 64);
        partial = worker.contexts.template as<Real>();
        std::memset(partial, 0, count * std::size_t(contexts) * sizeof(Real));
      }
      each_context(tiles, [&](int context, int n, Worker<Real>& w) {
        Real* acc = contexts > 1 ? partial + count * std::size_t(context) - W * std::size_t(sweep.acc_first) : total;
        if (tiles > 1) w.tile.reserve((2 * tile_rows + 2 * kSkew) * row_bytes);
        char *tile_psi = w.tile.get(), *tile_lam = tile_psi + (tile_rows + kSkew) * row_bytes;
        for (std::size_t tile = context * tiles / n; tile < (context + 1) * tiles / n; tile++) {
          const Offset base = g.tile_base[tile];
          for (const Call& call : calls) {
            char *pf = call.from_state ? psi : tile_psi, *pt = call.to_state ? psi : tile_psi;
            char *lf = call.from_state ? lam : tile_lam, *lt = call.to_state ? lam : tile_lam;
            switch (call.kind) {
              case Step::kElementwise:
                elementwise_backward(call, tile, base, {pf, pt, lf, lt, 0, 0, nullptr, acc}, g.tile_bits, w, slot);
                break;
              case Step::kUndo:
                run_group(call, tile, base, {pf, pt, nullptr, nullptr, 0, 0, nullptr, nullptr});
                [[fallthrough]];
              case Step::kUndoLam: run_group(call, tile, base, {lf, lt, nullptr, nullptr, 0, 0, nullptr, nullptr}); break;
              default: run_group(call, tile, base, {pf, pt, lf, lt, 0, 0, nullptr, acc});
            }
          }
        }
        if (tiles > 1) engine.check(&w == &engine.workers_[0] ? 0 : 1);
      });
      if (contexts > 1)
        for (int c = 0; c < contexts; c++)
          for (std::size_t i = 0; i < count; i++) total[W * std::size_t(sweep.acc_first) + i] += partial[count * std::size_t(c) + i];
    }

    void elementwise_backward(const Call& prepared, std::size_t tile, Offset base, Place<Real> place, int bits, Worker<Real>& w, int& slot) {
      const Elementwise& e = s.elementwise[prepared.index];
      w.w.reserve((W << bits) * sizeof(Real)), w.sums.reserve((std::size_t(bits) + 3) * W * sizeof(Real));
      Real* sums = w.sums.template as<Real>();
      const Sums<Real> results{w.w.template as<Real>(), sums};
      if (keep) place.psi_in = psi = stored(--slot);
      run_elementwise(prepared, tile, base, place, results, w);
      if (e.sums.empty()) return;
      if (e.walsh) k.walsh(results.w, bits);
      else if (prepared.compressed) k.tree(results.w, bits - 2, sums + 2 * W);
      else k.tree(results.w, bits, sums);
      k.add_sums(e.walsh ? results.w : sums, e.sums.data(), e.sums.size(), tile, place.acc);
    }

    // Accumulators to sums over samples, per-sample gradients, drift and the bra at the start.
    void collect(const Real* acc, const Gradients& out, double* unit_sums, double* raw) {
      const std::size_t R = v.raw_acc.size(), per_sample = std::size_t(1) << b;
      k.sum_lanes(acc, v.raw_acc.data(), v.raw_lane.data(), v.raw_factor.data(), R, unit.count << b, unit_sums);
      auto sample_sum = [&](std::size_t index, std::size_t lane_mask, int sample) {
        double total = 0;
        for (std::size_t lane = std::size_t(sample) * per_sample; lane < (std::size_t(sample) + 1) * per_sample; lane++) {
          const double x = double(acc[index * W + lane]);
          total += parity_of(lane & lane_mask) ? -x : x;
        }
        return total;
      };
      for (int i = 0; i < unit.count; i++) {
        double* to = out.per_sample + std::size_t(unit.first + i) * engine.plan_.n_per_sample;
        for (std::size_t r = 0; r < s.sample_rows.size(); r++) {
          const SampleRow& row = s.sample_rows[r];
          to[row.slot] += v.sample_factor[r] * sample_sum(std::size_t(row.acc), std::size_t(row.lane_mask), i);
        }
        if (raw)
          for (std::size_t r = 0; r < R; r++)
            raw[std::size_t(unit.first + i) * R + r] = v.raw_factor[r] * sample_sum(v.raw_acc[r], v.raw_lane[r], i);
      }
      if (out.initial) {
        auto* to = static_cast<std::complex<Real>*>(out.initial);
        for (int i = 0; i < unit.count; i++)
          for (std::size_t r = 0; r < rows; r++) {
            const Real* p = reinterpret_cast<const Real*>(lam + r * row_bytes);
            for (std::size_t low = 0; low < per_sample; low++) {
              const std::size_t lane = std::size_t(i) * per_sample + low;
              to[(std::size_t(unit.first + i) << s.n) + (r << b | low)] = {Real(p[lane] * v.lam_end), Real(p[W + lane] * v.lam_end)};
            }
          }
      }
      if (!out.drift) return;
      const bool reversed = engine.settings_.mode != Mode::kCheckpoint && !keep;
      if (reversed) write_initial(lam);
      for (int i = 0; i < unit.count; i++)
        out.drift[unit.first + i] =
            reversed ? std::sqrt(k.distance(psi, lam, rows, v.psi_end, int(std::size_t(i) * per_sample), int(per_sample))) : 0.0;
    }
  };

  const Arithmetic& arithmetic() const { return *arithmetic_; }

  PlanData plan_;
  const Kernels<Real>& k_;
  Runs runs_;
  Settings settings_;
  Team team_;
  std::size_t W_, row_bytes_;
  std::vector<Worker<Real>> workers_;
  std::vector<std::unique_ptr<Shape>> shapes_;
  std::vector<std::unique_ptr<Values<Real>>> values_;
  bool keep_[kMaxLaneBits + 1] = {};
  std::vector<int> kept_before_[kMaxLaneBits + 1];
  int n_kept_[kMaxLaneBits + 1] = {}, longest_segment_[kMaxLaneBits + 1] = {};
  std::vector<double> prepared_, unit_sums_, block_sums_;
  bool valid_ = false;
  std::atomic<bool> cancelled_{false};
  std::chrono::steady_clock::time_point last_check_;
  const Arithmetic* arithmetic_;
};

std::unique_ptr<EngineBase> make_engine(const PlanData& plan, const InstructionSet& set, bool dual, const Settings& settings) {
  if (dual) return std::make_unique<Engine<double>>(plan, set, settings);
  return std::make_unique<Engine<float>>(plan, set, settings);
}

}  // namespace qmltrain
