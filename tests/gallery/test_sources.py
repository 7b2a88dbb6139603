"""What imports read: folders, tables, SVG, pages, crawls, saved sites, and broken ones."""

from __future__ import annotations

import gzip
import io
import os
from pathlib import Path

import pytest
from PIL import Image

from tapetum.errors import InvalidGallery
from tapetum.gallery import ENTITY_PREFIX, Kind
from tapetum.gallery.sources import crawls, folders, items, manifests, pages, sites
from tapetum.gallery.sources.items import Item, Problem, is_svg, table
from tapetum.gallery.sources.pages import mentions
from tapetum.imaging.drawing import SIDE, rendered
from tapetum.signals.web import Mention

SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 12">%s</svg>'
SQUARE = b'<rect width="6" height="12" fill="#ff0000"/>'


def png(colour: str = "red", size: tuple[int, int] = (40, 30)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, colour).save(file, "PNG")
    return file.getvalue()


def pixels(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content)).convert("RGBA")


def parted(found) -> tuple[list[Item], list[Problem]]:
    found = list(found)
    return (
        [one for one in found if isinstance(one, Item)],
        [one for one in found if isinstance(one, Problem)],
    )


# --- Folders ------------------------------------------------------------------------------------


def test_the_folder_names_the_entry(tmp_path):
    for name in ("b/2.png", "a tower/1.PNG", "a tower/.hidden.png", "b/deep/3.jpg", "b/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(png())
    (tmp_path / "b" / "link.png").symlink_to(tmp_path / "b" / "2.png")
    items, problems = parted(folders.items(tmp_path))
    assert [(item.entry.key, Path(item.source).name) for item in items] == [
        ("a tower", "1.PNG"), ("b", "2.png"), ("deep", "3.jpg"),
    ]  # fmt: skip
    assert not problems
    assert items[0].read() == png()


def test_icons_are_an_entry_each_named_by_their_title(tmp_path):
    (tmp_path / "acme.svg").write_bytes(SVG % b"<title>Acme  &amp; Co</title>")
    (tmp_path / "plain.svg").write_bytes(SVG % SQUARE)
    (tmp_path / "broken.svg").write_bytes(b"<svg")
    items, problems = parted(folders.items(tmp_path))
    assert [(item.entry.key, item.entry.name) for item in items] == [
        ("acme", "Acme & Co"), ("plain", "plain"),
    ]  # fmt: skip
    assert "cannot be read" in problems[0].message


# --- SVG ----------------------------------------------------------------------------------------


def test_svg_is_drawn_at_its_shape():
    image = pixels(rendered(SVG % SQUARE))
    assert image.size == (SIDE, SIDE // 2)
    assert image.getpixel((20, 100)) == (255, 0, 0, 255)
    assert image.getpixel((400, 100))[3] == 0
    assert is_svg("x.svg", b"")
    assert is_svg("x", SVG % SQUARE)
    assert not is_svg("x.png", png())


@pytest.mark.parametrize(
    "inside",
    [
        b"<script>fetch('https://evil.example')</script>",
        b'<image href="file://%(path)s" x="12" width="12" height="12"/>',
        b'<image href="%(path)s" x="12" width="12" height="12"/>',
        b'<image xmlns:x="http://www.w3.org/1999/xlink" x:href="%(path)s" x="12" width="12" '
        b'height="12"/>',
        b'<foreignObject x="12" width="12" height="12"><img src="%(path)s"/></foreignObject>',
        b"<style>@import url('https://evil.example/a.css');</style>",
        b'<filter id="f"><feImage href="%(path)s"/></filter>'
        b'<rect x="12" width="12" height="12" fill="none" filter="url(#f)"/>',
    ],
)
def test_svg_is_drawn_without_scripts_and_what_lies_outside(tmp_path, inside):
    outside = tmp_path / "secret.png"
    outside.write_bytes(png("lime"))
    content = SVG % (SQUARE + inside.replace(b"%(path)s", str(outside).encode()))
    image = pixels(rendered(content))
    assert image.getpixel((20, 100)) == (255, 0, 0, 255)
    assert image.getpixel((400, 100))[3] == 0


def test_svg_may_hold_a_picture_of_its_own():
    import base64

    inner = base64.b64encode(png("lime", (12, 12))).decode()
    image = f'<image href="data:image/png;base64,{inner}" x="12" width="12" height="12"/>'
    assert pixels(rendered(SVG % image.encode())).getpixel((400, 100)) == (0, 255, 0, 255)


def test_svg_that_would_never_be_done_is_refused():
    levels = [b'<g id="g0"><rect width="1" height="1"/></g>']
    for level in range(1, 12):
        uses = b'<use href="#g%d"/>' % (level - 1) * 10
        levels.append(b'<g id="g%d">%s</g>' % (level, uses))
    with pytest.raises(InvalidGallery, match="draws more than"):
        rendered(SVG % b"".join(levels))
    deep = b"<g>" * 50_000 + b"</g>" * 50_000
    with pytest.raises(InvalidGallery, match="nested"):
        rendered(SVG % deep)
    chain = [b'<g id="c%d"><use href="#c%d"/></g>' % (n, n - 1) for n in range(5000)]
    with pytest.raises(InvalidGallery, match=r"refers|cannot be drawn"):
        rendered(SVG % b"".join(reversed(chain)))
    laughs = b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + SVG % SQUARE
    with pytest.raises(InvalidGallery, match="entities"):
        rendered(laughs)
    circle = b'<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>' + SQUARE
    with pytest.raises(InvalidGallery, match="cannot be drawn"):
        rendered(SVG % circle)


@pytest.mark.parametrize("content", [b"", b"<svg", b"<html/>", b"\xff\xfe\x00", b"<svg></svg>" * 2])
def test_no_svg(content):
    with pytest.raises(InvalidGallery, match="SVG"):
        rendered(content)


def test_the_shape_of_an_svg_is_bounded():
    tall = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1e8"><rect/></svg>'
    assert max(pixels(rendered(tall)).size) <= SIDE


# --- Tables -------------------------------------------------------------------------------------


def test_a_manifest(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "list.csv").write_text(
        "file,name,mid,lat,lng,url,licence,aliases\n"
        "a.png,Eiffel Tower,Q243,48.8583,2.2945,https://e.org,CC0-1.0,La Tour|Iron Lady\n"
        "a.png,No Place,,,,,,\n"
        "a.png,Bad Place,,91,0,,,\n"
        "../../etc/passwd,Thief,,,,,,\n"
        ",Nameless,,,,,,\n",
        encoding="utf-8",
    )
    items, problems = parted(manifests.items(tmp_path / "list.csv", Kind.LANDMARK))
    first, second = (item.entry for item in items)
    assert (first.key, first.mid, first.lat, first.lng) == ("Eiffel Tower", "Q243", 48.8583, 2.2945)
    assert first.aliases == ("La Tour", "Iron Lady")
    assert (second.lat, second.mid) == (None, "")
    assert items[0].read() == png()
    assert [problem.source.rpartition(":")[2] for problem in problems] == ["4", "5", "6"]
    assert "no place in degrees" in problems[0].message
    assert "leads out" in problems[1].message


def test_a_manifest_in_parquet(tmp_path):
    if not os.environ.get("TAPETUM_REQUIRE_PYARROW"):
        pytest.importorskip("pyarrow", reason="make extras")
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "a.png").write_bytes(png())
    rows = pyarrow.table({"file": ["a.png"], "name": ["Pisa"], "lat": [43.7], "lng": [10.4]})
    parquet.write_table(rows, tmp_path / "list.parquet")
    (item,), _ = parted(manifests.items(tmp_path / "list.parquet", Kind.LANDMARK))
    assert (item.entry.name, item.entry.lat) == ("Pisa", 43.7)
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(InvalidGallery, match="as Parquet"):
        list(manifests.items(tmp_path / "broken.parquet", Kind.LANDMARK))


def test_google_landmarks_v2(tmp_path):
    image = tmp_path / "images" / "0" / "1" / "a" / "01ab.jpg"
    image.parent.mkdir(parents=True)
    image.write_bytes(png())
    (tmp_path / "train.csv").write_text(
        "id,url,landmark_id\n01ab,https://c.org/x.jpg,7\n../../x,u,7\n"
    )
    (tmp_path / "names.csv").write_text(
        "landmark_id,category\n7,http://commons.wikimedia.org/wiki/Category:Happy_Valley%2C_HK\n"
    )
    found = manifests.items(
        tmp_path / "train.csv", Kind.LANDMARK, tmp_path / "images", tmp_path / "names.csv"
    )
    (item,), (problem,) = parted(found)
    assert (item.entry.key, item.entry.name) == ("7", "Happy Valley, HK")
    assert item.read() == png()
    assert "no image id" in problem.message


def test_wikidata(tmp_path):
    (tmp_path / "Big_Ben.jpg").write_bytes(png())
    (tmp_path / "query.csv").write_text(
        "item,itemLabel,coord,image\n"
        "http://www.wikidata.org/entity/Q41225,Big Ben,Point(-0.1246 51.5007),"
        "http://commons.wikimedia.org/wiki/Special:FilePath/Big%20Ben.jpg\n"
        "http://www.wikidata.org/entity/Q1,Everything,,\n"
        "nonsense,x,,\n"
    )
    items, problems = parted(manifests.items(tmp_path / "query.csv", Kind.LANDMARK))
    ben = items[0].entry
    assert (ben.key, ben.mid, ben.name, ben.lat, ben.lng) == (
        "Q41225", "Q41225", "Big Ben", 51.5007, -0.1246,
    )  # fmt: skip
    assert ben.url == "https://commons.wikimedia.org/wiki/File:Big_Ben.jpg"
    assert items[0].read() == png()
    assert items[1].read is None
    assert len(problems) == 1


def test_a_table_of_web_images_and_one_of_entities(tmp_path):
    (tmp_path / "a.png").write_bytes(png())
    (tmp_path / "web.csv").write_text(
        "file,image_url,page_url,page_title,alt,caption,language\n"
        "a.png,https://e.org/a.png,https://e.org/,A <b>page</b>,alt,,en\n"
        ",https://e.org/a.png,https://e.org/2,Another,,,not a language\n"
        "a.png,javascript:alert(1),https://e.org/,x,,,\n"
    )
    items, problems = parted(manifests.items(tmp_path / "web.csv", Kind.WEB))
    assert items[0].entry.mentions == (Mention("https://e.org/", "A <b>page</b>", "alt", "", "en"),)
    assert items[1].read is None
    assert items[1].entry.mentions[0].language == ""
    assert "no URL" in problems[0].message
    (tmp_path / "names.csv").write_text("name,mid\nBig Ben,Q41225\n,x\n")
    (item,), (problem,) = parted(manifests.items(tmp_path / "names.csv", Kind.WEB))
    assert (item.entry.key, item.entry.mid) == (f"{ENTITY_PREFIX}big ben", "Q41225")
    assert "must not be empty" in problem.message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "has none"),
        (b"a,b\n1,2\n", "has a, b"),
        (b"\xff\xfe\x00", "not UTF-8"),
        (b'file,name\n"' + b"x" * 200_000 + b'",y\n', "as CSV"),
    ],
)
def test_no_manifest(tmp_path, content, message):
    (tmp_path / "list.csv").write_bytes(content)
    with pytest.raises(InvalidGallery, match=message):
        list(manifests.items(tmp_path / "list.csv", Kind.LOGO))


