"""Records and their tables executed in NumPy, block by block: the twin of kernels/cuda/tile_pass.cuh, forward only.

It reads the same integers as the kernel and knows nothing of block bases: an exchange writes to and reads from the byte
addresses of the tables.
"""

from __future__ import annotations

import numpy as np

from qmltrain.engines.cuda.tiling import records as r
from qmltrain.engines.cuda.tiling.records import RecordProgram

_GRAY = [i ^ (i >> 1) for i in range(16)]


def _parity(values: np.ndarray) -> np.ndarray:
    return np.bitwise_count(values.astype(np.uint32)) & 1


def _walk(start: np.ndarray, column: np.ndarray) -> np.ndarray:
    """(threads, 16) addresses: start XOR the columns of the register bits that are set."""
    register = np.arange(16)
    step = np.zeros(16, dtype=np.int64)
    for bit in range(4):
        step ^= (register >> bit & 1) * int(column[bit])
    return start[:, None] ^ step[None]


def execute(
    program: RecordProgram, psi_BN: np.ndarray, shared: np.ndarray, betas: np.ndarray, sample: np.ndarray,
    sample_betas: np.ndarray, amplitude_bytes: int = 16,
) -> np.ndarray:  # fmt: skip
    """All passes on states (B, 2^address_bits) complex, forward; the result in the order of addresses.

    `shared`: the numbered angles in radians; `betas`: the rotation angle of every entry of the pool of coefficients;
    `sample`, `sample_betas`: (B, columns) per-sample angles, at least one column.
    """
    batch = len(psi_BN)
    packed = 1 << program.pack_bits
    samples = -(-batch // packed) * packed
    state = np.zeros((samples, 1 << program.address_bits), dtype=complex)
    state[:batch] = psi_BN
    flat = state.reshape(-1)
    for one in program.passes:
        for block in range(len(flat) >> program.tile_bits):
            _block(program, one, block, flat, shared, betas, sample, sample_betas, amplitude_bytes)
    order = [program.placement.of(address) for address in range(1 << program.address_bits)]
    return state[:batch, order]


def _block(program, one, block, flat, shared, betas, sample, sample_betas, amplitude_bytes):  # noqa: ANN001, ANN202
    bits, count_bits = program.address_bits, program.tile_count_bits
    tile_bits_set = [k for k in range(count_bits) if block >> k & 1]
    base = (block >> count_bits) << (bits + program.pack_bits)
    offset = 0
    for k in tile_bits_set:
        offset ^= int(program.edge_tile[one.edge, 0, *_of_bit(k), 1])
    address = program.edge_thread[one.edge, 0, :, 1].astype(np.int64) ^ offset
    psi = flat[base + _places(program, one, 0, tile_bits_set)]
    for k in range(one.first_record, one.first_record + one.records):
        record = program.records_K[k]
        flags = int(record[r.FLAGS])
        if flags & r.HAS_EXCHANGE:
            psi, address, offset = _exchange(program, record, psi, offset, tile_bits_set, amplitude_bytes)
        if flags & r.HAS_TABLE:
            psi = psi * _table(program, record, address, shared)
        # which sample a thread works for: packed samples stand above the address bits
        who = np.minimum(((block << program.pack_bits) + (address >> bits)) >> count_bits, len(sample) - 1)
        if flags & r.HAS_APPLY:
            psi = psi * np.exp(-0.5j * _general(program, int(record[r.APPLY]), address, shared, sample[who]))
        for register in range(4):
            kind = flags >> (4 + 2 * register) & 3
            if kind:
                own = sample_betas[who, record[r.SAMPLE_SHEAR + register]]
                beta = own if kind == r.SAMPLE_ROTATION else np.full(len(psi), betas[4 * k + register])
                psi = _rotate(psi, register, beta)
    flat[base + _places(program, one, 1, tile_bits_set)] = psi


def _of_bit(k: int) -> tuple[int, int]:
    """Where a table of tile bits by fours has tile bit k alone."""
    return k // 4, 1 << k % 4


def _places(program, one, side, tile_bits_set):  # noqa: ANN001, ANN202
    """(threads, 16) places in memory of a block's amplitudes, in the first or the last basis."""
    place = program.edge_thread[one.edge, side, :, 0].astype(np.int64)
    for k in tile_bits_set:
        place ^= int(program.edge_tile[one.edge, side, *_of_bit(k), 0])
    return _walk(place, program.edge_column[one.edge, side])


def _exchange(program, record, psi, offset, tile_bits_set, amplitude_bytes):  # noqa: ANN001, ANN202
    kind = int(record[r.EXCHANGE])
    write = program.exchange_thread[kind, 0, :, 0].astype(np.int64)
    read = program.exchange_thread[kind, 1, :, 0].astype(np.int64)
    if int(record[r.FLAGS]) & r.MOVES_TILE:
        offset = 0
        for k in tile_bits_set:
            before, after, _, there = (int(v) for v in program.exchange_tile[kind, *_of_bit(k)])
            write, read, offset = write ^ before, read ^ after, offset ^ there
    memory = np.full(amplitude_bytes << program.tile_bits, np.nan, dtype=complex)
    places = _walk(write, program.exchange_column[kind, 0])
    assert len(np.unique(places)) == places.size
    memory[places] = psi
    address = program.exchange_thread[kind, 1, :, 1].astype(np.int64) ^ offset
    return memory[_walk(read, program.exchange_column[kind, 1])], address, offset


def _table(program, record, address, shared):  # noqa: ANN001, ANN202
    first, count, joint, _ = (int(v) for v in program.table_range[record[r.TABLE]])
    thread, register = np.arange(len(address)), np.arange(16)
    phase = np.zeros((len(address), 16))
    for coordinates, number in program.table_entry[first : first + count]:
        if coordinates & 15:
            phase += (shared[number] * (1.0 - 2.0 * _parity(register & coordinates)))[None]
        else:
            phase += (shared[number] * (1.0 - 2.0 * _parity(thread & (coordinates >> 4))))[:, None]
    bits = np.broadcast_to(joint >> register & 1, phase.shape)
    if joint:
        assert int(record[r.FLAGS]) & r.HAS_JOINT
    if record[r.PATTERN] >= 0:
        pattern = program.pattern[record[r.PATTERN] :].astype(np.int64)
        odd = np.zeros(len(address), dtype=np.int64)
        for i in range(2 + pattern[3]):
            odd ^= _parity(address & (address >> pattern[8 + 2 * i]) & pattern[9 + 2 * i])
        bits = bits ^ odd[:, None]
        for bit in range(4):
            bits = bits ^ (_parity(address & pattern[4 + bit])[:, None] & (register >> bit & 1)[None])
        for bit in range(3):
            bits = bits ^ ((pattern[bit] != 0) & (register >> bit & register >> bit + 1 & 1))[None]
    return (1.0 - 2.0 * bits) * np.exp(-0.5j * phase)


def _general(program, place, address, shared, sample):  # noqa: ANN001, ANN202
    """(threads, 16) angles of a list of general terms."""
    counts = program.term[place : place + 16]
    position = place + 16
    angle = np.zeros((len(address), 16))
    for part, count in enumerate(counts):
        register_sign = 1.0 - 2.0 * _parity(np.arange(16) & part)
        for _ in range(count):
            mask, number = (int(v) for v in program.term[position : position + 2])
            value = sample[:, number & 0x7FFFFFFF] if number < 0 else np.full(len(address), shared[number])
            angle += ((1.0 - 2.0 * _parity(address & mask)) * value)[:, None] * register_sign[None]
            position += 2
    return angle


def _rotate(psi, register, beta):  # noqa: ANN001, ANN202
    zero = [j for j in range(16) if not j >> register & 1]
    one = [j | 1 << register for j in zero]
    cosine, sine = np.cos(beta / 2)[:, None], np.sin(beta / 2)[:, None]
    result = psi.copy()
    result[:, zero] = cosine * psi[:, zero] - sine * psi[:, one]
    result[:, one] = cosine * psi[:, one] + sine * psi[:, zero]
    return result
