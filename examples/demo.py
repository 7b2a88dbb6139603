"""The main job, start to finish: a server, Google's own client, a batch, JSON files in a bucket.

``make demo`` runs this. The part between the two lines of dashes is what a program of yours would
do; it is Google's documented sample with nothing changed but the address.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.cloud import vision_v1
from google.cloud.vision_v1.services.image_annotator.transports import ImageAnnotatorGrpcTransport
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.table import Table

PHOTOS = Path(__file__).parent / "photos"
READY = "tapetum is ready on http://"
FEATURES = ["LABEL_DETECTION", "OBJECT_LOCALIZATION", "FACE_DETECTION", "TEXT_DETECTION"]
FEATURES += ["DOCUMENT_TEXT_DETECTION", "LANDMARK_DETECTION", "LOGO_DETECTION", "WEB_DETECTION"]
FEATURES += ["SAFE_SEARCH_DETECTION", "IMAGE_PROPERTIES", "CROP_HINTS"]


# ------------------------------------------------------------------------------------------------
def annotate(address: str, uris: list[str], output: str) -> str:
    """Annotate the images at ``uris``; answers the prefix under which the results lie."""
    channel = grpc.insecure_channel(address)
    client = vision_v1.ImageAnnotatorClient(transport=ImageAnnotatorGrpcTransport(channel=channel))
    features = [{"type_": getattr(vision_v1.Feature.Type, name)} for name in FEATURES]
    requests = [{"image": {"source": {"image_uri": uri}}, "features": features} for uri in uris]
    operation = client.async_batch_annotate_images(
        requests=requests,
        output_config={"gcs_destination": {"uri": output}, "batch_size": 2},
    )
    print(f"Operation {operation.operation.name} is running ...")
    response = operation.result(timeout=300)
    channel.close()
    return str(response.output_config.gcs_destination.uri)


# ------------------------------------------------------------------------------------------------


@contextmanager
def server(data: Path) -> Iterator[str]:
    """``tapetum serve`` on a free loopback port; its address, until the block ends."""
    command = [sys.executable, "-m", "tapetum", "serve", "--port", "0", "--data-dir", str(data)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line.startswith(READY):
                raise SystemExit(f"The server did not start: {line or 'see above'}")
            yield line.removeprefix(READY).strip()
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)


def main() -> int:
    """Run the demo; exit code 0 when every photo was answered."""
    data = Path(tempfile.mkdtemp(prefix="tapetum-demo-"))
    bucket = data / "buckets" / "demo"
    photos = sorted(path for path in PHOTOS.iterdir() if path.suffix in (".jpg", ".png"))
    (bucket / "photos").mkdir(parents=True)
    for photo in photos:
        shutil.copy(photo, bucket / "photos")
    draw_sign(bucket / "photos" / "sign.png")
    uris = [f"gs://demo/photos/{path.name}" for path in sorted((bucket / "photos").iterdir())]
    save_site(data / "site")
    run("gallery", "create", "web", "--kind", "web", "--data-dir", str(data))
    site = [str(data / "site"), "--base", "https://example.org/"]
    run("gallery", "import", "web", *site, "--data-dir", str(data))

    with server(data) as address:
        print(f"Sending {len(uris)} pictures to {address} ...")
        prefix = annotate(address, uris, "gs://demo/results/")

    files = sorted((bucket / "results").iterdir(), key=lambda path: int(path.stem.split("-")[1]))
    responses = [answer for file in files for answer in json.loads(file.read_text())["responses"]]
    Console().print(table_of(responses))
    print(f"Output prefix: {prefix}")
    print(f"The JSON lies in {bucket / 'results'}: {', '.join(file.name for file in files)}")
    complete = len(responses) == len(uris) and not any("error" in one for one in responses)
    return 0 if complete else 1


def run(*arguments: str) -> None:
    """A command of ``tapetum``."""
    subprocess.run([sys.executable, "-m", "tapetum", *arguments], check=True)


def save_site(folder: Path) -> None:
    """A saved web site: two pages with a smaller copy of one photograph and a part of another."""
    folder.mkdir()
    with Image.open(PHOTOS / "colosseum.jpg") as photo:
        photo.resize((photo.width // 2, photo.height // 2)).save(folder / "rome.jpg")
    with Image.open(PHOTOS / "cat.jpg") as photo:
        wide, high = photo.size
        photo.crop((wide // 5, 0, wide, high * 4 // 5)).save(folder / "tabby.jpg")
    for name, title in (("rome", "The Colosseum in Rome"), ("tabby", "A tabby and its sofa")):
        page = f"<html lang=en><title>{title}</title><img src={name}.jpg>"
        (folder / f"{name}.html").write_text(page, encoding="utf-8")


def draw_sign(path: Path) -> None:
    """A picture with a logo, which none of the photographs shows."""
    sign = Image.new("RGB", (800, 500), (205, 220, 235))
    draw = ImageDraw.Draw(sign)
    draw.rectangle((90, 130, 710, 370), fill=(250, 250, 245), outline=(60, 60, 60), width=6)
    font = ImageFont.load_default(size=110)
    draw.text((400, 250), "Wikipedia", fill=(20, 20, 20), font=font, anchor="mm")
    sign.save(path)


def table_of(responses: list[dict[str, Any]]) -> Table:
    """What the eleven features found, a row per image and feature that found something."""
    table = Table("image", "feature", "found")
    for found in responses:
        image = Path(found["context"]["uri"]).name
        for feature, words in words_of(found).items():
            if words:
                table.add_row(image, feature, words)
                image = ""
        table.add_section()
    return table


def words_of(found: dict[str, Any]) -> dict[str, str]:
    """The answer to each feature in a few words."""
    text = found.get("textAnnotations", [{}])[0].get("description", "")
    pages = found.get("fullTextAnnotation", {}).get("pages", [])
    safe = found["safeSearchAnnotation"]
    colours = found["imagePropertiesAnnotation"]["dominantColors"]["colors"]
    [crop] = found["cropHintsAnnotation"]["cropHints"]
    corner = crop["boundingPoly"]["vertices"][2]
    web = found.get("webDetection", {})
    return {
        "labels": names(found.get("labelAnnotations", [])),
        "objects": names(found.get("localizedObjectAnnotations", []), "name"),
        "faces": str(len(found.get("faceAnnotations", [])) or ""),
        "text": shortened(" ".join(text.split())),
        "document text": counted(sum(len(page["blocks"]) for page in pages), "block"),
        "landmarks": names(found.get("landmarkAnnotations", [])),
        "logos": names(found.get("logoAnnotations", [])),
        "web": names(web.get("bestGuessLabels", []), "label"),
        "web matches": web_matches(web),
        "safe search": ", ".join(f"{kind} {safe[kind].lower()}" for kind in ("adult", "violence")),
        "colours": "".join(swatch(colour["color"]) for colour in colours[:8]),
        "crop": f"to ({corner.get('x', 0)}, {corner.get('y', 0)})",
    }


def names(found: list[dict[str, Any]], key: str = "description") -> str:
    """The first few different names, separated by commas."""
    return shortened(", ".join(list(dict.fromkeys(one[key] for one in found))[:4]), 60)


def web_matches(web: dict[str, Any]) -> str:
    """``full copy on “Title”``, for every page."""
    return shortened(
        ", ".join(
            f"{'full copy' if 'fullMatchingImages' in page else 'part'} on “{page['pageTitle']}”"
            for page in web.get("pagesWithMatchingImages", [])
        )
    )


def counted(number: int, noun: str) -> str:
    """``2 blocks``, nothing for none."""
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def shortened(text: str, length: int = 40) -> str:
    """At most ``length`` characters, with markup taken for plain text."""
    text = text if len(text) <= length else f"{text[:length]}…"
    return text.replace("[", r"\[")


def swatch(colour: dict[str, float]) -> str:
    """Two cells in ``colour``."""
    red, green, blue = (int(colour.get(name, 0)) for name in ("red", "green", "blue"))
    return f"[on rgb({red},{green},{blue})]  [/]"


if __name__ == "__main__":
    raise SystemExit(main())
