// Shape: a plan laid out for one number of lane qubits. Structure only: which rows meet in which kernel call.
//
//   shape_parts.hpp   what it is made of, and the coordinates of rows
//   shape.cpp         tiles and rows
//   shape_items.cpp   the plan's operations to items of passes
//   shape_rows.cpp    rows of diagonal stages and of groups of rotations
//   shape_signs.cpp   diagonals of real states
//   shape_calls.cpp   items to kernel calls, and where their sums go
//   shape_start.cpp   the product start
#pragma once
#include <map>
#include <vector>

#include "cache_spread.hpp"
#include "gate_runs.hpp"
#include "lane_frame.hpp"
#include "plan.hpp"
#include "shape_parts.hpp"

namespace qmltrain {

struct ShapeOptions {
  int lane_bits;           // qubits in the lanes
  int lanes;               // of a vector
  std::size_t row_bytes;
  int max_group;           // rotations in registers at once
  int max_measured;        // rotations whose v one call takes
  bool keep;               // psi is kept after every set of rotations
  bool pass_per_diagonal;  // a pass ends after each diagonal, so that checkpoints may lie there
  bool fusion;             // else every rotation and every diagonal has a pass of its own
  int share_row_bits;      // a longer resident state is cut into shares of 2^share_row_bits rows
  std::size_t table_bytes; // most that whole tables take
  bool sample_angles;      // as in PlanData
};

class Shape {
 public:
  Shape(const PlanData& plan, const GateRuns& gate_runs, const ShapeOptions& options);

  int n_qubits, lane_bits, row_bits;
  std::size_t row_bytes;
  int n_accumulators = 0;
  bool factored;                   // how per-sample rotations are done: kFactored, not kCosSin
  bool resident;                   // every tile is the whole state
  int share_bits = 0;              // a long resident state: every call is cut into 2^share_bits shares of its rows
  CacheSpread spread;
  LaneFrame lane_frame;            // while the shape is made: of the state so far; then of the final state
  std::vector<Offset> offsets;     // tables of rows, see RowTable
  std::vector<ShapeRotation> rotations;
  std::vector<int> initial;        // rotations of |0...0> that are written as a product state
  bool plain_initial = true;       // their row masks are the address bits in order
  std::vector<StartRotationShape> start;   // the product start of a plan that has one; `initial` is then empty
  int start_pairs = 0;             // per-sample angles of it
  bool start_measured[2] = {};     // whether any v is wanted there: [with gradients of per-sample angles]
  int start_low_bits = 0;
  RowTable start_rows{};
  std::vector<RotationGroup> groups;
  std::vector<DiagonalStage> stages;
  std::vector<TileGeometry> geometries;
  std::vector<Pass> passes;
  std::vector<RawRow> raw_rows;
  std::vector<SampleRow> sample_rows;
  std::vector<SampleRun> sample_runs;  // of the per-sample rotations
  std::vector<int> sample_run_of;      // a gate run's place among them, or -1
  std::vector<MergedRuns> merged;
  std::vector<MergedRow> merged_rows;
  std::size_t merged_numbers = 0;      // of a unit
  std::size_t table_size = 0;      // numbers of all tables of diagonals
  std::vector<std::uint32_t> signs;  // of kSigns diagonals: a word a row, bit i the sign of lane i; equal ones once

  Offset lane_mask() const { return (Offset(1) << lane_bits) - 1; }
  Mask row_of(Mask m) const { return m >> lane_bits; }
  int lane_of(Mask m) const { return int(m & lane_mask()); }
  // Words of a tile of a kSigns diagonal to `words`; scratch has a number for every amplitude of the tile.
  void tile_signs(const DiagonalStage& stage, std::size_t tile, std::uint16_t* scratch, std::uint32_t* words) const;

 private:
  // shape.cpp
  int add_geometry(const std::vector<Mask>& basis);
  Mask local_row(const TileGeometry& g, Mask row) const;
  Mask local_parity(const TileGeometry& g, Mask row) const;
  Mask tile_parity_of(const TileGeometry& g, Mask row) const;
  Offset state_offset(const TileGeometry& g, Mask u) const;
  RowTable rows(const TileGeometry& g, const std::vector<Mask>& tile_basis, std::size_t low_bits);
  std::size_t intern(const std::vector<Offset>& table);

  // shape_items.cpp
  void add_pass(const PlanData& plan, const GateRuns& gate_runs, const PassData& pass);
  void open_pass(int geometry) { passes.push_back({geometry, {}, {}, {}, 0, 0, 0}); }
  bool absorb(const std::vector<int>& members);
  void choose_frame(const PlanData& plan, int operation);
  int add_stage(DiagonalStage&& stage);
  void add_diagonal(const PlanData& plan, const OperationData& op);
  void order_lanes(DiagonalStage& stage);

  // shape_rows.cpp
  void set_rows(const TileGeometry& g, DiagonalStage& stage);
  std::uint32_t row_parity_of(const TileGeometry& g, const DiagonalStage& stage, Mask mask) const;
  void choose_table(const TileGeometry& g, DiagonalStage& stage);
  void split_terms(DiagonalStage& stage, bool high_vectors);
  std::vector<int> make_groups(const TileGeometry& g, std::vector<int> members, int most);
  int make_group(const TileGeometry& g, const std::vector<int>& members);
  std::vector<int> measured_groups(const TileGeometry& g, const std::vector<int>& members);

  // shape_signs.cpp
  void choose_signs(const TileGeometry& g, DiagonalStage& stage);

  // shape_calls.cpp
  void add_calls(const GateRuns& gate_runs);
  void add_forward_calls(Pass& pass);
  void add_initial_back(Pass& pass, const Item& item, const GateRuns& gate_runs);
  void add_rotations_back(Pass& pass, const Item& item, const GateRuns& gate_runs);
  void add_stage_back(Pass& pass, int index, const GateRuns& gate_runs);
  void add_share_sums(DiagonalStage& stage) const;
  void new_accumulators(int rotation);
  void add_rows(const GateRuns& gate_runs, int rotation, int lane_mask, bool minus);
  int sample_run(const PlanData& plan, int gate_run);
  void place_merged();

  ShapeOptions options_;
  int max_group_;                  // rotations of a group
  bool amplitude_encoded_, real_;
  bool absorbing_;                 // rotations so far make a product state
  bool started_;                   // a rotation was there
  bool diagonal_strings_ = true;   // strings without X or Y are measured, and nothing follows
  // shape_start.cpp
  void add_start(const PlanData& plan, const GateRuns& gate_runs);

  int term_row_ = 0;               // raw row of the next shared slot term
  int attachable_ = -1;            // diagonal stage that can take the next rotations of the lanes
  std::vector<int> since_diagonal_;  // rotations whose v_z the next diagonal takes
  int unscaled_ = 0;               // shared rotations since the last diagonal stage
  std::vector<AngleData> angles_;  // of the plan
  int operations_left_ = 0;
  std::map<std::vector<Offset>, std::size_t> interned_;
  std::size_t whole_table_bytes_ = 0;
  std::map<std::vector<Mask>, std::size_t> interned_signs_;  // by tile bits and terms
};

}  // namespace qmltrain
