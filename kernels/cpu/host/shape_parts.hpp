// What a Shape is made of: rotations, groups of them, diagonals, calls, passes, and where their sums go.
//
// Coordinates. A pass works on tiles: cosets of the span of its masks. Within a pass a row is given by (tile, u):
// `tile` is the tile's number, u says which of the tile's rows. Both are linear in the row's address over GF(2), so
// whatever is linear in the address (which rows are paired, the parity that gives a sign) is translated once: a parity
// over whole addresses becomes
//
//     parity(u & row_parity) ^ parity(tile & tile_parity) ^ parity(lane & lane_parity).
//
// A diagonal stage counts the rows of a tile in an order of its own: bit i of a row's number (h, l) stands for the u
// basis[i], and the row parities of its terms are over that number.
//
// Signs that follow from parities are called minus or negative where they are 1.
#pragma once
#include <array>
#include <cstddef>
#include <vector>

#include "kernels.hpp"
#include "lane_frame.hpp"
#include "plan.hpp"

namespace qmltrain {

// Rows of kernel calls (Rows in kernels.hpp), as indices into Shape::offsets.
struct RowTable { std::size_t low, high, member; };

struct ShapeRotation {
  int gate_run;
  Mask pair, parity;      // whole addresses
  bool flip;              // the bit is parity(address & parity) ^ flip
  int sample_index = -1;  // per-sample: its number among Shape::sample_runs; else -1
  Mask tile_parity = 0;   // of `parity`
  int accumulator = -1;   // v_x, then v_y (two vectors); -1: no gradient wanted
  int z_accumulator = 0, z_lane_mask = 0, z_stage = -1;  // of merged runs: where v_z is; accumulator 0 is always zero
};

// A per-sample gate run: `count` angles of the plan from `first` on. Of a `real` one beta is their sum; else it is
// merged, `place` in Shape::merged[group].
struct SampleRun { int gate_run, first, count; bool real; bool has_shared; int group = -1, place = -1; };

// Merged runs of one sequence of axes, worked out together: `runs` are indices into Shape::sample_runs. They take
// `vectors` vectors of (run, sample), the first of a unit's numbers for them at `first`.
struct MergedRuns {
  std::vector<std::uint8_t> axes;
  std::vector<int> runs;
  std::size_t vectors = 0, first = 0;
};

// A merged run whose angles want gradients; minus_y: the accumulator holds -v_y.
struct MergedRow { int rotation, y_lane_mask; bool minus_y; };

// Up to four rotations with linearly independent row masks, in registers together.
struct RotationGroup {
  int count = 0;
  std::array<int, kMaxGroup> rotation{};
  bool per_sample = false;
  bool across_lanes = false;     // some of its pairs lie in different lanes
  RowTable rows;
  std::uint32_t n_low = 1, n_high = 1;
  std::array<std::uint8_t, 1 << kMaxGroup> member_lane{};
  std::array<std::uint8_t, kMaxGroup> parity_lane{};
  struct Part { Offset offset; int signs; };  // rows of constant signs: where they start, sign bit of each rotation
  std::vector<Part> parts;
};

// A rotation whose pairs lie within the rows; fields as in LaneRotation (kernels.hpp).
struct LaneRotationShape { int rotation; int lane_xor, lane_parity; std::uint32_t low_signs = 0, high_parity = 0; };

// One mask of a diagonal. Its angle is constant + sum of coefficient * source.
struct PhaseTerm {
  struct Source { int source, index; double coefficient; int raw_row; };  // AngleSource; raw row of its gradient, or -1
  explicit PhaseTerm(Mask m = 0, int lane = 0) : mask(m), lane_parity(lane) {}

