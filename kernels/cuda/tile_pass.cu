// tile_pass.cu - executes any plan: ONE kernel for resident circuits (the state is one tile) and for tiled passes.
//
// A block holds a tile of 2^T amplitudes, 16 in each of 2^(T-4) threads: 4 register bits, T-4 thread bits. A block
// basis says which address masks these coordinates stand for (any basis of the tile over GF(2), so a CX costs nothing).
// The circuit is data: records of 12 integers, each
//
//   [exchange to another basis] [table diagonal and CZ signs] [general diagonal] [rotations on the register bits]
//
// Forward runs the records in order on psi. Backward runs them in reverse on psi and the bra, un-applying everything,
// and writes for every rotation the twelve sums v = Im<bra|sigma|psi> right after it, for every phase with a gradient
// the signed sum of w = Im(conj(bra) psi): one row per tile, or one per sample where several samples share a block.
//
// grid: tiles (samples x 2^(n-T)), or samples / 2^(T-n) where packed; block: 2^(T-4) threads.
// dynamic shared memory: 2^T amplitudes forward; twice that and 2 x warps x 12 Real backward.
// Records are made in qmltrain/engines/cuda/tiling (records.py has a picture of one) and launched by
// qmltrain.engines.cuda.fused; the twin in NumPy is tests/engines/cuda/tiling/record_executor.py.
#include "diagonals.cuh"
#include "portable.cuh"
#include "rotations.cuh"

constexpr int T = TILE_BITS;
constexpr int THREADS = 1 << (T - 4);
constexpr int LANES = THREADS < 32 ? THREADS : 32;
constexpr int WARPS = THREADS < 32 ? 1 : THREADS / 32;
constexpr unsigned LANE_MASK = THREADS < 32 ? (1u << (THREADS & 31)) - 1u : ~0u;
constexpr unsigned TILE_BYTES = (unsigned)sizeof(Complex) << T;
// blocks wanted on an SM: 128 registers a thread in single precision (170 where a block is one warp), all 255 in double
constexpr int WANTED = sizeof(Real) == 4 ? (T < 13 ? 1 << (13 - T) : 1) : (T < 12 ? 1 << (12 - T) : 1);
constexpr int BLOCKS = WANTED > 12 ? 12 : WANTED;

// Records count addresses; the amplitude of an address stands at a place in memory, a linear map over GF(2) that may be
// another one for the first and the last basis of a pass (see qmltrain.engines.cuda.tiling.placement).
struct PassArguments {
  Complex *psi, *bra;
  const int* record;            // (records, FIELDS), see Record
  const int* exchange_thread;   // (types, 2 sides, THREADS, 2): byte address in shared memory, address of register 0
  const int* exchange_column;   // (types, 2 sides, 4): byte addresses of the register bits
  const int* exchange_tile;     // (types, tile bits, 4): what a tile bit adds to byte address and address, both sides
  const int* edge_thread;       // (2: first and last basis, THREADS, 2): place in memory and address of register 0
  const int* edge_column;       // (2, 4): places of the register bits
  const int* edge_tile;         // (2, tile bits, 2): what a tile bit adds to place and address
  const int* pattern;           // CZ signs, see sign_bits
  const int* term;              // lists of general terms: 16 counts, then {mask, angle} sorted by register part
  const Complex* table;         // (tables, THREADS + 16)
  const Complex* shear;         // (records, 4): tan(beta/4), sin(beta/2)
  const Complex* sample_shear;  // (samples, sample_shears): the same
  const Real* angle;            // shared angles / 2 pi
  const Real* sample_angle;     // (samples, sample_angles): angles / 2 pi
  Real* sums;                   // [row * row_stride + column * column_stride]
  long long row_stride, column_stride;
  int records, address_bits, tile_count_bits, pack_bits, sample_shears, sample_angles, sum_lanes, start_zero,
      first_tile, padding;
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
  SECOND_BUFFER = 1 << 14
};

// visit(register index, address) for all 16, in Gray code: one XOR an access, no array of addresses.
template <class Visit> __device__ __forceinline__ void walk(unsigned address, const int4 column, Visit visit) {
#pragma unroll
  for (int i = 0; i < 16; ++i) {
    if (i) address ^= (i & 1) ? column.x : (i & 2) ? column.y : (i & 4) ? column.z : column.w;
    visit(i ^ (i >> 1), address);
  }
}
__device__ __forceinline__ int4 load_four(const int* address) { return __ldg(reinterpret_cast<const int4*>(address)); }
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
#pragma unroll 1
  for (int i = 0; i < A.tile_count_bits; ++i) {
    const int2 add = __ldg(reinterpret_cast<const int2*>(A.edge_tile) + side * A.tile_count_bits + i);
    const int on = -(int)(tile >> i & 1u);
    sum.x ^= on & add.x;
    sum.y ^= on & add.y;
  }
  return sum;
}

