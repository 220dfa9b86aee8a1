// Shape: a plan laid out for one number of lane qubits. Structure only: which rows meet in which kernel call.
//
// A pass works on tiles: cosets of the span of its masks. Within a pass, rows have coordinates (tau, u): u counts the rows
// of a tile, tau the tiles; both are linear in the row's address over GF(2), and so is everything else: pair masks,
// parities, phase masks and offsets are translated once. Kernels work on the state in place, through offsets.
#pragma once
#include <array>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "kernels.hpp"
#include "lane_frame.hpp"
#include "plan.hpp"
#include "gate_runs.hpp"

namespace qmltrain {

// Where the rows of a tiled state lie. A tile's rows differ in a few high address bits, which would put them all on the same
// few sets of the caches; so row r lies at r ^ (r >> 5) ^ (r >> 10) ^ ... The map is linear over GF(2): XORs of offsets stay
// XORs of offsets. Masks of pairs go along with it, masks of parities against it.
class Scatter {
 public:
  Scatter() = default;
  Scatter(int lane_bits, int row_bits) : lane_bits_(lane_bits), row_bits_(row_bits), on_(true) {}
  Mask row(Mask r) const {
    if (on_)
      for (Mask moved = r >> kStep; moved; moved >>= kStep) r ^= moved;
    return r;
  }
  Mask pair(Mask m) const { return row(m >> lane_bits_) << lane_bits_ | (m & low()); }
  Mask parity(Mask m) const {  // parity(f & r) = parity(f' & row(r)), since r = row(r) ^ (row(r) >> 5)
    if (!on_) return m;
    const Mask f = m >> lane_bits_, all = (Mask(1) << row_bits_) - 1;
    return (f ^ (f << kStep & all)) << lane_bits_ | (m & low());
  }

 private:
  static constexpr int kStep = 5;  // 32 rows of 128 bytes: a page, and the sets of a first cache
  Mask low() const { return (Mask(1) << lane_bits_) - 1; }
  int lane_bits_ = 0, row_bits_ = 0;
  bool on_ = false;
};

// indices into Shape::offsets
struct RowTable { std::size_t low, high, member; };

struct ShapeRotation {
  int run;
  Mask pair, parity;     // whole addresses
  bool flip;
  int sample_index = -1; // per-sample: which; else -1
  Mask tau = 0;          // parity over the tile's number that flips the sign
  int acc = -1;          // v_x, v_y (two vectors); -1: no gradient wanted
};

// Up to four rotations with linearly independent row masks, in registers together.
struct Group {
  int count = 0;
  std::array<int, kMaxGroup> rotation{};
  bool per_sample = false, lanes = false;
  RowTable rows;
  std::uint32_t n_low = 1, n_high = 1;
  std::array<std::uint8_t, 1 << kMaxGroup> member_lane{};
  std::array<std::uint8_t, kMaxGroup> parity_lane{};
  struct Part { Offset offset; int signs; };  // bases of constant sign: offset, sign bit of each rotation
  std::vector<Part> parts;
};

struct LaneRotationShape { int rotation; int lane_xor, lane_parity; std::uint32_t low_signs = 0, high_parity = 0; };

// One mask of a diagonal: its angle is constant + sum of sources; where its coefficient goes.
struct PhaseTerm {
  Mask mask = 0;
  double constant = 0;
  struct Part { int source, index; double coefficient; int row; };  // row: raw row of its gradient, or -1
  std::vector<Part> parts;
  Mask tau = 0;          // coordinates of the mask
  std::uint32_t e = 0;
  int lane = 0;
};
struct SampleTerm { PhaseTerm where; int slot; double coefficient, offset; int acc; };

struct DiagonalShape {
  int layer = -1;
  Phase kind = kNone;
  std::vector<PhaseTerm> terms;           // kScalar, kVector: all; kFactor: see the three lists
  std::vector<int> low, high, crossing;   // kFactor
  std::vector<SampleTerm> sample;
  bool whole = false;                     // kVector: the table of all tiles is made once a step
  std::size_t table = 0;                  // numbers before this one in the step's tables (kScalar, kFactor, whole)
  // kFactor where the tile is the state: numbers before the phases of its high indices, and which small table goes with each
  std::size_t high_table = 0;
  std::vector<std::uint8_t> variant;
};

struct Elementwise {
  DiagonalShape diagonal;                 // kind kNone: only a factor
  std::vector<LaneRotationShape> lanes;
  bool exchanges = false;                 // after the diagonal the lanes go over to another frame:
  LaneFrame exchange;                     // row r's are exchanged by exchange.lanes(r)
  std::vector<std::uint8_t> exchange_low, exchange_high, exchange_tau;  // of the rows of a block, of blocks, of bits of the tile's number
  bool measure = false;                   // v of initial rotations: nothing is turned
  bool general = false;                   // lane rotations with row signs, per-sample angles, or not of the lane bits in order
  std::vector<int> v_z;                   // rotations whose v_z is taken here
  std::vector<Mask> basis;                // rows (in coordinates of the tile) that the bits of a row's number stand for
  RowTable rows;                          // rows of a block, and blocks
  std::uint32_t n_low = 1, n_high = 1;
  std::vector<SumTarget> sums;            // v_z and gradients of phases
  std::vector<SumTarget> share_sums;      // the same from the sums of one share of the rows; tau: over the share's number
  bool walsh = false;                     // masks are dependent: transform all of w
};

struct Step {
  enum Kind {
    kRotate,    // forward rotation of psi
    kReverse,   // v, then the inverse rotation of psi and lam
    kUndo,      // the inverse rotation of psi and lam, no gradient wanted
    kMeasure,   // v only
    kUndoLam,   // the inverse rotation of lam (psi was kept)
    kElementwise
  } kind;
  int index;    // into groups or elementwise
};

struct TileGeometry {
  int tile_bits, tau_bits;
  std::vector<Mask> basis;       // row mask of each tile coordinate, reduced: pivots ascending
  std::vector<Mask> tau_basis;   // row mask (one bit) of each coordinate of the tile's number
  std::vector<Offset> tile_base; // state offset of each tile
  std::vector<Offset> rows;      // state offsets of a tile's rows, relative to its base
};

// What a sweep does, in time order: rotations that commute, or an elementwise step.
struct Item { int elementwise; std::vector<int> rotations; bool initial; };

// One visit of all tiles.
struct Sweep {
  int geometry;
  std::vector<Item> items;
  std::vector<Step> forward, backward;
  int acc_first = 0, acc_count = 0;  // vectors
  int rotations = 0;                 // progress, for checkpoints
};

// Raw row `row` is factor * sum over lanes of an accumulator; the factor depends on the step's frame and scales.
struct RawRow { int acc, lane_mask, row; char what; int rotation, elementwise; Mask mask; };
struct SampleRow { int acc, lane_mask, slot; double coefficient; int rotation, elementwise; Mask mask; };

constexpr int kMostUnscaled = 48;
constexpr int kMostShareBits = 4;
constexpr std::size_t kWholeTableBytes = 32 << 20;  // of all steps; TABLE_BYTES of qmltrain/engines/cpu/program.py

class Shape {
 public:
  Shape(const PlanData& plan, const Runs& runs, int lane_bits, int lanes, std::size_t row_bytes, int max_group, bool keep,
        bool split, bool fusion, int share_row_bits);

