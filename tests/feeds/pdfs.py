"""PDF documents made by hand, as small as they can be: pages of lines, or a page without any."""

from __future__ import annotations

from collections.abc import Sequence


def pdf(*leaves: Sequence[str], extra: bytes = b"") -> bytes:
    """A PDF of these pages, each of its lines one below the other; an empty line leaves a gap."""
    objects = [b"<</Type/Catalog/Pages 2 0 R>>", b"", b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for lines in leaves:
        shown = b" T* ".join(b"(%s) Tj" % _escaped(line) for line in lines)
        content = b"BT /F1 12 Tf 14 TL 72 720 Td %s ET" % shown if lines else b"0 0 m 100 100 l S"
        objects.append(b"<</Length %d>>\nstream\n%s\nendstream" % (len(content), content))
        objects.append(
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents %d 0 R/Resources<</Font<</F1 3 0 R>>>>>>"
            % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<</Type/Pages/Count %d/Kids[%s]>>" % (len(kids), b" ".join(kids))
    body, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    trailer = b"<</Size %d/Root 1 0 R%s>>" % (len(objects) + 1, extra)
    end = b"startxref\n%d\n%%%%EOF\n" % len(body)
    return body + b"xref\n0 %d\n0000000000 65535 f \n%strailer\n%s\n%s" % (len(objects) + 1, table, trailer, end)


def _escaped(line: str) -> bytes:
    return line.encode("cp1252").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")
