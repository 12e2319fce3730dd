"""Large values as several entries of a log."""

from headrace.layers import pieces


def _numbered(*values: bytes) -> list[tuple[int, bytes]]:
    entries = [entry for value in values for entry in pieces.split(value)]
    return list(enumerate(entries, start=1))


LARGE = bytes(range(256)) * 1000


def test_join__gives_back_small_and_large_values_in_order() -> None:
    entries = _numbered(b"a", LARGE, b"", b"b" * pieces.PIECE_SIZE_MAX_BYTES)
    assert list(pieces.join(entries)) == [
        (1, 1, b"a"),
        (2, 6, LARGE),
        (7, 7, b""),
        (8, 8, b"b" * pieces.PIECE_SIZE_MAX_BYTES),
    ]


def test_join__leaves_out_values_that_are_cut_at_either_end() -> None:
    entries = _numbered(LARGE, b"a", LARGE)
    assert list(pieces.join(entries[1:-1])) == [(6, 6, b"a")]


def test_split__no_entry_is_larger_than_a_piece_and_its_mark() -> None:
    assert max(map(len, pieces.split(LARGE))) == pieces.PIECE_SIZE_MAX_BYTES + 1
