"""The parts of `make quality` that ask the program itself."""

from __future__ import annotations

from bench.quality import contact_sheet, text

from tapetum.settings import Settings
from tapetum.wiring import annotator_of


def test_text_is_read(photos, tmp_path):
    with annotator_of(Settings(data_dir=tmp_path)) as annotator:
        answer = text.annotated(annotator, (photos / "page.png").read_bytes(), ("en",))
    assert answer.text_annotations


def test_a_contact_sheet_is_written(photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    contact_sheet.write(tmp_path / "sheet.html", [photos / "cat.jpg"], [photos / "page.png"])
    page = (tmp_path / "sheet.html").read_text()
    assert "Cat" in page
    assert page.count("<img") >= 2
