"""An image that takes its process down, again and again, is named; all others are answered."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

from PIL import Image

from tapetum.ledger import STRIKES_BEFORE_CAREFUL, OperationRecord
from tapetum.ledger.sql import SqlLedger
from tapetum.tasks.plan import Task
from tapetum.vision import messages

NAME = "projects/p/operations/1"
WORKER = Path(__file__).parent.parent / "programs" / "dies_of_red.py"


def request(colour: str):
    file = io.BytesIO()
    Image.new("RGB", (4, 4), colour).save(file, "PNG")
    made = messages.AnnotateImageRequest()
    made.image.content = file.getvalue()
    made.features.add(type_=4)
    return made


def test_the_image_is_named_and_the_batch_completes(tmp_path: Path):
    (tmp_path / "out").mkdir()
    colours = ["blue", "blue", "blue", "red", "blue", "blue"]
    requests = messages.BatchAnnotateImagesRequest(requests=[request(one) for one in colours])
    task = Task(NAME, 1, 6, 2, "gs://out/", requests.SerializeToString())
    ledger = SqlLedger(tmp_path / "ledger.sqlite")
    ledger.create(OperationRecord(NAME, "p", "v1", b"", 6, 1), [task])

    deaths = 0
    while True:
        command = [sys.executable, str(WORKER), str(tmp_path), NAME]
        ended = subprocess.run(command, timeout=60, check=False, stderr=subprocess.DEVNULL)
        if ended.returncode == 0:
            break
        assert ended.returncode == -signal.SIGKILL
        deaths += 1
        assert deaths < 10
    # Three with the whole window in hand, the fourth with one image, which is then known.
    assert deaths == STRIKES_BEFORE_CAREFUL + 1

    answers = [
        answer
        for shard in ("1-to-2", "3-to-4", "5-to-6")
        for answer in json.loads((tmp_path / "out" / f"output-{shard}.json").read_text())[
            "responses"
        ]
    ]
    survived = {"labelAnnotations": [{"description": "Survived", "score": 1}]}
    died = {"error": {"code": 13, "message": "This image stopped the process that looked at it."}}
    assert answers == [survived] * 3 + [died] + [survived] * 2
    record = ledger.get(NAME)
    assert record is not None
    assert (record.error_code, record.images_done, record.images_failed) == (0, 6, 1)
    ledger.close()
