"""``tapetum annotate``, from the command line to the files."""

from __future__ import annotations

import io
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from tapetum.cli import ExitCode
from tapetum.engine import Engine
from tapetum.vision import limits

LABELS = ("--features", "LABEL_DETECTION")
COLOURS = ("--features", "IMAGE_PROPERTIES")


# --- which images -----------------------------------------------------------------------------


def test_a_folder_is_searched_in_depth_for_visible_images(run, put, results):
    put("in/b.jpg")
    put("in/a/deep/x.JPEG")
    put("in/.hidden/c.jpg")
    put("in/.d.jpg")
    put("in/page.png", "page.png")
    Path("in/notes.txt").write_text("no picture")
    ran = run("annotate", "in", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    assert results.uris("out") == ["in/a/deep/x.JPEG", "in/b.jpg", "in/page.png"]


def test_a_folder_does_not_follow_links_to_folders(run, put, results):
    put("in/a.jpg")
    Path("in/loop").symlink_to(Path("in").absolute())
    run("annotate", "in", *COLOURS, "--output", "out")
    assert results.uris("out") == ["in/a.jpg"]


def test_a_file_named_outright_is_taken_whatever_its_name(run, put, results):
    put("in/photo.backup", "dog.jpg")
    ran = run("annotate", "in/photo.backup", *LABELS, "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    [response] = results.responses("out")
    assert "Dog" in [label["description"] for label in response["labelAnnotations"]]


def test_globs_and_files_keep_their_order(run, put, results):
    for name in ("in/b.jpg", "in/a.jpg", "in/deep/c.jpg", "in/.hidden.jpg", "z.jpg"):
        put(name)
    Path("in/folder.jpg").mkdir()
    run("annotate", "z.jpg", "in/**/*.jpg", *COLOURS, "--output", "out")
    assert results.uris("out") == ["z.jpg", "in/a.jpg", "in/b.jpg", "in/deep/c.jpg"]


def test_a_file_whose_name_looks_like_a_glob_is_that_file(run, put, results):
    put("a[1].jpg")
    put("a1.jpg")
    run("annotate", "a[1].jpg", *COLOURS, "--output", "out")
    assert results.uris("out") == ["a[1].jpg"]


def test_a_prefix_of_a_local_bucket(run, put, results):
    for name in ("b/2.jpg", "b/1.jpg", "b/deep/3.jpg", "other/4.jpg"):
        put(f"data/buckets/photos/{name}")
    Path("data/buckets/photos/b/readme.md").write_text("no picture")
    ran = run("annotate", "gs://photos/b", *COLOURS, "--output", "out", "--data-dir", "data")
    assert ran.code == ExitCode.OK, ran.err
    wanted = ["gs://photos/b/1.jpg", "gs://photos/b/2.jpg", "gs://photos/b/deep/3.jpg"]
    assert results.uris("out") == wanted


def test_the_root_of_a_bucket(run, put, results):
    put("data/buckets/photos/a.jpg")
    run("annotate", "gs://photos/", *COLOURS, "--output", "out", "--data-dir", "data")
    assert results.uris("out") == ["gs://photos/a.jpg"]


def test_a_manifest_comes_after_the_inputs(run, put, results):
    for name in ("a.jpg", "b.jpg", "with space.jpg"):
        put(name)
    manifest = "\ufeffb.jpg\r\n\n  with space.jpg  \n"
    Path("list.txt").write_text(manifest, encoding="utf-8")
    ran = run("annotate", "a.jpg", "--manifest", "list.txt", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    assert results.uris("out") == ["a.jpg", "b.jpg", "with space.jpg"]


def test_a_manifest_on_standard_input(run, put, results, monkeypatch):
    put("größe.jpg")
    stdin = io.TextIOWrapper(io.BytesIO("größe.jpg\n".encode()), encoding="ascii")
    monkeypatch.setattr(sys, "stdin", stdin)
    ran = run("annotate", "--manifest", "-", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    assert results.uris("out") == ["größe.jpg"]


def test_a_manifest_may_be_a_pipe(run, put, results):
    put("a.jpg")
    reading, writing = os.pipe()
    os.write(writing, b"a.jpg\n")
    os.close(writing)
    try:
        ran = run("annotate", "--manifest", f"/dev/fd/{reading}", *COLOURS, "--output", "out")
    finally:
        os.close(reading)
    assert ran.code == ExitCode.OK, ran.err
    assert results.uris("out") == ["a.jpg"]


def write_pages(path: str, *colours: str) -> None:
    first, *others = [Image.new("RGB", (80, 60), colour) for colour in colours]
    first.save(path, save_all=True, append_images=others)


def test_a_pdf_is_taken_page_by_page_into_a_folder_of_its_name(run, put, results):
    for name in ("in/a.jpg", "in/z.jpg", "in/deep/b.jpg"):
        put(name)
    write_pages("in/deep/letter.pdf", "red", "blue", "white")
    write_pages("in/scan.tif", "red", "blue")
    ran = run("annotate", "in", *COLOURS, "--output", "out", "--batch-size", "2")
    assert ran.code == ExitCode.OK, ran.err
    assert "7 images, 0 with errors" in ran.err
    assert "4 files at out/" in ran.err
    own = Path("out/in")
    assert results.names("out/in/deep/letter.pdf") == ["output-1-to-2.json", "output-3-to-3.json"]
    contexts = [one["context"] for one in results.responses(own / "deep/letter.pdf")]
    uri = "in/deep/letter.pdf"
    assert contexts == [{"uri": uri, "pageNumber": number} for number in (1, 2, 3)]
    shutil.rmtree(own)
    assert results.uris("out") == ["in/a.jpg", "in/deep/b.jpg", "in/scan.tif", "in/z.jpg"]


def test_a_tiff_is_taken_page_by_page_if_wanted(run, results):
    write_pages("scan.tif", "red", "blue")
    ran = run("annotate", "scan.tif", "--all-pages", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.OK, ran.err
    assert results.names("out/scan.tif") == ["output-1-to-2.json"]


def test_a_file_that_cannot_be_opened_is_one_error_and_the_rest_goes_on(run, put, results):
    put("in/a.jpg")
    Path("in/broken.pdf").write_bytes(b"%PDF-1.7")
    Path("in/letter.pdf").write_bytes(b"")
    write_pages("in/good.pdf", "red")
    ran = run("annotate", "in", "in/a.jpg", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.SOME_IMAGES_FAILED, ran.err
    assert "3 images, 2 with errors" in ran.err
    assert "file failed: Error in extracting images from PDF file in/broken.pdf: it is" in ran.err
    assert len(results.responses("out/in/good.pdf")) == 1


# --- what is written --------------------------------------------------------------------------


def test_files_are_named_and_cut_as_the_server_does(run, put, results):
    for number in range(5):
        put(f"in/{number}.jpg")
    run("annotate", "in", *COLOURS, "--output", "out", "--batch-size", 2)
    wanted = ["output-1-to-2.json", "output-3-to-4.json", "output-5-to-5.json"]
    assert results.names("out") == wanted


def test_numbers_go_on_through_operations(run, put, results, monkeypatch):
    """More images than one operation may hold, the last operation smaller than the others."""
    monkeypatch.setattr(limits, "MAX_ASYNC_IMAGES", 5)
    for number in range(11):
        put(f"in/{number:02d}.jpg")
    ran = run("annotate", "in", *COLOURS, "--output", "out", "--batch-size", 2)
    assert ran.code == ExitCode.OK, ran.err
    assert results.uris("out") == [f"in/{number:02d}.jpg" for number in range(11)]
    starts = range(1, 12, 2)
    assert results.names("out") == [f"output-{n}-to-{min(n + 1, 11)}.json" for n in starts]
    assert "11 images, 0 with errors" in ran.err
    assert "6 files at out/" in ran.err


def test_a_whole_number_of_operations_ends_without_an_empty_one(run, put, results, monkeypatch):
    monkeypatch.setattr(limits, "MAX_ASYNC_IMAGES", 2)
    for number in range(4):
        put(f"in/{number}.jpg")
    ran = run("annotate", "in", *COLOURS, "--output", "out", "--batch-size", 2)
    assert ran.code == ExitCode.OK, ran.err
    assert results.names("out") == ["output-1-to-2.json", "output-3-to-4.json"]


def test_the_output_may_be_a_bucket(run, put, results):
    put("a.jpg")
    Path("data/buckets/answers").mkdir(parents=True)
    output = ("--output", "gs://answers/run-", "--data-dir", "data")
    ran = run("annotate", "a.jpg", *COLOURS, *output)
    assert ran.code == ExitCode.OK, ran.err
    [file] = Path("data/buckets/answers").iterdir()
    assert file.name == "run-output-1-to-1.json", "a URI is a prefix, joined as plain text"
    assert "1 files at gs://answers/run-\n" in ran.err


def test_the_summary_is_one_line_with_every_character_of_the_output(run, put):
    put("a.jpg")
    output = "out[bold]/" + "long-name/" * 12
    ran = run("annotate", "a.jpg", *COLOURS, "--output", output)
    last = ran.err.splitlines()[-1]
    pattern = r"1 images, 0 with errors, in [\d.]+ s \([\d.]+ images/s\): 1 files at (.*)"
    found = re.fullmatch(pattern, last)
    assert found, ran.err
    assert found[1] == output


def test_a_second_run_writes_the_same_bytes(run_process, put, results, photos):
    for photo in ("cat.jpg", "dog.jpg", "coffee.jpg", "page.png", "horses.jpg"):
        put(f"in/{photo}", photo)
    both = ("--features", "LABEL_DETECTION,IMAGE_PROPERTIES", "--batch-size", 2)
    for output, workers in (("one", 1), ("two", 2)):
        ran = run_process("annotate", "in", *both, "--output", output, "--workers", workers)
        assert ran.code == ExitCode.OK, ran.err
    assert results.names("one") == results.names("two")
    for name in results.names("one"):
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()
    assert "dominantColors" in (Path("one") / "output-1-to-2.json").read_text()


def test_max_results_and_features_reach_the_detectors(run, put, results):
    put("a.jpg")
    features = ("--features", "label_detection, image_properties")
    run("annotate", "a.jpg", *features, "--max-results", 2, "--output", "out")
    [response] = results.responses("out")
    assert len(response["labelAnnotations"]) == 2
    assert "imagePropertiesAnnotation" in response


# --- what goes wrong --------------------------------------------------------------------------


def test_a_bad_image_is_counted_and_the_rest_is_done(run, put, results):
    put("in/a.jpg")
    Path("in/b.jpg").write_text("no picture")
    ran = run("annotate", "in", "gs://nowhere/c.jpg", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.SOME_IMAGES_FAILED
    assert "3 images, 2 with errors" in ran.err
    assert [r.get("error", {}).get("code", 0) for r in results.responses("out")] == [0, 3, 7]
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["no-such-file.jpg", *COLOURS, "--output", "out"], "no file or folder no-such-file.jpg"),
        (["empty", *COLOURS, "--output", "out"], "No images found"),
        (["*.nothing", *COLOURS, "--output", "out"], "No images found"),
        ([*COLOURS, "--output", "out"], "Nothing to annotate"),
        (["--manifest", "no-list", *COLOURS, "--output", "out"], "no manifest file no-list"),
        (["--manifest", "empty", *COLOURS, "--output", "out"], "no manifest file empty"),
        (["--manifest", "bytes", *COLOURS, "--output", "out"], "Line 2 of bytes is not UTF-8"),
        (["gs://no-bucket/", *COLOURS, "--output", "out"], "no-bucket"),
        (["ftp://host/", *COLOURS, "--output", "out"], "not set up for ftp://"),
        (["a.jpg", *COLOURS, "--output", "gs://none/"], "final output to: gs://none/"),
        (["a.jpg", *COLOURS, "--output", "gs://"], "Error writing final output to: gs://"),
        (["a.jpg", *COLOURS, "--output", "a.jpg"], "output to: a.jpg/: File exists."),
        (["a.jpg", *COLOURS, "--output", "a.jpg/below"], "a.jpg/below/: Not a directory."),
        (["a.jpg", *COLOURS, "--output", "file:///proc/no/p"], "/proc/no/p: No such file"),
        (["a.jpg", *COLOURS, "--output", "out", "--settings", "no.toml"], "no.toml"),
        (["a.jpg", *COLOURS, "--output", "out", "--web-fetch", "all"], "--web-fetch must be one"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_sentence(run, put, arguments, said):
    put("a.jpg")
    Path("empty").mkdir()
    Path("bytes").write_bytes(b"a.jpg\n\xff.jpg\n")
    ran = run("annotate", *arguments)
    assert ran.code == ExitCode.FAILED
    last = ran.err.splitlines()[-1]
    assert last.startswith("tapetum: ")
    assert said in last
    assert "Traceback" not in ran.err


def test_an_output_that_cannot_be_written_ends_a_process_plainly(run_process, put):
    put("a.jpg")
    ran = run_process("annotate", "a.jpg", *COLOURS, "--output", "/proc/no/such")
    assert ran.code == ExitCode.FAILED
    last = ran.err.splitlines()[-1]
    reason = "/proc/no/such/: No such file or directory."
    assert last == f"tapetum: Error writing final output to: {reason}"
    assert "Traceback" not in ran.err


def test_a_file_name_that_is_no_text(run, put):
    put("in/good.jpg")
    try:
        Path(os.fsdecode(b"in/\xff.jpg")).touch()
    except OSError:
        pytest.skip("this file system takes only text for names")
    ran = run("annotate", "in", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.FAILED
    assert r"\udcff.jpg' is not UTF-8; rename the file." in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--output", "out"], "--features"),
        ([*COLOURS], "--output"),
        ([*COLOURS, "--output", ""], "--output: it is empty"),
        (["--features", "CAT_DETECTION", "--output", "out"], "CAT_DETECTION: there are FACE_"),
        (["--features", "TYPE_UNSPECIFIED", "--output", "out"], "TYPE_UNSPECIFIED: there are"),
        (["--features", "PRODUCT_SEARCH", "--output", "out"], "PRODUCT_SEARCH: there are"),
        (["--features", ",", "--output", "out"], "',': there are"),
        ([*COLOURS, "--output", "out", "--batch-size", "101"], "101 is not 1 to 100"),
        ([*COLOURS, "--output", "out", "--batch-size", "x"], "'x' is not a number"),
        ([*COLOURS, "--output", "out", "--max-results", "0"], "0 is not 1 to"),
        ([*COLOURS, "--output", "out", "--workers", "many"], "--workers: invalid int value"),
        ([*COLOURS, "--output", "out", "--no-such-flag"], "unrecognized arguments"),
    ],
)
def test_a_wrong_command_line_is_a_usage_error(run, put, arguments, said):
    put("a.jpg")
    ran = run("annotate", "a.jpg", *arguments)
    assert ran.code == ExitCode.USAGE
    assert said in ran.err
    assert not Path("out").exists()


def test_ctrl_c_ends_a_run_without_a_traceback(put, tmp_path, results):
    """The interrupt goes out when the first file is written and much is left to do."""
    put("a.jpg")
    Path("list").write_text("a.jpg\n" * 20_000)
    command = [sys.executable, "-m", "tapetum", "annotate", "--manifest", "list", *LABELS]
    process = subprocess.Popen(
        [*command, "--output", "out", "--batch-size", "1"], stderr=subprocess.PIPE, text=True
    )
    try:
        while process.poll() is None and not Path("out/output-1-to-1.json").exists():
            pass
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=300)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == ExitCode.INTERRUPTED, err
    assert "Traceback" not in err
    assert 1 <= len(results.responses("out")) < 20_000, "what was finished is written, and whole"


def test_the_work_stops_within_the_process_too(run, put, monkeypatch):
    put("a.jpg")

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("tapetum.cli.annotate._Job.work", interrupted)
    closed = []
    close = Engine.close

    def noted(self: Engine) -> None:
        closed.append(self)
        close(self)

    monkeypatch.setattr(Engine, "close", noted)
    ran = run("annotate", "a.jpg", *COLOURS, "--output", "out")
    assert ran.code == ExitCode.INTERRUPTED
    assert closed, "the engine is shut down on the way out"


def test_a_failing_image_is_logged_above_the_bar_and_chatter_is_not(run, put):
    put("in/a.jpg")
    Path("in/b.jpg").write_text("no picture")
    quiet = run("annotate", "in", *COLOURS, "--output", "out")
    assert "uri='in/b.jpg' code=3 Bad image data." in quiet.err.replace("\n", " ")
    assert "task claimed" not in quiet.err
    asked = run("annotate", "in", *COLOURS, "--output", "out", "--log-level", "info")
    assert "task claimed" in asked.err
