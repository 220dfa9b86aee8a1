// tile_pass.cuh - executes any plan: ONE kernel for resident circuits (the state is one tile) and for tiled passes.
//
// A block holds a tile of 2^T amplitudes, 16 in each of 2^(T-4) threads: 4 register bits, T-4 thread bits. A block
// basis says which address masks these coordinates stand for (any basis of the tile over GF(2), so a CX costs nothing).
// The circuit is data: records of 12 integers, each
//
//   [exchange to another basis] [table diagonal and CZ signs] [general diagonal] [rotations on the register bits]
//
// Forward runs the records in order on psi. Backward runs them in reverse on psi and the bra, un-applying everything,
// and writes for every rotation the sums v = Im<bra|sigma|psi> right after it, for every phase with a gradient the
// signed sum of w = Im(conj(bra) psi): one row per tile, or one per sample where several samples share a block.
//
// Compiled in three forms, since what a pass does not need costs registers all the same:
//   tile_pass.cu       any record
//   tile_pass_lean.cu  passes without per-sample rotations, general diagonals and sums of w
//   tile_pass_two.cu   the same, forward alone, two samples in each thread: they share coefficients and addresses
//
// grid: tiles (samples x 2^(n-T)), or samples / 2^(T-n) where packed; half of it for two samples. block: 2^(T-4)
// threads. dynamic shared memory: 2^T amplitudes forward; twice that and 2 x warps x 12 Real for two states.
// Records are made in qmltrain/engines/cuda/tiling (records.py has a picture of one) and launched by
// qmltrain.engines.cuda.fused; the twin in NumPy is tests/engines/cuda/tiling/record_executor.py.
#pragma once
#include "diagonals.cuh"
#include "portable.cuh"
#include "rotations.cuh"

constexpr int T = TILE_BITS;
constexpr int THREADS = 1 << (T - 4);
constexpr int LANES = THREADS < 32 ? THREADS : 32;
constexpr int WARPS = THREADS < 32 ? 1 : THREADS / 32;
constexpr unsigned LANE_MASK = THREADS < 32 ? (1u << (THREADS & 31)) - 1u : ~0u;
constexpr unsigned TILE_BYTES = (unsigned)sizeof(Complex) << T;
// blocks wanted on a multiprocessor: 128 registers a thread in single precision (170 where a block is one warp), all
// 255 in double; lean forward 64 in single precision (128 where a block is one warp)
constexpr int at_most(int blocks, int most) { return blocks > most ? most : blocks; }
constexpr int WANTED = sizeof(Real) == 4 ? (T < 13 ? 1 << (13 - T) : 1) : (T < 12 ? 1 << (12 - T) : 1);
constexpr int BLOCKS = at_most(WANTED, 12);
constexpr int LEAN_FORWARD_BLOCKS = sizeof(Real) == 4 ? at_most(1 << (14 - T), 16) : BLOCKS;

// What a step says of the rotations of a record: tan(beta/4), sin(beta/2) of each register, and which sums are taken
// beside v_y and v_z, see Extra.
struct __align__(16) RotationValues {
  Complex shear[4];
  int extra;
};

// Records count addresses; the amplitude of an address stands at a place in memory, a linear map over GF(2) that may be
// another one for the first and the last basis of a pass (see qmltrain.engines.cuda.tiling.placement).
struct PassArguments {
  Complex *psi, *bra;
  const int* record;            // (records, FIELDS), see Record
  const int* exchange_thread;   // (types, 2 sides, THREADS, 2): byte address in shared memory, address of register 0
  const int* exchange_column;   // (types, 2 sides, 4): byte addresses of the register bits
  const int* exchange_tile;     // (types, tile fours, 16, 4): what tile bits add to byte addresses and addresses
  const int* edge_thread;       // (2: first and last basis, THREADS, 2): place in memory and address of register 0
  const int* edge_column;       // (2, 4): places of the register bits
  const int* edge_tile;         // (2, tile fours, 16, 2): what tile bits add to place and address
  const int* pattern;           // CZ signs, see sign_bits
  const int* term;              // lists of general terms: 16 counts, then {mask, angle} sorted by register part
  const Complex* table;         // (tables, THREADS + RATIOS + JOINT), see apply_table
  const RotationValues* rotation;  // (records)
  const Complex* sample_shear;  // (samples, sample_shears): tan(beta/4), sin(beta/2)
  const Real* angle;            // shared angles / 2 pi
  const Real* sample_angle;     // (samples, sample_angles): angles / 2 pi
  Real* sums;                   // [row * row_stride + column * column_stride]
  long long row_stride, column_stride;
  int records, address_bits, tile_count_bits, pack_bits, sample_shears, sample_angles, sum_lanes, start_zero,
      first_tile, tile_fours;   // tile bits are taken four at a time
};

