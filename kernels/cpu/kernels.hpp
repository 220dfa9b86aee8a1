// What the host code and the kernels of each instruction set share: plain data and tables of function pointers.
//
// No templates of the standard library here: an object compiled for AVX-512 must not bring along inline functions that
// the linker could pick for the whole program.
//
// Words used throughout
//   row       one vector amplitude: VB bytes of real parts, then VB bytes of imaginary parts, one number a lane
//   lane      sample * 2^b + (the b low qubits); b = 0: sixteen samples side by side, b = 4: one sample
//   offset    a row's position in bytes. Every set of rows is given by XOR of offsets: row sets are cosets over GF(2)
//   psi, lam  the state and the bra-side state lambda = sum_m c_m O_m psi
#pragma once
#include <cstddef>
#include <cstdint>

namespace qmltrain {

using Offset = std::size_t;

constexpr int kMaxGroup = 4;   // qubits rotated in registers at once
constexpr int kMaxLaneBits = 4;
constexpr int kBlockBits = 4;  // rows of an elementwise block: 2^4

// The rows of a rotation group: base(h, l) = high[h] ^ low[l], members of the coset base ^ member[j].
struct Rows {
  const Offset* low;
  const Offset* high;
  const Offset* member;
};

// Where a kernel finds its operands this time. Kernels take what is fixed once the angles are known (the ...Call structs)
// by reference, and the rest in here, so that a call on a small state costs next to nothing.
template <class Real>
struct Place {
  char* psi;
  char* psi_beside;                 // psi, but for kept states: the one after a diagonal (written) or before a layer (read)
  char* lam;                        // backward only
  Offset base;                      // XORed into every row's offset: the tile, or a part of it
  const Real* turn;                 // per-sample rotations: (cosines of the lanes, sines) one after the other
  Real* acc;                        // all accumulators; calls hold indices of vectors into them
  // Units side by side: what above points to is the first one's, the others' follow at these strides (bytes; numbers
  // for turn and acc).
  int units;
  std::size_t psi_stride, lam_stride, turn_stride, acc_stride;
  bool fresh;                       // accumulators are written, not added to
};

// R on K qubits: (x0, x1) -> (x0 - t x1, x1 + t x0) for shared angles (the factor cos is left out, see layout.hpp), and
// (c x0 - s x1, c x1 + s x0) for per-sample ones. Signs are in t already.
template <class Real>
struct RotateCall {
  Rows rows;
  std::uint32_t n_low, n_high;
  const std::uint8_t* member_lane;  // XOR of lanes of member j (groups whose masks reach into the lanes)
  const std::uint8_t* parity_lane;  // lane part of the parity mask of qubit k
  Real t[kMaxGroup];                // shared: tan; per-sample: +-1
  std::uint32_t turn[kMaxGroup];    // per-sample: number of the rotation in Place::turn
};

// Going back: v of K <= 2 qubits from psi and lam, then the inverse rotation of both (or of none: `measure`). Of two
// qubits, twice v is added.
template <class Real>
struct BackwardCall {
  RotateCall<Real> psi;             // t holds the forward value with its sign
  Real y_sign[2];
  std::uint32_t acc[2];             // v_x lanes, then v_y lanes, added to
};

// A rotation whose pairs lie within a row: x -> c x + s' * xor_lanes(x), s' = s * (-1)^bit(lane), lane signs included.
template <class Real>
struct LaneRotation {
  const Real* cosine;               // nullptr: 1
  const Real* sine;
  int lane_xor;
  std::uint32_t low_signs;          // bit i: sign of row i of a block (general kernel only)
  std::uint32_t high_parity;        // parity of (high index & this) flips the sign
  std::uint32_t acc;                // v_x, v_y without lane signs
};

// A layer of kept states going back, see layer_back.hpp.
template <class Real>
struct LayerCall {
  Real t[kMaxGroup];                       // of the inverse rotations: tan with its sign
  std::uint32_t acc[kMaxGroup];            // v_x, v_y
  std::uint32_t sum_acc[kMaxGroup + 1];    // signed sums of w for each coordinate, and the total; 0: not wanted
  const Real* table;                       // re, im of each row
};

// A diagonal, and the lane rotations after it, over the rows of a tile in blocks of up to 16.
template <class Real>
struct ElementwiseCall {
  const Offset *low, *high;
  std::uint32_t n_low, n_high;
  const Real* table;                // scalar: re, im of each row; factor: tables [variant][low] of vectors; vector: rows
  const Real* high_phase;           // factor: re, im of each high index
  const std::uint8_t* variant;      // factor: which table
  Real scale;                       // no diagonal: a plain factor
  // general and exchange kernels only: the lanes of row (h, l) are exchanged by exchange_high[h] ^ exchange_low[l] ^ exchange, between the
  // diagonal and the rotations; nullptr: not at all
  const std::uint8_t *exchange_low, *exchange_high;
  std::uint8_t exchange;
  int n_lane;
  LaneRotation<Real> lane[kMaxLaneBits];
};

// Where the reverse kernels leave w = Im(conj(lam) psi) and its first sums.
template <class Real>
struct Sums {
  Real* w;
  Real* pair_sums;                  // compressed w: signed sums over the two lowest coordinates (2 vectors)
  std::size_t w_stride, stride;     // numbers from unit to unit
};

enum Phase { kNone, kScalar, kFactor, kVector, kPhaseKinds };

// One chunk of rows of the final state: expectations of diagonal strings and lam = sum_m c_m O_m psi.
template <class Real>
struct ObserveCall {
  const char* psi;
  char* lam;                        // nullptr: expectations only
  std::uint32_t bits;               // rows in the chunk: 2^bits
  int n_strings;
  const std::uint32_t* mask;        // row part within the chunk
  const std::uint8_t* lane_mask;
  const std::uint8_t* sign;         // 1: minus, for this chunk
  const Real* weight;               // c_m of the lanes, [m][lane]
  Real* expectation;                // [m][lane] without lane signs, added to; nullptr: not wanted
  Real* work;                       // 2 * 2^bits + bits + 1 vectors
  int units;                        // side by side, at these strides (bytes; numbers for weight and expectation)
  std::size_t psi_stride, lam_stride, weight_stride, expectation_stride;  // weight_stride 0: the same weights for all
};

// One X/Y string over contiguous rows: lam[z] += c * phase * sign(z ^ x) * psi[z ^ x].
template <class Real>
struct StringCall {
  const char* psi;
  char* lam;                        // nullptr: expectation only
  std::size_t first_row, n_rows;
  std::size_t x_row, z_row;
  int x_lane, z_lane;
  int n_y;                          // phase i^n_y
  Real sign;
  const Real* weight;               // nullptr where lam is
  Real* expectation;                // nullptr: not wanted
};

// A signed sum of w over the rows of a tile goes to an accumulator, with the sign of the tile.
struct SumTarget {
  std::uint32_t from;               // vector among the tree's sums, or row of the transformed w
  std::uint32_t acc;
  std::uint64_t tau;                // parity of (tile & tau): minus
};

template <class Real>
struct Kernels {
  int lanes;
  int max_group;
  using Rotate = void (*)(const RotateCall<Real>&, const Place<Real>&);
  using Backward = void (*)(const BackwardCall<Real>&, const Place<Real>&);
  using Elementwise = void (*)(const ElementwiseCall<Real>&, const Place<Real>&, const Sums<Real>&);
  using PhaseRotate = void (*)(const ElementwiseCall<Real>&, const RotateCall<Real>&, const Place<Real>&);
  Rotate rotate[kMaxGroup + 1][2][2];     // [K][per-sample][lanes]
  PhaseRotate phase_rotate[kMaxGroup + 1];
  using LayerBack = void (*)(const LayerCall<Real>&, const Place<Real>&);
  LayerBack layer_back[kMaxGroup + 1];
  Backward backward[3][2][2][2];          // [K][per-sample][lanes][with v_x]
  Backward measure[3][2][2];              // [K][lanes][with v_x]
  Elementwise forward[kPhaseKinds][kMaxLaneBits + 1];
  Elementwise forward_general[kPhaseKinds], forward_exchange[kPhaseKinds];
  Elementwise reverse[kPhaseKinds][kMaxLaneBits + 1][2];  // [..][compressed w]
  Elementwise reverse_general[kPhaseKinds], reverse_exchange[kPhaseKinds][2];
  Elementwise reverse_kept[kPhaseKinds][2];
  // signed sums of w over `bits` coordinates from `first`: sums[i] for coordinate i, sums[n] the total
  void (*tree)(Real* w, int bits, Real* sums);
  void (*walsh)(Real* w, int bits);
  void (*add_sums)(const Real* sums, const SumTarget* targets, std::size_t n, std::uint64_t tile, Real* acc, bool fresh);
  void (*observe)(const ObserveCall<Real>&);
  void (*string)(const StringCall<Real>&);
  // cosines and sines of n vectors of half angles, see arithmetic.hpp
  void (*turns)(std::size_t n, const double* half, Real* out);
  // phases e^{-2 pi i a / 2^bits of Turn}: tables from integer angles, see tables.hpp
  void (*scalar_table)(void* turns, int bits, Real scale, Real* table);
  void (*vector_table)(void* turns, int bits, int lane_bits, Real scale, Real* table);
  // out[k] += factor[k] * sum over the first valid_lanes lanes of acc[index[k]] with lane signs (lane_mask nullptr: none)
  void (*sum_lanes)(const Real* acc, const std::uint32_t* index, const std::uint8_t* lane_mask, const double* factor,
                    std::size_t n, int valid_lanes, double* out);
  double (*distance)(const char* a, const char* b, std::size_t rows, double scale, int lane_first, int lane_count);
  void (*product)(char* state, std::size_t rows, std::size_t mask, const Real* cosine, const Real* sine);
};

// Host arithmetic in float64, vectorised; arrays are padded to multiples of 8.
struct Arithmetic {
  void (*sine_cosine)(std::size_t n, const double* angle, double* sine, double* cosine);
  void (*euler)(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine, const double* half_cosine,
                double* alpha, double* gamma, double* cos_half, double* sin_half);
  void (*chain)(std::size_t n, int n_rotations, const std::uint8_t* axes, const double* half_sine, const double* half_cosine,
                const double* gamma, double* v, double* along);
};

struct InstructionSet {
  const char* name;
  const Kernels<float>* single;
  const Kernels<double>* dual;
  const Arithmetic* arithmetic;
};

extern const InstructionSet kBaseline, kAvx2, kAvx512;

}  // namespace qmltrain