  int n, lane_bits, row_bits;
  std::size_t row_bytes;
  int n_acc = 0;
  bool resident;                          // every tile is the whole state
  int share_bits = 0;                     // a long resident state: every call is cut into 2^share_bits shares of its rows
  Scatter scatter;
  LaneFrame lane_frame;                   // while the shape is made: of the state so far; then of the final state
  std::vector<Offset> offsets;
  std::vector<ShapeRotation> rotations;
  std::vector<int> initial;               // rotations of |0...0> that are written as a product state
  bool plain_initial = true;              // their row masks are the address bits in order
  std::vector<Group> groups;
  std::vector<Elementwise> elementwise;
  std::vector<TileGeometry> geometries;
  std::vector<Sweep> sweeps;
  std::vector<RawRow> raw_rows;
  std::vector<SampleRow> sample_rows;
  std::size_t table_size = 0;             // numbers

  const std::vector<AngleData>& sample_angles() const { return angles_; }  // of the per-sample rotations
  Offset lane_mask() const { return (Offset(1) << lane_bits) - 1; }
  Mask row_of(Mask m) const { return m >> lane_bits; }
  int lane_of(Mask m) const { return int(m & lane_mask()); }

 private:
  void add_pass(const PlanData& plan, const Runs& runs, const PassData& pass);
  int add_geometry(const std::vector<Mask>& basis);
  int add_elementwise(Elementwise&& e);
  void add_diagonal(const PlanData& plan, const OperationData& op);
  void open_sweep(int geometry) { sweeps.push_back({geometry, {}, {}, {}, 0, 0, 0}); }
  bool absorb(const std::vector<int>& members);
  void choose_frame(const PlanData& plan, int operation);
  void order_lanes(Elementwise& e);
  void finish(const Runs& runs);
  std::vector<int> make_groups(const TileGeometry& g, std::vector<int> members, int most);
  int make_group(const TileGeometry& g, const std::vector<int>& members);
  void layout(const TileGeometry& g, Elementwise& e);
  void add_share_sums(Elementwise& e) const;
  RowTable rows(const TileGeometry& g, const std::vector<Mask>& tile_basis, std::size_t low_bits);
  std::size_t intern(const std::vector<Offset>& table);
  Mask local_row(const TileGeometry& g, Mask row) const;
  Mask local_parity(const TileGeometry& g, Mask row) const;
  Mask tau_parity(const TileGeometry& g, Mask row) const;
  Offset state_offset(const TileGeometry& g, Mask u) const;

  int lanes_, max_group_;
  bool keep_, split_, fusion_, amplitude_encoded_, absorbing_, started_ = false, diagonal_strings_ = true;
  int term_row_ = 0;
  int attachable_ = -1;                   // elementwise step that can take the next rotations of the lanes
  std::vector<int> since_diagonal_;       // rotations whose v_z the next diagonal takes
  int unscaled_ = 0;                      // shared rotations since the last elementwise step
  std::vector<AngleData> angles_;
  int operations_left_ = 0;
  std::map<std::vector<Offset>, std::size_t> interned_;
  std::size_t whole_bytes_ = 0;
};

}  // namespace qmltrain