// The fields of a record, in the order of FLAGS, EXCHANGE, ... in records.py. The last four, SAMPLE_SHEAR on, are read
// with the rotations.
struct Record {
  int flags;                            // see Flag
  int exchange;                         // which exchange
  int table, pattern;                   // which table; where its CZ signs start, or -1
  int apply, measure;                   // where the terms start of the general diagonal, and of the sums of w
  int rotation_column, measure_column;  // columns of the sums: of v, of the sums of w
};
constexpr int FIELDS = 12, SAMPLE_SHEAR = 8;
enum Flag {
  HAS_EXCHANGE = 1,
  HAS_TABLE = 2,
  HAS_APPLY = 4,
  MOVES_TILE = 8,  // bits 4..11: rotation of register bit r: 0 none, 1 shared, 3 per sample
  HAS_V = 1 << 12,
  HAS_MEASURE = 1 << 13,
  SECOND_BUFFER = 1 << 14,
  HAS_JOINT = 1 << 15
};

// The sums of a record are 12 columns: v_y of the register bits, v_z, then v_x of those whose bit of `extra` is set or,
// with Z_BEFORE, v_z of all as it is before the rotations. Without either the last four are zero.
enum Extra { Z_BEFORE = 16 };  // bits 0..3: v_x of register bit r

// visit(register index, address) for all 16, in Gray code: one XOR an access, no array of addresses.
template <class Visit> __device__ __forceinline__ void walk(unsigned address, const int4 column, Visit visit) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (i) address ^= (i & 1) ? column.x : (i & 2) ? column.y : (i & 4) ? column.z : column.w;
    visit(i ^ (i >> 1), address);
  }
}
__device__ __forceinline__ Record load_record(const int* fields) {
  const int4 first = load_four(fields), second = load_four(fields + 4);
  return {first.x, first.y, first.z, first.w, second.x, second.y, second.z, second.w};
}

// {place, address} of a thread's register 0 in the first (0) or the last (1) basis of the pass: the thread's part, and
// the tile's.
__device__ __forceinline__ int2 thread_edge(const PassArguments& A, int side, int thread) {
  return __ldg(reinterpret_cast<const int2*>(A.edge_thread) + side * THREADS + thread);
}
__device__ __forceinline__ int2 tile_edge(const PassArguments& A, int side, unsigned tile) {
  int2 sum;
  sum.x = sum.y = 0;
  const int2* table = reinterpret_cast<const int2*>(A.edge_tile) + 16 * side * A.tile_fours;
  unsigned left = tile & ((1u << A.tile_count_bits) - 1u);
#pragma unroll 1
  for (; left; left >>= 4, table += 16) {
    const int2 add = __ldg(table + (left & 15u));
    sum.x ^= add.x;
    sum.y ^= add.y;
  }
  return sum;
}

// Where the state of a tile stands, and the other one: the bra, or the state of the next sample.
template <bool BACKWARD, bool TWO>
__device__ __forceinline__ void homes(const PassArguments& A, unsigned tile, Complex*& psi, Complex*& other) {
  const size_t amplitudes = (size_t)1 << (A.address_bits + A.pack_bits);
  const size_t base = (size_t)(tile >> A.tile_count_bits) * (TWO && !BACKWARD ? 2 * amplitudes : amplitudes);
  psi = as_it_stands(A.psi + base);
  if (TWO) other = as_it_stands(BACKWARD ? A.bra + base : A.psi + base + amplitudes);
}

// Two states side by side in shared memory, so that one access moves both: 16 bytes in single precision. In double
// precision, where that is not possible, TILE_BYTES apart.
__device__ __forceinline__ void put_two(char* place, float2 psi, float2 other) {
  *reinterpret_cast<float4*>(place) = make_float4(psi.x, psi.y, other.x, other.y);
}
__device__ __forceinline__ void put_two(char* place, double2 psi, double2 other) {
  *reinterpret_cast<double2*>(place) = psi;
  *reinterpret_cast<double2*>(place + TILE_BYTES) = other;
}
__device__ __forceinline__ void take_two(const char* place, float2& psi, float2& other) {
  const float4 both = *reinterpret_cast<const float4*>(place);
  psi.x = both.x;
  psi.y = both.y;
  other.x = both.z;
  other.y = both.w;
}
__device__ __forceinline__ void take_two(const char* place, double2& psi, double2& other) {
  psi = *reinterpret_cast<const double2*>(place);
  other = *reinterpret_cast<const double2*>(place + TILE_BYTES);
}

