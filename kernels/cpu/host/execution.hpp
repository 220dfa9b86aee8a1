// Execution: units of samples side by side through one prepared shape, forward and backward.
//
//   execution.hpp             the class: what it works on, sections of a pass
//   execution_samples.hpp     per-sample angles and their gradients
//   execution_start.hpp       initial states
//   execution_product.hpp     a product start: written as a product, and its gradients
//   execution_forward.hpp     forward
//   execution_calls.hpp       one kernel call: what changes from tile to tile and unit to unit
//   execution_shares.hpp      long resident states: calls cut into shares of their rows
//   execution_observe.hpp     expectations, and the bra
//   execution_states.hpp      final states, by basis index
//   execution_backward.hpp    backward
//   execution_gradients.hpp   accumulators to raw sums and gradients
//
// engine.cpp includes all of them; each of the others needs this one alone. An execution is used once:
// forward(), observe(), backward(); forward(), read_states(); or, on a tape's states, load_angles(), observe(), backward().
//
// A unit is what fits the lanes. Where states are small, several units go through every kernel call together (a
// bundle), so that a call's fixed cost is shared; each has accumulators of its own, so its numbers do not depend on its
// neighbours.
#pragma once
#include <complex>
#include <cstring>
#include <functional>
#include <vector>

#include "bundles.hpp"
#include "inputs.hpp"
#include "prepared_shape.hpp"

