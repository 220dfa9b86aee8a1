// PreparedShape: a shape, and everything about it that depends on the shared angles of a step: signs, scales, tables,
// calls.
//
//   prepared_shape.hpp    the class, and which states are kept
//   prepared_values.hpp   signs, scales and angles: the scaled form and the frame X^F Z^G
//   prepared_calls.hpp    kernel calls with everything filled in that stays the same from tile to tile
//   prepared_tables.hpp   tables of phases
//
// engine.cpp includes all four; each of the others needs this one alone.
#pragma once
#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "buffer.hpp"
#include "context.hpp"
#include "integer_angle.hpp"
#include "shape.hpp"

namespace qmltrain {

// of[m][i]: all ones where parity(i & m) is 1: -x is (x ^ ones) - ones.
template <class Angle> struct LaneFlips {
  std::array<std::array<Angle, 16>, 1 << kMaxLaneBits> of{};
  constexpr LaneFlips() {
    for (unsigned m = 0; m < of.size(); m++)
      for (unsigned lane = 0; lane < 16; lane++) of[m][lane] = Angle(0) - Angle(__builtin_parity(lane & m));
  }
};
template <class Angle> constexpr LaneFlips<Angle> kLaneFlips{};

// A kernel call with everything filled in that does not depend on the tile, the unit or the thread.
template <class Real> struct PreparedCall {
  CallShape::Kind kind;
  int index;         // into Shape::groups or Shape::stages
  bool plain;        // nothing changes from tile to tile and unit to unit but where it lies
  bool for_samples;  // measures gradients of per-sample angles and does nothing else
  bool in_shares;    // share i of the call works on the i-th part of the state and nothing else
  bool compressed;   // kDiagonal: signed sums of w over two coordinates are taken by the kernel
  // (what small circuits read in every step stands close together)
  // not nullptr: these rotations and the diagonal before them going back at once
  typename Kernels<Real>::DiagonalRotateBack diagonal_rotate_back;
  DiagonalRotateBackCall<Real> joined_back;
  // not nullptr: the stage together with the rotations of group `then`, whose angles are in `group`
  typename Kernels<Real>::DiagonalRotate diagonal_rotate;
  // rotations: `rotate`, and `rotate_back` where v is measured
  RotateBackCall<Real> group;
  typename Kernels<Real>::Rotate rotate;
  typename Kernels<Real>::RotateBack rotate_back;
  // kDiagonal
  typename Kernels<Real>::Diagonal diagonal_kernel;
  DiagonalCall<Real> diagonal;
  int then;
  int rotation[kMaxGroup];
};

template <class Real> class PreparedShape {
 public:
  PreparedShape(const Context<Real>& context, const PlanData& plan, int lane_bits)
      : context_(context), shape(plan, context.gate_runs, shape_options(plan, lane_bits, may_keep(plan, lane_bits))),
        keep(may_keep(plan, lane_bits) && shape.resident && shape.passes.size() <= 1) {
    if (may_keep(plan, lane_bits) && !keep) {
      ShapeOptions options = shape_options(plan, lane_bits, false);
      options.pass_per_diagonal = false;
      shape = Shape(plan, context.gate_runs, options);
    }
    choose_checkpoints();
    choose_raw_ranges(plan);
    for (StringData string : plan.strings) {
      string.x = shape.lane_frame.pair(string.x), string.z = shape.lane_frame.parity(string.z);
      framed_strings_.push_back(string);
      string.x = shape.spread.pair(string.x), string.z = shape.spread.parity(string.z);
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

  // For these shared angles (S); the gate runs have been prepared for them.
  void prepare(const double* shared) {
    prepare_values(shared);
    prepare_calls();
    prepare_tables();
    prepared_ = true;
  }

  // prepared_tables.hpp
  void vector_phases(int index, std::size_t tile, Worker& worker, Real* table,
                     const IntegerAngle<Real>* term_angles) const;

  // Where a kSigns diagonal of the stored state has address 0: the frame moves it. Of a stage: number of the row, tile.
  std::uint32_t sign_number(int index) const {
    std::uint32_t number = 0;
    for (int q = 0; q < shape.row_bits; q++)
      if (shape.row_of(frame[index]) >> q & 1) number ^= shape.stages[index].diagonal.number_of_bit[q];
    return number;
  }
  Mask sign_tile(int index) const {
    Mask tile = 0;
    for (int q = 0; q < shape.row_bits; q++)
      if (shape.row_of(frame[index]) >> q & 1) tile ^= shape.stages[index].diagonal.tile_of_bit[q];
    return tile;
  }

  // States are stored one after the other; the last one is the current state.
  std::size_t state_bytes() const { return context_.row_bytes << shape.row_bits; }
  // Not on the same sets of a cache; states that are smaller than these are close together, for the second one.
  std::size_t state_stride() const { return state_bytes() + (state_bytes() < 4096 ? 1 : 5) * context_.row_bytes; }
  int stored_states() const { return keep ? 1 + int(shape.stages.size()) : 1 + n_checkpoints; }
  std::size_t unit_bytes() const { return state_stride() * std::size_t(stored_states()); }

 private:
  const Context<Real>& context_;
  bool prepared_ = false, built_ = false;

 public:
  Shape shape;
  bool keep;                             // psi after every set of rotations is stored
  std::vector<int> checkpoint_before;    // [pass]: number of the stored state that is the checkpoint before it, or -1
  int n_checkpoints = 0;
  // of each rotation: whether v_x, v_y, v_z of the stored states have the other sign; t
  std::vector<std::uint8_t> negate_x, negate_y, negate_z;
  std::vector<Real> tangent;             // t with its sign; +-1 for per-sample ones
  // of each diagonal stage
  std::vector<double> scale;             // the factor that it multiplies with
  std::vector<Mask> frame;               // F when the diagonal acts
  std::vector<std::size_t> first_angle;  // its first one in `angles`
  IntegerAngle<Real>* angles = nullptr;  // of each shared term, all diagonal stages one after the other
  // of strings
  std::vector<StringData> strings;       // their masks by where the rows lie
  std::vector<std::uint8_t> negate_string;
  std::vector<std::size_t> observed;     // the order they are observed in: the n_diagonal without X or Y come first
  std::size_t n_diagonal = 0;
  double expectation_factor = 1;         // expectations are this times those of the stored state
  double psi_end = 1, bra_end = 1;       // true state = this * stored one, after all has been undone
  double final_scale = 1;                // of the final state: scale, F, G
  Mask final_flips = 0, final_signs = 0;
  // of each raw sum and each per-sample row: factor * (sum over lanes of an accumulator)
  std::vector<double> raw_factor, sample_factor;
  std::vector<std::array<double, 3>> merged_factor;  // of each merged row: v_x, v_y, v_z
  std::vector<std::uint32_t> raw_accumulator;
  std::vector<std::uint8_t> raw_lane;
  struct Range { std::size_t first, count; };
  std::vector<Range> raw_ranges;         // of the raw sums: all that has a factor lies within
  std::vector<std::vector<PreparedCall<Real>>> forward, backward;  // [pass][call]
  std::vector<StartRotation<Real>> start_rotations;  // of the product start

 private:
  std::vector<StringData> framed_strings_;  // their masks in the lane frame of the final state
  // What follows is read in one go once a step, for hundreds of terms, rows and calls: in small pieces, side by side.
  struct ListedTerm { double constant; Mask mask; int stage; };
  struct ListedSource { double coefficient; std::uint32_t term, place; };  // place: in GateRuns::values
  std::vector<ListedTerm> terms_;        // of `angles`
  std::vector<ListedSource> sources_;    // the first two of each of terms_, coefficient 0 where there is none; others
  Buffer cycles_, angles_;               // half angles of terms_ over 2 pi; `angles`: padded to vectors by a 0 at least
  // kScalar stages whose tables fit a vector: their places, of each the number of the angle there; tables and scales
  std::vector<std::uint32_t> short_angles_;
  std::vector<int> short_stages_;
  std::vector<Real*> short_tables_;
  std::vector<Real> short_scales_;
  std::vector<std::uint8_t> negate_term_;  // of terms_: whether the frame turns the angle's sign
  struct ListedRow { std::uint32_t row, factor, sign; };  // factors_[factor], signs_[sign / 2] ^ (sign & 1)
  std::vector<ListedRow> rows_;
  std::vector<double> factors_;          // of rotations, of stages, of the start
  std::vector<std::uint8_t> signs_;      // negate_x, negate_y, negate_z, 0, negate_term_
  // Where calls take what: tangent[from], with the other sign; scale[from]
  struct CallTangent { Real* to; std::uint32_t from; bool inverse; };
  struct CallScale { Real* to; std::uint32_t from; };
  std::vector<CallTangent> call_tangents_;
  std::vector<CallScale> call_scales_;
  std::vector<DiagonalCall<Real>*> sign_calls_;  // of kSigns, with their stages
  std::vector<int> sign_stages_;
  std::vector<double> stored_scale_;     // of the state before each diagonal, which keeping stores
  std::vector<double> before_;           // scale before each pass, and at the end
  Buffer lane_sine_;                     // [rotation][lane]
  Buffer tables_;
  std::vector<int> long_tables_;         // stages whose tables are worked out one by one
  Buffer start_angles_;                  // half angles of the start's shared phases, their sines, cosines

  bool may_keep(const PlanData& plan, int lane_bits) const {
    return context_.settings.mode == Mode::kKeep && lane_bits == 0 && plan.passes.size() <= 1;
  }

  ShapeOptions shape_options(const PlanData& plan, int lane_bits, bool may_keep) const {
    ShapeOptions options;
    options.lane_bits = lane_bits;
    options.lanes = int(context_.lanes);
    options.row_bytes = context_.row_bytes;
    options.max_group = context_.kernels.max_group;
    options.max_measured = context_.kernels.max_measured;
    options.keep = may_keep;
    options.pass_per_diagonal = context_.settings.interval > 0;
    options.fusion = context_.settings.fusion;
    options.share_row_bits = context_.settings.share_row_bits;
    options.table_bytes = context_.settings.table_bytes;
    options.sample_angles = plan.sample_angles;
    return options;
  }

  // A passage of a circuit has few of the raw sums: gaps are left out.
  void choose_raw_ranges(const PlanData& plan) {
    const std::size_t n_raw = std::size_t(context_.gate_runs.n_raw()), gap = 2 * context_.lanes;
    if (!plan.is_passage) {
      raw_ranges.push_back({0, n_raw});
      return;
    }
    std::vector<std::size_t> rows;
    for (const RawRow& r : shape.raw_rows) rows.push_back(std::size_t(r.row));
    for (const SampleRun& run : shape.sample_runs)
      for (int k = run.first; k < run.first + run.count; k++)
        if (const int row = context_.gate_runs.sample_row(k); row >= 0) rows.push_back(std::size_t(row));
    std::sort(rows.begin(), rows.end());
    for (std::size_t row : rows) {
      if (raw_ranges.empty() || row >= raw_ranges.back().first + raw_ranges.back().count + gap)
        raw_ranges.push_back({row, 0});
      raw_ranges.back().count = row + 1 - raw_ranges.back().first;
    }
  }

  // Checkpoints: a state every `interval` moments of progress, which is counted in rotations.
  void choose_checkpoints() {
    checkpoint_before.assign(shape.passes.size() + 1, -1);
    if (context_.settings.interval <= 0 || shape.passes.empty()) return;
    int rotations = 0, moments = 1;
    for (const Pass& pass : shape.passes) rotations += pass.rotations;
    for (const DiagonalStage& stage : shape.stages) moments += stage.diagonal.kind != kNone;
    const double per_moment = double(rotations) / moments;
    double done = 0, due = 0;
    for (std::size_t i = 0; i < shape.passes.size(); i++) {
      if (done >= due) {
        checkpoint_before[i] = n_checkpoints++;
        due += context_.settings.interval * per_moment;
      }
      done += shape.passes[i].rotations;
    }
  }

  // prepared_values.hpp
  double term_angle(const PhaseTerm& term, const double* shared) const;
  void list_terms();
  void list_rows();
  template <class Parity> void set_angles(Parity parity);
  template <class Parity> void go_through(Parity parity);
  void prepare_values(const double* shared);
  void prepare_start(const double* shared);
  void backward_scales();
  void set_factors();

  // prepared_calls.hpp
  void prepare_calls();
  void list_calls();
  void build_calls(const Pass& pass, bool back, std::vector<PreparedCall<Real>>& calls);
  bool plain_diagonal(const PreparedCall<Real>& call) const;
  bool lowest_bits(const PreparedCall<Real>& call) const;
  bool in_shares(const PreparedCall<Real>& call) const;
  bool join_forward(std::vector<PreparedCall<Real>>& calls, const PreparedCall<Real>& call) const;
  bool join_backward(std::vector<PreparedCall<Real>>& calls, const PreparedCall<Real>& call) const;
  PreparedCall<Real> diagonal_call(int index, bool back, bool one_tile) const;
  PreparedCall<Real> group_call(const CallShape& call_shape) const;

  // Whether only gradients of per-sample angles come from a rotation.
  bool of_samples(const ShapeRotation& r) const {
    return r.sample_index >= 0 && !shape.sample_runs[r.sample_index].has_shared;
  }

  static const Real* zeros() {
    alignas(64) static const Real zero[64 / sizeof(Real)] = {};
    return zero;
  }

  static bool has_table(const DiagonalShape& d) {
    return d.kind != kSigns && (d.kind == kScalar || d.kind == kFactor || d.whole_table || d.product);
  }

  // prepared_tables.hpp
  void prepare_tables();
  void list_tables();
  void fill_table(int index, Worker& worker);
  // Angles of masks of rows, `most` at most, for a table of 2^bits rows.
  class ListedAngles {
   public:
    ListedAngles(const Context<Real>& context, Worker& worker, std::size_t most, int bits);
    void add(std::uint32_t row, const PhaseTerm& term, bool minus, const IntegerAngle<Real>* angles,
             std::size_t stride);
    void fill(Real scale, Real* table) const;

   private:
    static constexpr int kBlockBits = 6;
    const Context<Real>& context_;
    int bits_, block_bits_;
    std::size_t count_ = 0;
    IntegerAngle<Real>*block_, *angles_;
    std::uint32_t* rows_;
  };
};

}  // namespace qmltrain