// On register bit R: going back v_y, and v_x where wanted, then the rotation or its inverse of all states.
template <int R, bool BACKWARD, bool TWO, class Coefficients>
__device__ __forceinline__ void rotation(Complex* psi, Complex* other, int flags, int extra,
                                         const Coefficients& coefficients, Real* y, Real* x) {
  if (BACKWARD) y[R] = x[R] = 0;
  if (!(flags >> (4 + 2 * R) & 1)) return;
  if (BACKWARD && (flags & HAS_V)) {
    y[R] = y_sum<R>(psi, other);
    if (extra >> R & 1) x[R] = x_sum<R>(psi, other);
  }
  const Complex found = coefficients(R);
  const Real a = BACKWARD ? -found.x : found.x, b = BACKWARD ? -found.y : found.y;
  rotate<R>(psi, a, b);
  if (TWO) rotate<R>(other, a, b);
}

// LEAN: without what only some passes need. TWO: `other` is a state of its own, the bra going back, else that of
// another sample.
template <bool BACKWARD, bool LEAN, bool TWO> __device__ __forceinline__ void tile_pass(const PassArguments& A) {
  DYNAMIC_SHARED(char, shared);
  Real* reduction = reinterpret_cast<Real*>(shared + 2 * TILE_BYTES);  // [2][WARPS][12], backward only
  const int thread = threadIdx.x, lane = thread & (LANES - 1), warp = thread / LANES;
  const unsigned tile = blockIdx.x + (unsigned)A.first_tile;
  Complex psi[16], other[16];
  const int2 of_tile = tile_edge(A, BACKWARD, tile), of_thread = thread_edge(A, BACKWARD, thread);
  unsigned tile_address = (unsigned)of_tile.y;
  unsigned address = tile_address ^ (unsigned)of_thread.y;  // of register 0
  {
    Complex *home, *other_home;
    homes<BACKWARD, TWO>(A, tile, home, other_home);
    const int4 column = load_four(A.edge_column + (BACKWARD ? 4 : 0));
    const unsigned place = (unsigned)(of_tile.x ^ of_thread.x);
    if (!BACKWARD && A.start_zero) {
      const unsigned within = (1u << A.address_bits) - 1u;
      walk(place, column, [&](int j, unsigned z) {
        psi[j].x = (z & within) ? Real(0) : Real(1);
        psi[j].y = 0;
        if (TWO) other[j] = psi[j];
      });
    } else {
      walk(place, column, [&](int j, unsigned z) {
        psi[j] = __ldcs(home + z);  // read once: tables stay in the cache
        if (TWO) other[j] = __ldcs(other_home + z);
      });
    }
  }
  for (int k = BACKWARD ? A.records - 1 : 0; BACKWARD ? k >= 0 : k < A.records; k += BACKWARD ? -1 : 1) {
    const int* fields = A.record + FIELDS * (size_t)k;
    const Record record = load_record(fields);
    const int flags = record.flags;
    // since the exchange buffer was last read there was a block barrier: that of the sums of the rotations
    const bool synchronised = BACKWARD && WARPS > 1 && (flags & HAS_V);

    auto exchange = [&]() {
      constexpr int WRITE = BACKWARD ? 1 : 0;
      const unsigned type = (unsigned)record.exchange;
      const int2* table = as_it_stands(reinterpret_cast<const int2*>(A.exchange_thread) + type * (size_t)(2 * THREADS));
      table += (unsigned)thread;
      const int* column = as_it_stands(A.exchange_column) + type * (size_t)8;
      const int2 read = __ldg(table + (1 - WRITE) * THREADS);
      unsigned write_address = __ldg(table + WRITE * THREADS).x, read_address = read.x;
      if (flags & MOVES_TILE) {  // the new basis counts its addresses from another one in the same tile
        tile_address = 0;
        const int* moved = A.exchange_tile + 64 * (type * A.tile_fours);
        unsigned left = tile & ((1u << A.tile_count_bits) - 1u);
#pragma unroll 1
        for (; left; left >>= 4, moved += 64) {
          const int4 add = load_four(moved + 4 * (left & 15u));
          write_address ^= (unsigned)(BACKWARD ? add.y : add.x);
          read_address ^= (unsigned)(BACKWARD ? add.x : add.y);
          tile_address ^= (unsigned)(BACKWARD ? add.z : add.w);
        }
      }
      if (!synchronised || (!LEAN && (flags & HAS_MEASURE))) __syncthreads();
      walk(write_address, load_four(column + 4 * WRITE), [&](int j, unsigned a) {
        if (TWO)
          put_two(shared + a, psi[j], other[j]);
        else
          *reinterpret_cast<Complex*>(shared + a) = psi[j];
      });
      __syncthreads();
      walk(read_address, load_four(column + 4 * (1 - WRITE)), [&](int j, unsigned a) {
        if (TWO)
          take_two(shared + a, psi[j], other[j]);
        else
          psi[j] = *reinterpret_cast<const Complex*>(shared + a);
      });
      address = (unsigned)read.y ^ tile_address;
    };

    auto table_diagonal = [&]() {
      const Complex* table = as_it_stands(A.table + (size_t)record.table * (THREADS + RATIOS + JOINT));
      apply_table<BACKWARD, TWO>(psi, other, __ldg(table + (unsigned)thread), table + THREADS, A.pattern,
                                 record.pattern, address);
      if (flags & HAS_JOINT) apply_joint<BACKWARD, TWO>(psi, other, table + THREADS + RATIOS);
    };

    auto measure = [&]() {  // signed sums of w, one per term
      const int* counts = A.term + record.measure;
      const int* term = counts + 16;
      const size_t row = ((size_t)tile << A.pack_bits) + (address >> A.address_bits);
      Real values[16];
#pragma unroll
      for (int j = 0; j < 16; ++j) values[j] = w_of(other[j], psi[j]);
      walsh_hadamard(values);
      Real* partial = reinterpret_cast<Real*>(shared);  // [term][warp]: the exchange buffer, free here
      if (WARPS > 1 && !synchronised) __syncthreads();
      int column = 0;
#pragma unroll
      for (int s = 0; s < 16; ++s)
#pragma unroll 1
        for (int count = __ldg(counts + s); count; --count, term += 2, ++column) {
          Real sum = parity(address & __ldg(term)) ? -values[s] : values[s];
#pragma unroll
          for (int step = 1; step < LANES; step <<= 1)
            if (A.sum_lanes & step) sum += __shfl_xor_sync(LANE_MASK, sum, step);
          if (!(lane & A.sum_lanes)) {
            if (WARPS == 1)
              A.sums[row * A.row_stride + (record.measure_column + column) * A.column_stride] = sum;
            else
              partial[column * WARPS + warp] = sum;
          }
        }
      if (WARPS > 1) {
        __syncthreads();
        for (int c = thread; c < column; c += THREADS) {
          Real sum = 0;
#pragma unroll
          for (int w = 0; w < WARPS; ++w) sum += partial[c * WARPS + w];
          A.sums[row * A.row_stride + (record.measure_column + c) * A.column_stride] = sum;
        }
      }
    };

    auto general_diagonal = [&]() {
      const int* counts = A.term + record.apply;
      const int* term = counts + 16;
      const size_t sample = (((size_t)tile << A.pack_bits) + (address >> A.address_bits)) >> A.tile_count_bits;
      const Real* sample_angle = A.sample_angle + sample * A.sample_angles;
      Real values[16];
#pragma unroll
      for (int s = 0; s < 16; ++s) {
        Real sum = 0;
#pragma unroll 1
        for (int count = __ldg(counts + s); count; --count, term += 2) {
          const int angle = __ldg(term + 1);  // negative: per sample
          const Real value = angle < 0 ? __ldg(sample_angle + (angle & 0x7fffffff)) : __ldg(A.angle + angle);
          sum += parity(address & __ldg(term)) ? -value : value;
        }
        values[s] = sum;
      }
      walsh_hadamard(values);
      apply_phases<BACKWARD>(psi, other, values);
    };

    auto rotations = [&]() {
      const RotationValues* values = A.rotation + (unsigned)k;
      constexpr bool BY_SAMPLE = WARPS == 1 && LANES < 32;  // a warp may always work for several samples
      Complex shared_coefficients[4];
      load_four(values->shear, shared_coefficients);
      const auto coefficients = [&](int r) {
        if (LEAN || !(flags >> (4 + 2 * r) & 2)) return shared_coefficients[r];
        const size_t sample = (((size_t)tile << A.pack_bits) + (address >> A.address_bits)) >> A.tile_count_bits;
        return __ldg(A.sample_shear + sample * A.sample_shears + __ldg(fields + SAMPLE_SHEAR + r));
      };
      Real y[4], z[4], x[4], z_of_warp = 0;
      int extra = 0;
      if (BACKWARD && (flags & HAS_V)) {
        extra = __ldg(&values->extra);
        z_sums(psi, other, z);
        if (!BY_SAMPLE && !(WARPS == 1 && A.pack_bits)) z_of_warp = warp_sums(z, lane);
      }
      rotation<0, BACKWARD, TWO>(psi, other, flags, extra, coefficients, y, x);
      rotation<1, BACKWARD, TWO>(psi, other, flags, extra, coefficients, y, x);
      rotation<2, BACKWARD, TWO>(psi, other, flags, extra, coefficients, y, x);
      rotation<3, BACKWARD, TWO>(psi, other, flags, extra, coefficients, y, x);
      if (!BACKWARD || !(flags & HAS_V)) return;
      if (extra & Z_BEFORE) z_sums(psi, other, x);
      const auto column = [&](int i) -> Real& {
        const size_t row = ((size_t)tile << A.pack_bits) + (address >> A.address_bits);
        return A.sums[row * A.row_stride + (record.rotation_column + i) * A.column_stride];
      };
      if (BY_SAMPLE || (WARPS == 1 && A.pack_bits)) {  // a row per sample: butterfly over the lanes of one sample
#pragma unroll
        for (int i = 0; i < 12; ++i) {
          Real sum = i < 4 ? y[i & 3] : i < 8 ? z[i & 3] : x[i & 3];
#pragma unroll
          for (int step = 1; step < LANES; step <<= 1)
            if (A.sum_lanes & step) sum += __shfl_xor_sync(LANE_MASK, sum, step);
          if (!(lane & A.sum_lanes)) column(i) = sum;
        }
        return;
      }
      const Real y_of_warp = warp_sums(y, lane), mine = lane & 4 ? z_of_warp : y_of_warp;
      const int which = (lane & 4) + (lane >> 3);
      // two buffers, used alternately: one barrier a record is enough
      Real* buffer = reduction + (flags & SECOND_BUFFER ? WARPS * 12 : 0);
      if (!(lane & 3)) (WARPS == 1 ? column(which) : buffer[warp * 12 + which]) = mine;
      if (extra) {
        const Real mine_x = warp_sums(x, lane);
        if (!(lane & 7)) (WARPS == 1 ? column(8 + (lane >> 3)) : buffer[warp * 12 + 8 + (lane >> 3)]) = mine_x;
      }
      if (WARPS == 1) {
        if (!extra && lane < 4) column(8 + lane) = 0;
        return;
      }
      __syncthreads();
      if (warp == (k & (WARPS - 1)) && lane < 12) {
        Real sum = 0;
        if (lane < 8 || extra) {
#pragma unroll
          for (int w = 0; w < WARPS; ++w) sum += buffer[w * 12 + lane];
        }
        column(lane) = sum;
      }
    };

    if (!BACKWARD) {
      if (flags & HAS_EXCHANGE) exchange();
      if (flags & HAS_TABLE) table_diagonal();
      if (!LEAN && (flags & HAS_APPLY)) general_diagonal();
      rotations();
    } else {
      rotations();
      if (!LEAN && (flags & HAS_MEASURE)) measure();
      if (!LEAN && (flags & HAS_APPLY)) general_diagonal();
      if (flags & HAS_TABLE) table_diagonal();
      if (flags & HAS_EXCHANGE) exchange();
    }
  }
  Complex *home, *other_home;
  homes<BACKWARD, TWO>(A, as_it_stands(tile), home, other_home);
  const int4 column = load_four(A.edge_column + (BACKWARD ? 0 : 4));
  __syncthreads();  // a thread may store where another has loaded
  const unsigned place = (unsigned)(tile_edge(A, !BACKWARD, tile).x ^ thread_edge(A, !BACKWARD, thread).x);
  walk(place, column, [&](int j, unsigned z) {
    __stcs(home + z, psi[j]);
    if (TWO) __stcs(other_home + z, other[j]);
  });
}
