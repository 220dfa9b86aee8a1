"""Linear algebra over GF(2), against sets of all members."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qmltrain.gf2 import Span, combine, image, intersection, null_space, walsh_hadamard

N = 6
vectors = st.lists(st.integers(1, (1 << N) - 1), max_size=N)


def members(basis: list[int]) -> set[int]:
    return {combine(basis, k) for k in range(1 << len(basis))}


@given(vectors)
def test_a_span_holds_the_sums_of_its_vectors(found):
    span = Span()
    added = [vector for vector in found if span.add(vector)]
    assert span.basis == added == Span(found).basis
    assert len(members(added)) == 1 << len(span)
    assert {v for v in range(1 << N) if v in span} == members(found)


def test_a_span_says_how_its_members_are_made():
    span = Span([0b0110, 0b1011, 0b0001])
    assert not span.add(0b1100)
    for coordinates in range(8):
        vector = combine([0b0110, 0b1011, 0b0001], coordinates)
        assert span.coordinates(vector) == coordinates
    with pytest.raises(ValueError, match="not in the span"):
        span.coordinates(0b0100)


def test_an_image_is_a_product_with_rows():
    assert image([0b011, 0b100, 0b111], 0b110) == 0b011
    assert image([], 0b110) == 0


@given(vectors, vectors)
def test_what_two_spans_have_in_common(a, b):
    a, b = Span(a).basis, Span(b).basis
    assert members(intersection(a, b)) == members(a) & members(b)


@given(vectors, vectors)
def test_the_vectors_that_no_row_notices(found, rows):
    found = Span(found).basis
    kernel = null_space(found, rows)
    assert members(kernel) == {v for v in members(found) if not any((v & row).bit_count() & 1 for row in rows)}


def test_walsh_hadamard_is_the_sum_over_signs():
    values = np.random.default_rng(0).normal(size=(2, 8))
    address = np.arange(8)
    signs = 1 - 2 * (np.bitwise_count(address[:, None] & address[None]) & 1).astype(float)
    np.testing.assert_allclose(walsh_hadamard(values), values @ signs, atol=1e-14)