namespace qmltrain {

// The tiles of a pass are cut into a fixed number of sections, whatever the number of threads. Each has accumulators of
// its own, which are added in order.
constexpr int kSections = 16;

// One of `count` shares of the rows that a call works on (execution_shares.hpp).
struct Share { int index = 0, count = 1; };

template <class Real> struct Execution {
  static constexpr std::size_t kSkew = 9;  // rows: the bra must not lie on the cache sets of psi

  const Context<Real>& context;
  const PreparedShape<Real>& prepared;
  const Bundle& bundle;
  const Inputs& inputs;
  Worker& worker;            // scratch memory of the calling thread
  bool one_thread;           // other bundles are worked on at the same time, so this one has no team
  char* states;              // stored states of every unit
  const std::function<void(bool)>& check;  // throws where the user interrupts; true: called by the engine's thread

  const Shape& shape = prepared.shape;
  const Kernels<Real>& kernels = context.kernels;
  const int lane_bits = bundle.lane_bits, units = bundle.count;
  const std::size_t lanes = context.lanes, row_bytes = context.row_bytes, rows = std::size_t(1) << shape.row_bits;
  const std::size_t psi_stride = prepared.unit_bytes(), bra_stride = (rows + kSkew) * row_bytes;
  const std::size_t accumulator_stride = std::size_t(shape.n_accumulators) * lanes;
  char* psi = nullptr;       // current states of the first unit; the others' follow at the strides
  char* bra = nullptr;
  // of all units, one unit after the other:
  Real* cos_sin = nullptr;                    // [per-sample rotation][cos, sin][lane]
  Real* lane_cos_sin = nullptr;               // the same with lane signs
  IntegerAngle<Real>* term_angles = nullptr;  // [diagonal stages' per-sample terms][lane]
  Real* start_cos_sin = nullptr;              // the product start's per-sample pairs [pair][cos, sin][lane]
  Real* start_factors = nullptr;              // its factors, two complex vectors an address bit
  Real* start_tables = nullptr;               // products of them, see StartRows
  Real* merged = nullptr;                     // merged runs: [group](gates, alpha, gamma), see MergedPlace
  std::size_t n_sample_rotations = 0, n_sample_terms = 0, cos_sin_stride = 0;

  char* start() const { return stored(prepared.keep ? 0 : prepared.n_checkpoints); }
  char* end() const { return stored(prepared.stored_states() - 1); }
  char* stored(int i) const { return states + prepared.state_stride() * std::size_t(i); }
  int sample_of_lane(const Unit& unit, std::size_t lane) const {
    return unit.first + std::min(int(lane >> lane_bits), unit.count - 1);
  }

  // Of merged runs of unit u: cosines and sines of gates [rotation of the run][vector](cos, sin)[lane], integer angles.
  struct MergedPlace { std::size_t vectors; Real* gates; IntegerAngle<Real>*alpha, *gamma; };
  MergedPlace merged_place(int u, std::size_t group) const {
    const MergedRuns& m = shape.merged[group];
    Real* gates = merged + shape.merged_numbers * std::size_t(u) + m.first;
    auto* alpha = reinterpret_cast<IntegerAngle<Real>*>(gates + 2 * lanes * m.vectors * m.axes.size());
    return {m.vectors, gates, alpha, alpha + lanes * m.vectors};
  }
  // Scratch behind the angles of all units.
  double* half_angles() const {
    IntegerAngle<Real>* end = term_angles + lanes * n_sample_terms * std::size_t(units);
    return reinterpret_cast<double*>((reinterpret_cast<std::uintptr_t>(end) + 63) & ~std::uintptr_t(63));
  }

  // Operands of a call that works on psi or on the bra, or on both.
  Operands<Real> one_state(char* state, std::size_t stride) const {
    return {state, state, /*bra*/ nullptr, /*base*/ 0, cos_sin, /*accumulators*/ nullptr, units, stride,
            /*bra_stride*/ 0, cos_sin_stride, /*accumulator_stride*/ 0, /*fresh*/ false};
  }
  Operands<Real> both_states(Real* accumulators) const {
    return {psi, psi, bra, /*base*/ 0, cos_sin, accumulators, units, psi_stride,
            bra_stride, cos_sin_stride, accumulator_stride, /*fresh*/ prepared.keep};
  }

  // job(section, sections, worker) for the sections of so many tiles; by the whole team where this bundle is alone
  template <class Job> void each_section(std::size_t tiles, Job job) {
    const int n = int(std::min<std::size_t>(tiles, kSections));
    if (one_thread || n == 1) {
      for (int section = 0; section < n; section++) job(section, n, worker);
    } else {
      context.team.do_jobs(n, [&](int section, int thread) {
        job(section, n, context.workers[std::size_t(thread)]);
      });
    }
  }

  // execution_samples.hpp
  void load_angles();
  void load_angles(int u);
  void load_half(const Unit& unit, int angle_index, bool add, double* half) const;
  void load_runs(int u, Real* rotations);
  void load_merged(int u, Real* rotations);
  void load_terms(int u);
  void load_terms_at_once(int u, IntegerAngle<Real>* to);
  void spread_rotation(const Real* packed, std::size_t place, Real* to) const;
  void collect_merged(int u, const Real* accumulators, const Gradients& out, double* unit_sums, double* raw);
  void add_lanes(const Real* from, int lane_mask, double factor, Real* to) const;

  // execution_start.hpp
  void write_initial(int u, char* state);
  void load_initial(int u, int rotation, Real* cosine, Real* sine) const;
  void rotate_first(int rotation, const Real* cosine, const Real* sine, Real* first) const;
  bool initial_product(int u);

  // execution_product.hpp
  StartRows start_rows() const;
  int start_sections(const StartRows& at) const;
  void load_start();
  void load_start(int u, double* half, Real* packed);
  void write_start(int u, char* state);
  void start_backward(int u, Real* accumulators, bool samples);
  std::size_t start_stride() const { return 2 * lanes * std::size_t(shape.start_pairs); }
  std::size_t start_value() const { return lanes * std::size_t(context.planes); }  // numbers of one value of it
  std::size_t table_stride() const { return start_value() * start_rows().table_size(); }
  std::size_t factor_stride() const { return 2 * start_value() * std::size_t(shape.n_qubits); }

  // execution_forward.hpp
  void forward();
  void forward_from_start();
  void forward_kept();
  void pass_forward(std::size_t index, char* state);
  bool far() const;
  void prefetch(const TileGeometry& g, std::size_t tile, std::size_t part, std::size_t parts, const char* state) const;

  // execution_calls.hpp
  void rotate_group(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base, Operands<Real> operands,
                    Share share = {});
  void apply_stage(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base, Operands<Real> operands,
                   WScratch<Real> w, Worker& scratch);
  void fill_stage(DiagonalCall<Real>& call, const PreparedCall<Real>& prepared_call, int u, std::size_t tile,
                  Worker& scratch);
  void factor_tile(DiagonalCall<Real>& call, const DiagonalStage& stage, int index, std::size_t tile, Worker& scratch);
  void vector_tile(DiagonalCall<Real>& call, const DiagonalStage& stage, int index, int u, std::size_t tile,
                   Worker& scratch);

  // execution_shares.hpp
  template <class Job> void each_share(Job job);
  template <class Job> void each_call(const std::vector<PreparedCall<Real>>& calls, Job job);
  DiagonalCall<Real> share_of(const DiagonalCall<Real>& whole, const DiagonalStage& stage, Share share) const;
  DiagonalCall<Real> filled(const PreparedCall<Real>& prepared_call);
  void shares_forward(const std::vector<PreparedCall<Real>>& calls, char* state);
  template <class Accumulators>
  void shares_backward(const std::vector<PreparedCall<Real>>& calls, bool samples, Accumulators accumulators_of);

  // execution_observe.hpp
  void observe(const StringValues& cotangents, const StringValues& expectations);
  void load_weights(const StringValues& cotangents, bool same);
  void observe_units(int first_unit, int count, bool same_weights, const StringValues& expectations);
  void add_expectations(int first_unit, int count, const Real* sums, std::size_t sections,
                        const StringValues& expectations) const;

  // execution_states.hpp
  void read_states(const Readout& readout, std::complex<Real>* states) const;

  // execution_backward.hpp
  void backward(const Gradients& out, double* unit_sums, std::size_t sums_stride, double* raw);
  char* segment_state(int i) const;
  int recompute_segment(int last);
  void pass_backward(std::size_t index, Real* total, int& stored_index, bool samples);
  void call_backward(const PreparedCall<Real>& call, const TileGeometry& g, std::size_t tile, Real* accumulators,
                     int& stored_index, Worker& scratch);
  void stage_backward(const PreparedCall<Real>& prepared_call, std::size_t tile, Offset base,
                      const Operands<Real>& operands, int bits, Worker& scratch);
  void add_sums_of(const PreparedCall<Real>& prepared_call, Real* w, Real* sums, int bits,
                   const std::vector<SumTarget>& targets, std::size_t tile, Real* accumulators, bool fresh) const;

  // execution_gradients.hpp
  void collect(int u, const Real* accumulators, const Gradients& out, double* unit_sums, double* raw);
  void read_bra(int u, double scale, const Gradients& out) const;
};

}  // namespace qmltrain
