"""Keys on paper: what is typed as it was printed comes back, and what is not is named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from recorder.errors import ConfigError
from recorder.seal import paper_key
from tests.expected_errors import expect_error

KEY = bytes(range(7, 39))
OTHER = bytes(range(101, 133))
LINES = list(paper_key.format_key("kek", KEY))


def refused(*lines: str) -> str:
    with expect_error(ConfigError, "keys.mistyped") as error:
        paper_key.parse_keys("\n".join(lines))
    return error.value.message.removeprefix("not what was printed: ")


@given(st.binary(min_size=32, max_size=32))
def test_printed_key_round_trips(key: bytes) -> None:
    text = "\n".join(paper_key.format_key("root.key", key))
    assert paper_key.parse_keys(text) == {"root.key": key}


def test_printed_form_is_frozen() -> None:
    """Papers are read again in years."""
    assert LINES == [
        "kek",
        "  1  0W40-J2GB-1G6G-W8R9",
        "  2  1W81-24GK-2GAH-D2X5",
        "  3  2WC1-J6GV-3GEH-XQ6Z",
        "  4  3WG2-28H3-4GJJ-DW6E",
        "  5  9FBD-A35M-4389-YTKY",
    ]


def test_typing_style_is_ignored() -> None:
    first, *rest = LINES
    spaced = [" ".join(line.split()[1].replace("-", " ").lower()) for line in rest]
    alike = [line.split()[1].replace("0", "O").replace("1", "l") for line in rest]
    for lines in (spaced, alike, [f"{number}. {line}" for number, line in enumerate(alike, 1)]):
        typed = "\n\n".join(["# printed long ago", first.upper(), *lines, "# end"])
        assert paper_key.parse_keys(typed) == {"kek": KEY}
    both = [*LINES, *paper_key.format_key("root.key", OTHER)]
    assert paper_key.parse_keys("\n".join(both)) == {"kek": KEY, "root.key": OTHER}


def test_each_wrong_symbol_is_reported_with_its_line() -> None:
    for number in range(1, 6):
        line = LINES[number].split()[1]
        for at in (each for each in range(len(line)) if line[each] != "-"):
            for symbol in paper_key._CROCKFORD.replace(line[at], ""):
                mistyped = f"{number} {line[:at]}{symbol}{line[at + 1 :]}"
                assert (
                    refused(*LINES[:number], mistyped, *LINES[number + 1 :])
                    == f"kek: line {number} is mistyped"
                )


def test_other_typing_errors_are_reported() -> None:
    swapped = [LINES[0], LINES[1], LINES[3], LINES[2], *LINES[4:]]
    assert refused(*swapped).count("should be") == 2
    bare = [line.split()[-1] for line in swapped]
    assert refused(*bare) == "kek: line 2 is mistyped; kek: line 3 is mistyped"
    assert "line 2 has 15 characters" in refused(*LINES[:2], LINES[2][:-1], *LINES[3:])
    assert "line 2 has U" in refused(*LINES[:2], LINES[2][:-1] + "U", *LINES[3:])
    assert "4 lines, and 5 were printed" in refused(*LINES[:-1])
    assert "6 lines, and 5 were printed" in refused(*LINES, LINES[1])
    assert "is there twice" in refused(*LINES, *LINES)
    assert "before the first name" in refused(*LINES[1:])
    assert "nothing was typed" in refused("")
    others = list(paper_key.format_key("kek", OTHER))
    assert "not of one key" in refused(*LINES[:3], *others[3:])
    assert "before the first name" in refused("../../etc/passwd", *LINES[1:])


def test_lines_below_another_name_are_reported() -> None:
    """All keys have 32 bytes, and their blocks look alike."""
    names = ("kek", "kek.next", f"{'ab' * 16}.kek", "root.key")
    for mine in names:
        for other in names:
            lines = [mine, *list(paper_key.format_key(other, KEY))[1:]]
            if mine == other:
                assert paper_key.parse_keys("\n".join(lines)) == {mine: KEY}
            else:
                file_name = "<id>.kek" if other.startswith("ab") else other
                assert refused(*lines) == f"below {mine} stand the lines of {file_name}"
    root = list(paper_key.format_key("root.key", OTHER))
    message = refused("kek", *root[1:], "root.key", *LINES[1:])
    assert message == "below kek stand the lines of root.key; below root.key stand the lines of kek"
    assert refused(*LINES[:3], *root[3:4], *LINES[4:]) == "kek: line 3 is a line of root.key"
