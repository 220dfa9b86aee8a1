// Layout: a shape, and everything about it that depends on the shared angles: signs, scales, tables, prepared calls.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "buffer.hpp"
#include "context.hpp"
#include "integer_angle.hpp"
#include "shape.hpp"

namespace qmltrain {

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
      string.x = shape.lane_frame.pair(string.x), string.z = shape.lane_frame.parity(string.z);
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

  // prepared_tables.hpp
  void vector_phases(int index, std::size_t tile, Turn<Real>* a, Real* table, const Turn<Real>* sample_turns) const;

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

  // prepared_values.hpp
  double term_angle(const PhaseTerm& term, const double* shared) const;
  void prepare_values(const double* shared);
  void backward_scales(double end, const std::vector<double>& before, const std::vector<double>& slot_scale);

  // prepared_calls.hpp
  void prepare_calls();
  void build_calls(const Sweep& sweep, bool back, std::vector<Call<Real>>& calls);
  bool plain_diagonal(const Call<Real>& call) const;
  bool lowest_bits(const Call<Real>& call) const;
  bool join_forward(std::vector<Call<Real>>& calls, const Call<Real>& call) const;
  bool join_backward(std::vector<Call<Real>>& calls, const Call<Real>& call) const;
  Call<Real> build_call(const Step& step, bool back, bool single) const;

  static const Real* zeros() {
    alignas(64) static const Real zero[64 / sizeof(Real)] = {};
    return zero;
  }

  static bool has_table(const DiagonalShape& d) { return d.kind == kScalar || d.kind == kFactor || d.whole; }

  // prepared_tables.hpp
  void prepare_tables();
  void fill_table(int index, Worker& worker);
};

}  // namespace qmltrain
