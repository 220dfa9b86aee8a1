// The border between the host code (host/) and the kernels of each instruction set (simd/): plain data and tables of
// function pointers. Both sides include this header; neither includes the other.
//
// No templates of the standard library here: an object compiled for AVX-512 must not bring along inline functions that
// the linker could pick for the whole program.
//
// Words and letters used throughout
//   row       one vector amplitude: VB bytes of real parts, then VB bytes of imaginary parts, one number per lane; of
//             real states (Plan.real) the real parts alone
//   lane      sample * 2^b + (the b low qubits); b = 0: sixteen samples side by side, b = 4: one sample
//   W         lanes of a vector
//   offset    a row's position in bytes. Every set of rows is given by XOR of offsets: row sets are cosets over GF(2)
//   low, high the rows of a call are numbered (h, l): row (h, l) lies at high[h] ^ low[l], l < 2^kLowBits
//   unit      samples that fit the lanes; a call takes several, whose states lie side by side (a bundle)
//   group     up to kMaxGroup rotations done in registers together; a coset: the 2^K rows that they mix
//   psi, bra  the state, and lambda = sum_m c_m O_m psi, which is carried back
//   v, w      v_x = Im<bra|X|psi>, v_y = Im<bra|Y|psi> of a rotation's qubit; w = Im(conj(bra) psi) of each amplitude
//   D, R      a diagonal, a rotation
//   t, c      of a rotation. Shared angles: t = tan(beta / 2), |t| <= 1, and no c: the factor cos is left out (the
//             scaled form, kernels/README.md). Per-sample angles: t = sin, c = cos
//   K         rotations of a group
#pragma once
#include <cstddef>
#include <cstdint>