// v_x and v_y where wanted, then the rotation or its inverse, on register bit R.
template <int R, bool BACKWARD>
__device__ __forceinline__ void rotation(Complex* psi, Complex* bra, int flags, const Complex* shared,
                                         const Complex* sample, int sample_column, Real* sums) {
  const int kind = flags >> (4 + 2 * R) & 3;
  if (BACKWARD) sums[3 * R] = sums[3 * R + 1] = 0;
  if (!kind) return;
  if (BACKWARD && (flags & HAS_V)) pair_sums<R>(psi, bra, sums);
  const Complex coefficients = __ldg(kind == 3 ? sample + sample_column : shared + R);
  const Real a = BACKWARD ? -coefficients.x : coefficients.x, b = BACKWARD ? -coefficients.y : coefficients.y;
  rotate<R>(psi, a, b);
  if (BACKWARD) rotate<R>(bra, a, b);
}

template <bool BACKWARD> __device__ __forceinline__ void tile_pass(const PassArguments& A) {
  DYNAMIC_SHARED(char, shared);
  Real* reduction = reinterpret_cast<Real*>(shared + 2 * TILE_BYTES);  // [2][WARPS][12], backward only
  const int thread = threadIdx.x, lane = thread & (LANES - 1), warp = thread / LANES;
  const unsigned tile = blockIdx.x + (unsigned)A.first_tile;
  Complex psi[16], bra[16];
  const int2 of_tile = tile_edge(A, BACKWARD, tile), of_thread = thread_edge(A, BACKWARD, thread);
  unsigned tile_address = (unsigned)of_tile.y;
  unsigned address = tile_address ^ (unsigned)of_thread.y;  // of register 0
  const size_t base = (size_t)(tile >> A.tile_count_bits) << (A.address_bits + A.pack_bits);
  {
    const int4 column = load_four(A.edge_column + (BACKWARD ? 4 : 0));
    const unsigned place = (unsigned)(of_tile.x ^ of_thread.x);
    if (!BACKWARD && A.start_zero) {
      const unsigned within = (1u << A.address_bits) - 1u;
      walk(place, column, [&](int j, unsigned z) {
        psi[j].x = (z & within) ? Real(0) : Real(1);
        psi[j].y = 0;
      });
    } else {
      const Complex *from = A.psi + base, *from_bra = A.bra + base;
      walk(place, column, [&](int j, unsigned z) {
        psi[j] = from[z];
        if (BACKWARD) bra[j] = from_bra[z];
      });
    }
  }
  int current_pattern = -1;
  unsigned signs = 0;
  for (int k = BACKWARD ? A.records - 1 : 0; BACKWARD ? k >= 0 : k < A.records; k += BACKWARD ? -1 : 1) {
    const int* fields = A.record + FIELDS * (size_t)k;
    const Record record = load_record(fields);
    const int flags = record.flags;
    bool synchronised = false;  // a block barrier since the exchange buffer was last read

    auto exchange = [&]() {
      constexpr int WRITE = BACKWARD ? 1 : 0;
      const size_t type = (size_t)record.exchange;
      const int2* table = reinterpret_cast<const int2*>(A.exchange_thread) + type * 2 * THREADS + thread;
      const int* column = A.exchange_column + 8 * type;
      const int2 read = __ldg(table + (1 - WRITE) * THREADS);
      unsigned write_address = __ldg(table + WRITE * THREADS).x, read_address = read.x;
      if (flags & MOVES_TILE) {  // the new basis counts its addresses from another one in the same tile
        tile_address = 0;
#pragma unroll 1
        for (int i = 0; i < A.tile_count_bits; ++i) {
          const int4 add = load_four(A.exchange_tile + 4 * (type * A.tile_count_bits + i));
          const unsigned on = 0u - (tile >> i & 1u);
          write_address ^= on & (unsigned)(BACKWARD ? add.y : add.x);
          read_address ^= on & (unsigned)(BACKWARD ? add.x : add.y);
          tile_address ^= on & (unsigned)(BACKWARD ? add.z : add.w);
        }
      }
      if (!synchronised) __syncthreads();
      walk(write_address, load_four(column + 4 * WRITE), [&](int j, unsigned a) {
        *reinterpret_cast<Complex*>(shared + a) = psi[j];
        if (BACKWARD) *reinterpret_cast<Complex*>(shared + TILE_BYTES + a) = bra[j];
      });
      __syncthreads();
      walk(read_address, load_four(column + 4 * (1 - WRITE)), [&](int j, unsigned a) {
        psi[j] = *reinterpret_cast<Complex*>(shared + a);
        if (BACKWARD) bra[j] = *reinterpret_cast<Complex*>(shared + TILE_BYTES + a);
      });
      address = (unsigned)read.y ^ tile_address;
    };

    auto table_diagonal = [&]() {
      const Complex* table = A.table + (size_t)record.table * (THREADS + 16);
      if (record.pattern != current_pattern) {  // a pattern belongs to one basis, so equal patterns mean equal signs
        current_pattern = record.pattern;
        signs = current_pattern < 0 ? 0u : sign_bits(A.pattern + current_pattern, address);
      }
      apply_table<BACKWARD>(psi, bra, __ldg(table + thread), table + THREADS, signs);
    };

    auto measure = [&]() {  // signed sums of w, one per term
      const int* counts = A.term + record.measure;
      const int* term = counts + 16;
      const size_t row = ((size_t)tile << A.pack_bits) + (address >> A.address_bits);
      Real values[16];
#pragma unroll
      for (int j = 0; j < 16; ++j) values[j] = w_of(bra[j], psi[j]);
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
        synchronised = false;  // the buffer is read until the next barrier
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
      apply_phases<BACKWARD>(psi, bra, values);
    };

    auto rotations = [&]() {
      Real sums[12];
      if (BACKWARD && (flags & HAS_V)) z_sums(psi, bra, sums);
      const int4 columns = load_four(fields + SAMPLE_SHEAR);
      const Complex* coefficients = A.shear + 4 * (size_t)k;
      const Complex* sample =
          A.sample_shear +
          ((((size_t)tile << A.pack_bits) + (address >> A.address_bits)) >> A.tile_count_bits) * A.sample_shears;
      rotation<0, BACKWARD>(psi, bra, flags, coefficients, sample, columns.x, sums);
      rotation<1, BACKWARD>(psi, bra, flags, coefficients, sample, columns.y, sums);
      rotation<2, BACKWARD>(psi, bra, flags, coefficients, sample, columns.z, sums);
      rotation<3, BACKWARD>(psi, bra, flags, coefficients, sample, columns.w, sums);
      if (!BACKWARD || !(flags & HAS_V)) return;
      const size_t row = ((size_t)tile << A.pack_bits) + (address >> A.address_bits);
      if (WARPS == 1 && (LANES < 32 || A.pack_bits)) {  // a row per sample: butterfly over the lanes of one sample
#pragma unroll
        for (int i = 0; i < 12; ++i) {
#pragma unroll
          for (int step = 1; step < LANES; step <<= 1)
            if (A.sum_lanes & step) sums[i] += __shfl_xor_sync(LANE_MASK, sums[i], step);
          if (!(lane & A.sum_lanes))
            A.sums[row * A.row_stride + (record.rotation_column + i) * A.column_stride] = sums[i];
        }
        return;
      }
      reduce_twelve(sums, lane);
      const int i = lane & 7, which = (lane >> 3) * 3 + i;
      const Real mine = i == 0 ? sums[0] : i == 1 ? sums[1] : sums[2];
      if (WARPS == 1) {
        if (i < 3) A.sums[row * A.row_stride + (record.rotation_column + which) * A.column_stride] = mine;
        return;
      }
      // two buffers, used alternately: one barrier a record is enough
      Real* buffer = reduction + (flags & SECOND_BUFFER ? WARPS * 12 : 0);
      if (i < 3) buffer[warp * 12 + which] = mine;
      __syncthreads();
      synchronised = true;
      if (warp == (k & (WARPS - 1)) && lane < 12) {
        Real sum = 0;
#pragma unroll
        for (int w = 0; w < WARPS; ++w) sum += buffer[w * 12 + lane];
        A.sums[row * A.row_stride + (record.rotation_column + lane) * A.column_stride] = sum;
      }
    };

    if (!BACKWARD) {
      if (flags & HAS_EXCHANGE) exchange();
      if (flags & HAS_TABLE) table_diagonal();
      if (flags & HAS_APPLY) general_diagonal();
      rotations();
    } else {
      rotations();
      if (flags & HAS_MEASURE) measure();
      if (flags & HAS_APPLY) general_diagonal();
      if (flags & HAS_TABLE) table_diagonal();
      if (flags & HAS_EXCHANGE) exchange();
    }
  }
  const int4 column = load_four(A.edge_column + (BACKWARD ? 0 : 4));
  Complex *to = A.psi + base, *to_bra = A.bra + base;
  __syncthreads();  // a thread may store where another has loaded
  const unsigned place = (unsigned)(tile_edge(A, !BACKWARD, tile).x ^ thread_edge(A, !BACKWARD, thread).x);
  walk(place, column, [&](int j, unsigned z) {
    to[z] = psi[j];
    if (BACKWARD) to_bra[z] = bra[j];
  });
}

KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_forward(const PassArguments arguments) {
  tile_pass<false>(arguments);
}
KERNEL __launch_bounds__(THREADS, BLOCKS) tile_pass_backward(const PassArguments arguments) {
  tile_pass<true>(arguments);
}
EXPORT_KERNEL(tile_pass_forward)
EXPORT_KERNEL(tile_pass_backward)
