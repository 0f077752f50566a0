"""Names from files of other address books."""

from __future__ import annotations

import pytest

from recorder.errors import CatalogueError
from recorder.features.contacts import import_file
from recorder.features.contacts.import_file import read_file
from tests.expected_errors import expect_error

JAN, ELS, OFFICE = "+32470123456", "+32470654321", "+3225550100"

GOOGLE = """First Name,Last Name,Organization Name,Labels,Phone 1 - Label,Phone 1 - Value,Phone 2 - Value
Jan,Peeters,,* myContacts,Mobile,0470 12 34 56,02/555.01.00 ::: +32 470 65 43 21
,,Bakery,,Mobile,+32470654321,
"""
VCARD_21 = """BEGIN:VCARD
VERSION:2.1
N;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:Cl=C3=A9ment;=C3=89lodie;;;
TEL;CELL:0470 12 34 56
END:VCARD
"""
VCARD_30 = """BEGIN:VCARD\r
VERSION:3.0\r
FN:Jan Peet\r
 ers\r
N:Peeters;Jan;;;\r
item1.TEL;type=pref:+32 470 12 34 56\r
TEL;TYPE=WORK:02 555 01 00\r
PHOTO;ENCODING=b;TYPE=JPEG:/9j/4AAQSkZJRgABAQAA\r
END:VCARD\r
"""
VCARD_40 = """BEGIN:VCARD
VERSION:4.0
FN:Els Claes
TEL;VALUE=uri;TYPE=cell:tel:+32-470-65-43-21
END:VCARD
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name,number\nJan Peeters,0470 12 34 56\n", {JAN: "Jan Peeters"}),
        ("Nom;Téléphone;Portable\nJan;02 555 01 00;0470/12.34.56\n", {OFFICE: "Jan", JAN: "Jan"}),
        ("Prénom;Nom;GSM\nJan;Peeters;0470123456\n", {JAN: "Jan Peeters"}),
        ("Vorname;Nachname;Telefon privat\nJan;Peeters;'+32470123456\n", {JAN: "Jan Peeters"}),
        ("Naam\tTelefoonnummer\r\nJan Peeters\t+32 470 12 34 56\r\n", {JAN: "Jan Peeters"}),
        ("Jan Peeters; 0470 12 34 56\n\n0470654321; Els", {JAN: "Jan Peeters", ELS: "Els"}),
        ('"Peeters, Jan",0470123456\n', {JAN: "Peeters, Jan"}),
        ("Name,Number\nJan,0470123456\nJan Peeters,+32470123456\n", {JAN: "Jan Peeters"}),
        ("Hotel Number One;0470123456\n", {JAN: "Hotel Number One"}),
        ("Comptoir;2001\n", {"2001": "Comptoir"}),
        (GOOGLE, {JAN: "Jan Peeters", OFFICE: "Jan Peeters", ELS: "Bakery"}),
        (VCARD_21, {JAN: "Élodie Clément"}),
        (VCARD_30 + VCARD_40, {JAN: "Jan Peeters", OFFICE: "Jan Peeters", ELS: "Els Claes"}),
    ],
)
def test_reads_what_address_books_save(text, expected):
    assert (read_file(text.encode(), "be").names, read_file(text.encode(), "be").mistakes) == (expected, ())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1252"])
def test_reads_the_encodings_of_spreadsheets(encoding):
    assert read_file("Nom;GSM\nÉlodie;0470123456\n".encode(encoding), "be").names == {JAN: "Élodie"}


@pytest.mark.parametrize(
    ("text", "mistakes"),
    [
        ("name,number\nJan,0470123456\nEls,\n,0470654321\nJo,hello\n",
         [(3, "contact.number"), (4, "contact.name"), (5, "contact.number")]),
        ('Name;GSM\n"two\nlines";1234\nEls;x\n', [(2, "contact.name"), (4, "contact.number")]),
        (VCARD_40 + "BEGIN:VCARD\nVERSION:4.0\nFN:Jo\nEND:VCARD\n" + VCARD_40.replace("END:VCARD\n", ""),
         [(6, "contact.number"), (10, "contact.file")]),
        ("BEGIN:VCARD\nVERSION:3.0\nnonsense\nTEL:0470123456\nEND:VCARD\n", [(1, "contact.file")]),
    ],
)  # fmt: skip
def test_says_which_lines_cannot_be_read_and_keeps_the_others(text, mistakes):
    found = read_file(text.encode(), "be")
    assert [(each.line, each.error.error_id) for each in found.mistakes] == mistakes


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n\0\0\0", b'a,"' + b"x" * 200_000])
def test_refuses_what_is_no_table(content):
    with expect_error(CatalogueError, "contact.file"):
        read_file(content, "be")


def test_refuses_more_than_a_customer_may_have(monkeypatch):
    monkeypatch.setattr(import_file, "MOST", 2)
    with expect_error(CatalogueError, "contact.file"):
        read_file(b"Jan;0470123456\nEls;0470654321\nJo;0470654322\n", "be")