namespace qmltrain {

using Offset = std::size_t;

constexpr int kMaxGroup = 4;        // rotations of a group
constexpr int kMaxSampleGroup = 3;  // of a group of per-sample rotations (kCosSin)
constexpr int kMaxMeasured = 4;     // of a group whose v is measured: 1, 2, or 4 as two pairs
constexpr int kMaxRotatedBack = 2;  // of a group that is measured and rotated back
constexpr int kMaxLaneBits = 4;     // qubits in the lanes
constexpr int kMaxLanes = 16;       // lanes of a vector
constexpr int kLowBits = 4;         // bits of the low index of a row
constexpr int kStripeBits = 8;      // of a stripe: rows that expectations are taken of at a time, at most

// The cosets of a group: base(h, l) = high[h] ^ low[l], members of the coset base ^ member[j].
struct Rows {
  const Offset* low;
  const Offset* high;
  const Offset* member;
};

// Where a kernel finds its operands this time. Kernels take what is fixed once the angles are known (the ...Call
// structs) by reference, and the rest in here, so that a call on a small state costs next to nothing.
template <class Real>
struct Operands {
  char* psi;
  char* other_psi;           // psi again; of kept states: the one after a diagonal (written), or before it (read)
  char* bra;                 // backward only
  Offset base;               // XORed into every row's offset: the tile, or a part of it
  const Real* cos_sin;       // per-sample rotations: (cosines of the lanes, sines) one after the other
  Real* accumulators;        // all of them; calls hold indices of vectors into them
  // Units side by side: what above points to is the first one's, the others' follow at these strides (bytes; numbers
  // for cos_sin and accumulators).
  int units;
  std::size_t psi_stride, bra_stride, cos_sin_stride, accumulator_stride;
  bool fresh;                // accumulators are written, not added to
};

// How a rotation is done: with t alone; with c and s of each lane; with the cosines of a group in its first rotation.
enum RotationKind { kShared, kCosSin, kFactored, kRotationKinds };

// R on K qubits: (x0, x1) -> (x0 - t x1, x1 + t x0) for shared angles, (c x0 - s x1, c x1 + s x0) for per-sample ones.
template <class Real>
struct RotateCall {
  Rows rows;
  std::uint32_t n_low, n_high;
  const std::uint8_t* member_lane;           // XOR of lanes of member j (groups whose masks reach into the lanes)
  const std::uint8_t* parity_lane;           // lane part of the parity mask of qubit k
  Real t[kMaxGroup];                         // shared: tan with its sign; per-sample: the sign of s, +-1
  std::uint32_t sample_rotation[kMaxGroup];  // per-sample: which of the pairs in Operands::cos_sin
};

// Going back: v of K qubits from psi and bra, then the inverse rotation of both (or of none: `measure`). Of two qubits,
// twice v is added. Four are two pairs, and are only measured.
template <class Real>
struct RotateBackCall {
  RotateCall<Real> rotate;          // the forward rotation: t with its forward sign
  Real y_sign[kMaxMeasured];
  std::uint32_t accumulator[kMaxMeasured];     // v_x lanes, then v_y lanes
};

// A rotation whose pairs lie within a row: x -> c x + s' * xor_lanes(x), s' = s * (-1)^bit(lane), lane signs included.
template <class Real>
struct LaneRotation {
  const Real* cosine;               // nullptr: 1
  const Real* sine;
  int lane_xor;
  std::uint32_t low_signs;          // bit l: sign of the rows (h, l) (general kernel only)
  std::uint32_t high_parity;        // parity of (h & this) flips the sign
  std::uint32_t accumulator;        // v_x, v_y without lane signs
};

// How the phases of a diagonal are given to the kernels; an index into tables of kernels.
enum DiagonalKind {
  kNone,           // no diagonal: a plain factor (`scale`)
  kScalar,         // one complex number per row: samples in the lanes, shared angles
  kFactor,         // a small table of vectors times a number or a vector for each h: qubits in the lanes
  kVector,         // one vector of complex numbers per row
  kSigns,          // real states: a sign for each lane of each row
  kDiagonalKinds,  // how many there are
};

// A diagonal stage: a diagonal, an exchange of lanes and lane rotations (all that needs no other row), over the rows of
// a tile.
template <class Real>
struct DiagonalCall {
  const Offset *low, *high;
  std::uint32_t n_low, n_high;
  const Real* table;                // kScalar: re, im of each row; kFactor: vectors [variant][l]; kVector: rows
  const Real* high_phase;           // kFactor: re, im of each h, numbers or with high_vectors vectors
  bool high_vectors;
  const std::uint8_t* variant;      // kFactor: which of the small tables goes with each h
  Real scale;                       // kNone, kSigns: the factor
  // kSigns: lane i of row (h, l) is negative where bit i ^ sign_lane of signs[sign_index ^ (h * n_low + l)] is 1
  const std::uint32_t* signs;
  std::uint32_t sign_index;
  std::uint8_t sign_lane;
  // General and exchange kernels only: the lanes of row (h, l) are exchanged by exchange_high[h] ^ exchange_low[l] ^
  // exchange, between the diagonal and the rotations; nullptr: not at all.
  const std::uint8_t *exchange_low, *exchange_high;
  std::uint8_t exchange;
  int n_lane;
  LaneRotation<Real> lane[kMaxLaneBits];
};

// Kept states going back: a whole group of rotations and the diagonal before it, see simd/diagonal_rotate_back.hpp.
template <class Real>
struct DiagonalRotateBackCall {
  Real t[kMaxGroup];                              // of the inverse rotations: tan with its sign
  std::uint32_t accumulator[kMaxGroup];           // v_x, v_y
  std::uint32_t sum_accumulator[kMaxGroup + 1];   // signed sums of w for each coordinate, and the total; 0: not wanted
  const Real* table;                              // re, im of each row
};

// Where kernels that go back over a diagonal leave w and its first sums.
template <class Real>
struct WScratch {
  Real* w;
  Real* pair_sums;                  // compressed w: signed sums over the two lowest coordinates (2 vectors)
  std::size_t w_stride, pair_sums_stride;  // numbers from unit to unit
};

// One stripe of rows of the final state: expectations of diagonal strings and bra = sum_m c_m O_m psi.
template <class Real>
struct ObserveCall {
  const char* psi;
  char* bra;                        // nullptr: expectations only
  std::uint32_t bits;               // rows of the stripe: 2^bits
  int n_strings;
  const std::uint32_t* mask;        // row part within the stripe
  const std::uint8_t* lane_mask;
  const std::uint8_t* sign;         // 1: minus, for this stripe
  const Real* weight;               // c_m of the lanes, [m][lane]
  Real* expectation;                // [m][lane] without lane signs, added to; nullptr: not wanted
  Real* work;                       // 2 * 2^bits + bits + 1 vectors
  int units;                        // side by side, at these strides (bytes; numbers for weight and expectation)
  std::size_t psi_stride, bra_stride, weight_stride, expectation_stride;  // weight_stride 0: the same weights for all
};

// One X/Y string over contiguous rows: bra[z] += c * phase * sign(z ^ x) * psi[z ^ x].
template <class Real>
struct StringCall {
  const char* psi;
  char* bra;                        // nullptr: expectation only
  std::size_t first_row, n_rows;
  std::size_t x_row, z_row;
  int x_lane, z_lane;
  int n_y;                          // phase i^n_y
  Real sign;
  const Real* weight;               // nullptr where bra is
  Real* expectation;                // nullptr: not wanted
};

// A signed sum of w over the rows of a tile goes to an accumulator, with the sign of the tile.
struct SumTarget {
  std::uint32_t from;               // vector among the tree's sums, or row of the transformed w
  std::uint32_t accumulator;
  std::uint64_t tile_parity;        // parity of (the tile's number & this): minus
};

constexpr int kMostProductTableBits = 18;  // of product_table
constexpr int kMostProductBits = 14;  // of product_distances
constexpr int kDistanceBits = 8;  // rows that distances are added up over in the precision of the state
constexpr std::size_t product_scratch(int bits) {  // see Kernels::product_distances
  return std::size_t(bits > kDistanceBits ? bits - kDistanceBits : 1) << kDistanceBits;
}

// The product start (simd/product_start.hpp): what one-qubit gates make of |0...0> before anything entangles.
// A rotation of one bit's factor, and the phases of the bit after it:
// (u0, u1) -> (c u0 - s u1, c u1 + s u0) -> (e^{-i p} u0, e^{i p} u1), p half of the angle; of real states phases are
// signs of u1, in phase_cosine.
template <class Real>
struct StartRotation {
  int bit;                            // of the address
  int sample_rotation, sample_phase;  // per-sample: which pair of cos_sin; -1: none
  bool phase;                         // whether there is a shared one
  Real cosine, sine;                  // of a shared rotation
  Real sign;                          // of a per-sample rotation's sine
  Real phase_cosine, phase_sine;
  std::uint32_t accumulator;          // v_x, v_y, v_z (three vectors)
  // Whether v is wanted here, and at an earlier rotation of the bit: [with gradients of per-sample angles]
  bool wanted[2], before[2];
};

// Row (h, l) lies at high[h] ^ low[l], l < 2^low_bits. Tables (complex vectors): the factors of the lanes' bits; the
// products of 0, 1, 2, ... of the low row bits, level k from 2^k on; the same of the high ones; the last level times the
// factors of the lanes.
struct StartRows {
  const Offset *low, *high;
  int lane_bits, low_bits, high_bits;
  std::size_t high_table() const { return std::size_t(2) << low_bits; }
  std::size_t weighted_table() const { return high_table() + (std::size_t(2) << high_bits); }
  std::size_t table_size() const { return weighted_table() + (std::size_t(1) << high_bits); }
};

// Integer angles of `count` masks of the rows of a table: vectors `angles`, each lane with its own sign. `block` has
// room for 2^block_bits vectors, no more than the table has rows.
struct MaskAngles {
  std::size_t count;
  const std::uint32_t* rows;
  const void* angles;
  void* block;
  int block_bits;
};

// The kernels of one instruction set and precision. [lanes]: whether pairs lie in different lanes.
template <class Real>
struct Kernels {
  using Rotate = void (*)(const RotateCall<Real>&, const Operands<Real>&);
  using RotateBack = void (*)(const RotateBackCall<Real>&, const Operands<Real>&);
  using Diagonal = void (*)(const DiagonalCall<Real>&, const Operands<Real>&, const WScratch<Real>&);
  using DiagonalRotate = void (*)(const DiagonalCall<Real>&, const RotateCall<Real>&, const Operands<Real>&);
  using DiagonalRotateBack = void (*)(const DiagonalRotateBackCall<Real>&, const Operands<Real>&);
  int lanes;
  int max_group;
  int max_measured;  // of a group that is measured and not rotated: 4 (shared, none across lanes), else 2
  Rotate rotate[kMaxGroup + 1][kRotationKinds][2];       // [K][kind][lanes]
  RotateBack rotate_back[kMaxRotatedBack + 1][2][2][2];  // [K][per-sample][lanes][with v_x]
  RotateBack measure[kMaxMeasured + 1][2][2];         // [K][lanes][with v_x]: v only
  Diagonal diagonal[kDiagonalKinds][kMaxLaneBits + 1];          // [kind][lane rotations, k of lane bit k]
  Diagonal diagonal_general[kDiagonalKinds];                    // any lane rotations
  Diagonal diagonal_exchange[kDiagonalKinds];                   // none, but an exchange of lanes
  Diagonal diagonal_back[kDiagonalKinds][kMaxLaneBits + 1][2];  // [kind][lane rotations][compressed w]
  Diagonal diagonal_back_general[kDiagonalKinds];
  Diagonal diagonal_back_exchange[kDiagonalKinds][2];           // [kind][compressed w]
  Diagonal diagonal_back_kept[kDiagonalKinds][2];               // psi was kept: [kind][compressed w]
  DiagonalRotate diagonal_rotate[kMaxGroup + 1];                // kept states: [K]
  DiagonalRotateBack diagonal_rotate_back[kMaxGroup + 1];
  // signed sums of w over `bits` coordinates: sums[i] for coordinate i, sums[bits] the total
  void (*tree)(Real* w, int bits, Real* sums);
  void (*walsh)(Real* w, int bits);
  void (*add_sums)(const Real* sums, const SumTarget* targets, std::size_t n, std::uint64_t tile, Real* accumulators,
                   bool fresh);
  void (*observe)(const ObserveCall<Real>&);
  void (*string)(const StringCall<Real>&);
  // cosines and sines of n vectors of half angles, see simd/arithmetic.hpp
  void (*cos_sin)(std::size_t n, const double* half, Real* out);
  // integer angles of n vectors of half angles, two vectors of doubles a vector in single precision
  void (*integer_angles)(std::size_t n, const double* half, void* out);
  void (*integers_of_cycles)(std::size_t n, const double* cycles, void* out);  // of half angles over 2 pi
  // phases e^{-2 pi i a / 2^bits} from integer angles a, see simd/tables.hpp
  void (*scalar_table)(void* angles, int bits, Real scale, Real* table);
  // n of these of tables that fit a vector, their angles a vector each, tables[i] with scales[i]
  void (*scalar_tables)(const void* angles, std::size_t n, int bits, const Real* scales, Real* const* tables);
  void (*vector_table)(const MaskAngles& angles, int bits, Real scale, Real* table);
  void (*product_table)(const void* angles, int bits, const Real* shared, Real* table);
  // gate runs with per-sample angles, see simd/sample_runs.hpp
  void (*sample_euler)(std::size_t n, int count, const std::uint8_t* axes, const Real* gates, Real* rotations,
                       void* alpha, void* gamma);
  void (*sample_chain)(std::size_t n, int count, const std::uint8_t* axes, const Real* gates, const void* gamma,
                       Real* v, Real* along);
  // out[k] += factor[k] * (sum over the first valid_lanes lanes of accumulator index[k]), with lane signs (lane_mask
  // nullptr: none)
  void (*sum_lanes)(const Real* accumulators, const std::uint32_t* index, const std::uint8_t* lane_mask,
                    const double* factor, std::size_t n, int valid_lanes, double* out);
  // of each of `count` samples, 2^lane_bits lanes each: out = sum over rows and its lanes of |a * scale - b|^2
  void (*distances)(const char* a, const char* b, std::size_t rows, double scale, int lane_bits, int count,
                    double* out);
  // The same where b is the product state of `product` over 2^bits rows, never written: first (a vector), then cosines
  // and sines (a vector each) of the rows' bits. scratch: product_scratch(bits) vectors.
  void (*product_distances)(const char* a, int bits, const Real* first, const Real* cos_sin, double scale,
                            int lane_bits, int count, Real* scratch, double* out);
  void (*product)(char* state, std::size_t rows, std::size_t mask, const Real* cosine, const Real* sine);
  // The product start. factors, environments: two complex vectors a bit of the address.
  void (*start_factors)(const StartRotation<Real>* rotations, std::size_t n, int bits, const Real* cos_sin, Real* factors);
  void (*start_tables)(const StartRows& rows, const Real* factors, Real* tables);
  void (*start_state)(const StartRows& rows, const Real* tables, std::size_t first, std::size_t end, char* state);
  void (*start_contract)(const StartRows& rows, const Real* tables, std::size_t first, std::size_t end,
                         const char* bra, Real* m, Real* n);
  void (*start_environments)(const StartRows& rows, const Real* factors, const Real* tables, Real* m, Real* n,
                             int sections, Real* environments);
  void (*start_gradients)(const StartRotation<Real>* rotations, std::size_t n, bool samples, const Real* cos_sin,
                          Real* factors, Real* environments, Real* accumulators);
  void (*start_distances)(const StartRows& rows, const Real* tables, const char* state, double scale, int count,
                          double* out);
};

// Host arithmetic in float64, vectorised; arrays are padded to multiples of 8.
struct Arithmetic {
  void (*sine_cosine)(std::size_t n, const double* angle, double* sine, double* cosine);
  void (*euler)(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine,
                const double* half_cosine, double* alpha, double* gamma, double* cos_half, double* sin_half);
  void (*chain)(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine,
                const double* half_cosine, const double* gamma, double* v, double* along);
};

struct InstructionSet {
  const char* name;
  const Kernels<float>* single;  // complex64
  const Kernels<double>* dual;   // complex128
  const Arithmetic* arithmetic;
};

extern const InstructionSet kBaseline, kAvx2, kAvx512;

// The kernels of real states: rows of one plane, diagonals kNone and kSigns, v_y alone, no w.
struct RealKernelSet {
  const char* name;  // as InstructionSet::name
  const Kernels<float>* single;
  const Kernels<double>* dual;
};

extern const RealKernelSet kRealBaseline, kRealAvx2, kRealAvx512;

}  // namespace qmltrain
