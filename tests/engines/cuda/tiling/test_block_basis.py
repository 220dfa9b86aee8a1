"""Block bases and the exchanges between them."""

from __future__ import annotations

from qmltrain.engines.cuda.tiling.block_basis import make_basis, make_exchange
from qmltrain.gf2 import Span, combine


def test_a_block_basis_makes_rotation_bits_its_coordinates():
    """Masks of a CX frame: m = columns, r = rows of its inverse."""
    frame = {0b00011: 0b00001, 0b00010: 0b00011, 0b01100: 0b00100}
    for mask, parity_mask in frame.items():
        assert [(other & parity_mask).bit_count() & 1 for other in frame] == [int(other == mask) for other in frame]
    basis = make_basis([0b00011, 0b00010], frame, (), [1, 2, 4, 8, 16], [1 << 5, 1 << 6])
    for mask, parity_mask in frame.items():
        coordinates = basis.coordinates(parity_mask)
        assert coordinates.bit_count() == 1
        assert basis.vectors[coordinates.bit_length() - 1] == mask
    assert len(Span(basis.vectors)) == 7


def test_an_exchange_moves_every_amplitude_to_its_address():
    before = make_basis((), {}, (), [1 << b for b in range(6)], [1 << 6])
    after = make_basis([0b11, 0b110], {0b11: 0b1, 0b110: 0b100 | 1 << 6}, (), [1 << b for b in range(6)], [1 << 6])
    exchange = make_exchange(before, after, 8)
    assert exchange.moves_tile
    places = []
    for side, basis in enumerate((before, after)):
        found = {}
        for tile in range(2):
            for c in range(1 << 6):
                address = combine(basis.vectors, c | tile << 6)
                place = int(exchange.thread_S2[side, c >> 4, 0]) ^ combine(exchange.column_S4[side].tolist(), c & 15)
                place ^= int(exchange.tile_K4[0, side]) * tile
                found[tile, address] = place
        places.append(found)
    assert places[0] == places[1]