def test_rows_that_do_not_fit_their_header(tmp_path):
    (tmp_path / "list.csv").write_text("file,name\na,b,c,d\nonly\n")
    assert [row for _, row in table(tmp_path / "list.csv")] == [
        {"file": "a", "name": "b"}, {"file": "only", "name": None},
    ]  # fmt: skip


# --- Pages --------------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="de"><head><base href="/b/"><title>Der
 &lt;Turm&gt;</title><script>document.write('<img src=no.jpg>')</script>
<meta property="og:image" content="https://cdn.e.org/og.jpg"></head><body>
<figure><img src="t.jpg" alt="Ein Turm"><figcaption>Der Turm, <i>1900</i></figcaption></figure>
<img data-src="lazy.jpg"><img src="data:image/png;base64,AA"><img src="javascript:x"><img src="">
<img src="http://[broken/x.jpg"><img src="t.jpg" alt="Again">
</body></html>"""


def test_what_a_page_says():
    found = mentions(PAGE.encode(), "https://E.org/a/index.html")
    assert list(found) == [
        "https://cdn.e.org/og.jpg", "https://e.org/b/t.jpg", "https://e.org/b/lazy.jpg",
    ]  # fmt: skip
    assert found["https://e.org/b/t.jpg"] == Mention(
        "https://E.org/a/index.html", "Der <Turm>", "Ein Turm", "Der Turm, 1900", "de"
    )


@pytest.mark.parametrize(
    ("content", "charset", "title"),
    [
        ("<title>Zürich</title><img src=a>".encode("latin-1"), "iso-8859-1", "Zürich"),
        ('<meta charset="windows-1251"><title>Кот</title><img src=a>'.encode("cp1251"), "", "Кот"),
        ("<title>Zürich</title><img src=a>".encode(), "no-such-charset", "Zürich"),
        ("<title>Zürich</title><img src=a>".encode(), "base64", "Zürich"),
        ("<title>Zürich</title><img src=a>".encode("utf-16"), "", "Zürich"),
        (b"<title>\xff\xfe broken", "", None),
        (b"<img src=a>" + b"<!--" * 400_000, "", ""),
        (b"<img src=a>" + b"<a " * 600_000, "", ""),
        (b"<img src=a><" * 50_000, "", ""),
        (b"<title>" + b"x" * 100_000 + b"</title><img src=a>", "", "x" * 1000),
    ],
)
def test_pages_of_any_make(content, charset, title):
    found = mentions(content, "https://e.org/", charset)
    assert [said.title for said in found.values()] == ([] if title is None else [title])


# --- Crawls -------------------------------------------------------------------------------------


def warc(path: Path, records: list[tuple[str, str, bytes]], status: str = "200 OK") -> Path:
    with path.open("wb") as file:
        for url, kind, body in records:
            answer = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
            answer += f"Content-Length: {len(body)}\r\n\r\n"
            block = answer.encode() + body
            head = f"WARC/1.0\r\nWARC-Type: response\r\nWARC-Target-URI: {url}\r\n"
            head += "WARC-Date: 2026-01-01T00:00:00Z\r\nWARC-Record-ID: <urn:uuid:1>\r\n"
            head += "Content-Type: application/http; msgtype=response\r\n"
            head += f"Content-Length: {len(block)}\r\n\r\n"
            record = head.encode() + block + b"\r\n\r\n"
            file.write(gzip.compress(record) if path.suffix == ".gz" else record)
    return path


RECORDS = [
    ("https://e.org/1.html", "text/html; charset=utf-8",
     b"<html lang=en><title>One</title><img src=a.png alt=A><img src=gone.png>"),
    ("https://e.org/a.png", "image/png", png("red", (400, 300))),
    ("https://e.org/b.png", "image/png", png("blue", (400, 300))),
    ("https://e.org/2.html", "text/html", b"<title>Two</title><img src=a.png><img src=b.png>"),
]  # fmt: skip


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
def test_pages_and_images_of_a_crawl_are_joined(tmp_path, name):
    items, problems = parted(crawls.items([warc(tmp_path / name, RECORDS)]))
    assert not problems
    assert [(item.entry.key, item.source) for item in items] == [
        ("https://e.org/a.png", "https://e.org/1.html"),
        ("https://e.org/a.png", "https://e.org/a.png"),
        ("https://e.org/b.png", "https://e.org/b.png"),
        ("https://e.org/a.png", "https://e.org/2.html"),
        ("https://e.org/b.png", "https://e.org/2.html"),
    ]
    assert items[0].entry.mentions == (Mention("https://e.org/1.html", "One", "A", "", "en"),)
    assert items[1].read() == png("red", (400, 300))


def test_only_answers_that_were_given_count(tmp_path):
    path = warc(tmp_path / "crawl.warc", RECORDS, "404 Not Found")
    assert list(crawls.items([path])) == []


@pytest.mark.parametrize("name", ["crawl.warc", "crawl.warc.gz"])
@pytest.mark.parametrize("share", [0.3, 0.55, 0.8, 0.97])
def test_a_crawl_cut_short_gives_what_came_before(tmp_path, name, share):
    noisy = [(url, kind, body + bytes(range(256)) * 9) for url, kind, body in RECORDS]
    whole = warc(tmp_path / name, noisy).read_bytes()
    cut = int(len(whole) * share)
    (tmp_path / name).write_bytes(whole[:cut])
    items, problems = parted(crawls.items([tmp_path / name]))
    assert len(problems) == 1
    before = tmp_path / f"before-{name}"
    ends = [len(warc(before, noisy[:count]).read_bytes()) for count in range(1, len(noisy))]
    whole_before = [url for (url, _, _), end in zip(noisy, ends, strict=False) if end <= cut]
    images = {url for url in whole_before if url.endswith(".png")}
    assert images <= {item.source for item in items}
    assert images or share < 0.7
    assert "What came before is kept" in problems[0].message
    bodies = {url: body for url, _, body in noisy}
    for item in items:
        if item.source in bodies and item.read is not None:
            assert item.read() == bodies[item.source]


@pytest.mark.parametrize("content", [b"no archive at all\n" * 20, gzip.compress(b"text", mtime=0)])
def test_no_crawl(tmp_path, content):
    (tmp_path / "x.warc.gz").write_bytes(content)
    items, problems = parted(crawls.items([tmp_path / "x.warc.gz"]))
    assert not items
    assert "cannot be read" in problems[0].message


def test_an_empty_crawl(tmp_path):
    (tmp_path / "x.warc").write_bytes(b"")
    assert list(crawls.items([tmp_path / "x.warc"])) == []


# --- Saved sites --------------------------------------------------------------------------------


def site(folder: Path) -> Path:
    (folder / "places").mkdir(parents=True)
    (folder / "img").mkdir()
    (folder / "img" / "a b.png").write_bytes(png())
    page = "<title>Place</title><img src='/img/a%20b.png' alt=A><img src='../../../etc/passwd'>"
    (folder / "places" / "index.html").write_text(page)
    (folder / "about.html").write_text("<title>About</title><img src='img/a%20b.png'>")
    return folder


def test_a_saved_site(tmp_path):
    items, problems = parted(sites.of_folder(site(tmp_path / "s"), "https://e.org/"))
    assert not problems
    assert [(item.entry.key, item.entry.mentions[0].page_url) for item in items] == [
        ("https://e.org/img/a%20b.png", "https://e.org/about.html"),
        ("https://e.org/img/a%20b.png", "https://e.org/places/index.html"),
    ]
    assert items[0].read() == png()
    assert items[1].read is None  # read once


def test_a_sitemap(tmp_path):
    folder = site(tmp_path / "s")
    (folder / "sitemap.xml").write_text(
        '<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9" '
        'xmlns:image="http://www.google.com/schemas/sitemap-image/1.1">'
        "<url><loc>https://e.org/places/</loc><image:image>"
        "<image:loc>https://e.org/img/a%20b.png</image:loc>"
        "<image:caption>Seen from afar</image:caption></image:image></url>"
        "<url><loc>https://e.org/gone.html</loc></url></urlset>"
    )
    items, problems = parted(sites.of_sitemap(folder / "sitemap.xml"))
    assert [item.entry.mentions[0].caption for item in items] == ["Seen from afar", ""]
    assert {item.entry.mentions[0].page_url for item in items} == {"https://e.org/places/"}
    assert [problem.source for problem in problems] == ["https://e.org/gone.html"]


@pytest.mark.parametrize("content", ["<urlset", "<!DOCTYPE x [<!ENTITY a 'b'>]><urlset/>"])
def test_no_sitemap(tmp_path, content):
    (tmp_path / "sitemap.xml").write_text(content)
    with pytest.raises(InvalidGallery, match="sitemap"):
        list(sites.of_sitemap(tmp_path / "sitemap.xml"))


@pytest.mark.parametrize(
    "given", ["https://e.org/a\x00b", "https://e.org/a\x1bb", f"https://e.org/{'塔' * 700}"]
)
def test_urls_that_are_no_keys(given):
    assert pages.plain_url("https://e.org/", given) == ""


def test_text_is_bounded_in_bytes_too():
    assert items.text("塔" * 900) == "塔" * 666
    assert items.text("a" * 1500) == "a" * 1000