  Mask mask;
  double constant = 0;
  std::vector<Source> sources;
  // parities of the mask, row_parity over the row's number in the stage
  Mask tile_parity = 0;
  std::uint32_t row_parity = 0;
  int lane_parity;
};
// A term whose angle is coefficient * source + offset, the source a per-sample slot, or alpha or gamma of a per-sample
// gate run; `where` has its mask.
struct SampleTerm { PhaseTerm where; int source, index; double coefficient, offset; };  // AngleSource; slot or gate run

// A rotation of the product start, and the phases after it (StartRotation in kernels.hpp).
struct StartRotationShape {
  int bit, gate_run;
  bool flip;
  int sample_rotation = -1, sample_phase = -1;  // which per-sample pair of the start
  AngleData angle{};                            // of a per-sample rotation
  PhaseTerm phase;                              // shared
  std::vector<SampleTerm> sample_terms;
  int accumulator = 0;                          // v_x, v_y, v_z
  bool wanted[2] = {}, before[2] = {};          // as in StartRotation
};

// A term of a kSigns diagonal: its half angle, 2^16 of which are a full circle, at the place of its mask among the rows
// and lanes of a tile.
struct SignTerm { Mask tile_parity; std::uint32_t place; std::uint16_t angle; };

struct DiagonalShape {
  DiagonalKind kind = kNone;
  std::vector<PhaseTerm> terms;           // shared
  std::vector<SampleTerm> sample_terms;
  // kFactor, indices into terms: whose parity depends on the low index (or the lanes) only, on the high one only, on
  // both. A `crossing` term has another sign for some h: there is one small table for each combination of their signs.
  // high_vectors: phases of the high indices are vectors, and the lanes go with either.
  std::vector<int> low, high, crossing;
  std::size_t table = 0;                  // where its table starts among all of them (if it has one)
  // kVector: every sample term is of one coordinate or none, so that phases are products, times a number a row of the
  // shared terms' table (product_table of simd/tables.hpp)
  bool product = false;
  bool whole_table = false;               // kVector: the table of all tiles is made once per step
  // kFactor where the tile is the state: where the phases of the high indices start, and for each h which small table
  std::size_t high_table = 0;
  bool high_vectors = false;
  std::vector<std::uint8_t> variant;
  // kSigns: terms; the angle at address 0, where the sign is plus; what a bit of a row's address is of the number of the
  // row, of the tile. With whole_table the words of all tiles start at Shape::signs[table].
  std::vector<SignTerm> sign_terms;
  std::uint16_t origin = 0;
  std::vector<std::uint32_t> number_of_bit;
  std::vector<Mask> tile_of_bit;
};

// A diagonal, then an exchange of lanes, then lane rotations: all that needs no other row, in one kernel call.
struct DiagonalStage {
  DiagonalShape diagonal;                 // kind kNone: only a factor
  std::vector<LaneRotationShape> lanes;
  bool exchanges = false;                 // after the diagonal the lanes go over to another frame:
  LaneFrame exchange;                     // those of row r are exchanged by exchange.lanes(r)
  std::vector<std::uint8_t> exchange_low, exchange_high, exchange_tile;  // of each l, h, bit of the tile's number
  bool measure = false;                   // v of initial rotations: nothing is rotated
  bool general = false;                   // lane rotations with row signs, per-sample angles, or of other lane bits
  std::vector<int> v_z;                   // rotations whose v_z is taken here
  std::vector<Mask> basis;                // the u that the bits of a row's number (h, l) stand for
  RowTable rows;
  std::uint32_t n_low = 1, n_high = 1;
  bool walsh = false;                     // wanted masks are dependent: all of w is transformed; else a tree of sums
  std::vector<SumTarget> sums;            // v_z and gradients of phases
  std::vector<SumTarget> share_sums;      // the same of one share of the rows; tile_parity: over the share's number
};

// A kernel call as structure.
struct CallShape {
  enum Kind {
    kRotate,      // forward rotation of psi
    kRotateBack,  // v, then the inverse rotation of psi and bra
    kUndo,        // the inverse rotation of psi and bra, no gradient wanted
    kMeasure,     // v only
    kUndoBra,     // the inverse rotation of bra (psi was kept)
    kDiagonal,    // a diagonal stage, forward or back
  } kind;
  int index;      // into Shape::groups or Shape::stages
};

// How a pass cuts the rows into tiles.
struct TileGeometry {
  int tile_bits, number_bits;      // 2^number_bits tiles of 2^tile_bits rows
  std::vector<Mask> basis;         // row mask of each bit of u, reduced: pivots ascending
  std::vector<Mask> number_basis;  // row mask (one bit) of each bit of the tile's number
  std::vector<Offset> tile_base;   // state offset of each tile
  std::vector<Offset> rows;        // state offsets of a tile's rows, relative to its base
};

// What a pass does, in time order: rotations that commute, or a diagonal stage.
struct Item {
  int stage;                   // index into Shape::stages, or -1: rotations
  std::vector<int> rotations;
  bool initial;                // they make the initial product state
};

// All tiles are visited once.
struct Pass {
  int geometry;
  std::vector<Item> items;
  std::vector<CallShape> forward, backward;
  int first_accumulator = 0, accumulator_count = 0;  // vectors
  int rotations = 0;                                 // progress, for checkpoints
};

// What an accumulator holds, but for the signs that the angles of a step decide (PreparedShape).
enum class Measured {
  kVx,       // v_x of a rotation
  kVy,       // v_y of a rotation
  kMinusVy,  // -v_y: lane rotations are carried as x + s * partner
  kVz,       // v_z of a rotation's qubit
  kPhase,    // the signed sum of w of a mask
  kStart,       // v of the product start, which has the state itself
  kMinusStart,  // the same of a bit that is flipped
};

// Raw sum `row` is factor * (sum over lanes of an accumulator); the factor depends on the step's frame and scales.
struct RawRow {
  int accumulator, lane_mask, row;
  Measured measured;
  // where it is taken: `stage` for kVz and kPhase, else -1 and at the rotation; of the start, both -1
  int rotation, stage;
  Mask mask;            // kPhase
};
// The same of a per-sample slot: a rotation's v_y, or (stage >= 0) a phase; both -1: of the start.
struct SampleRow { int accumulator, lane_mask, slot; double coefficient; int rotation, stage; Mask mask; };

}  // namespace qmltrain
