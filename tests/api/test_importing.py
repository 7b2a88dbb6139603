"""What importing and using the package does to the process that it is in: nothing.

Measured in processes of their own, in which any warning is an error.
"""

from __future__ import annotations

import importlib.resources
import json
import subprocess
import sys

import tapetum

#: Loaded with the networks, not with the package.
HEAVY = ("onnxruntime", "grpc", "cv2", "PIL", "google", "numpy", "httpx", "obstore", "sqlalchemy")

IMPORT = """
import json, sys, time
before = time.process_time()
import tapetum
seconds = time.process_time() - before
print(json.dumps({"seconds": seconds, "loaded": sorted(sys.modules), "names": dir(tapetum)}))
"""


def ran(program: str, *arguments: str) -> str:
    """What ``program`` prints, run with any warning an error and nothing said on the side."""
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    process = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert (process.returncode, process.stderr) == (0, "")
    return process.stdout


def test_importing_costs_nothing():
    said = json.loads(ran(IMPORT))
    loaded = {name.partition(".")[0] for name in said["loaded"]}
    assert loaded.isdisjoint(HEAVY)
    assert said["seconds"] < 0.3
    assert said["names"] == sorted(tapetum.__all__)


def test_the_public_names():
    assert len(tapetum.__all__) == 7
    for name in tapetum.__all__:
        assert getattr(tapetum, name) is getattr(tapetum, name)
    everything: dict[str, object] = {}
    exec("from tapetum import *", everything)
    assert everything.keys() >= set(tapetum.__all__)
    assert not hasattr(tapetum, "anotate")
    assert importlib.resources.files("tapetum").joinpath("py.typed").is_file()


USE = """
import asyncio, json, logging, os, signal, sys, threading, warnings
from pathlib import Path

# What libraries change as they are imported is theirs.
import cv2, numpy, onnxruntime, requests
from google.cloud import vision_v1
from PIL import Image, ImageFile

def state():
    return {
        "Pillow": [Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, ImageFile.MAXBLOCK],
        "warnings": [str(one) for one in warnings.filters],
        "show": [str(warnings.showwarning), str(warnings.formatwarning)],
        "OpenCV": [cv2.getNumThreads(), cv2.useOptimized()],
        "NumPy": [numpy.geterr(), numpy.get_printoptions()],
        "log": [
            [name, str(logger.handlers), logger.level, logger.propagate, logger.disabled]
            for name in (None, "tapetum", "PIL", "httpx", "google")
            for logger in [logging.getLogger(name)]
        ],
        "logging": logging.root.manager.disable,
        "signals": [str(signal.getsignal(one)) for one in sorted(signal.valid_signals())],
        "hooks": [str(sys.excepthook), str(sys.unraisablehook), str(threading.excepthook)],
        # The one thing that has to be: see models/session.py.
        "environment": {**os.environ, "ORT_DISABLE_TELEMETRY": ""},
        "folder": os.getcwd(),
        "stack": [threading.stack_size(), sys.getrecursionlimit(), sys.getswitchinterval()],
        "locale": __import__("locale").setlocale(0),
        "umask": os.umask(os.umask(0o022)),
    }

def children():
    tasks = Path("/proc/self/task").iterdir() if sys.platform == "linux" else []
    return [child for task in tasks for child in (task / "children").read_text().split()]

before = state()
import tapetum
assert state() == before, "import"
photo, features = sys.argv[1], sys.argv[2]

async def notebook():
    return [str(result.error or result) for result in tapetum.annotate([photo, b""], features)]

said = asyncio.run(notebook())
assert state() == before, [key for key in before if state()[key] != before[key]]
assert threading.enumerate() == [threading.main_thread()]
assert children() == [], children()

opened = tapetum.annotate([photo] * 50, features)
next(opened)
assert children() or sys.platform != "linux"
del opened
assert threading.enumerate() == [threading.main_thread()]
assert children() == [], children()

annotator = tapetum.Annotator(workers=1)
next(annotator.annotate(photo, features))
del annotator
assert children() == [], children()
assert state() == before
print(json.dumps(said))
"""


def test_using_changes_nothing_and_leaves_nothing(photos):
    """In a notebook's running loop; twice left early and once forgotten."""
    features = "LABEL_DETECTION,IMAGE_PROPERTIES,CROP_HINTS,TEXT_DETECTION,LOGO_DETECTION"
    said = json.loads(ran(USE, str(photos / "cat.jpg"), features))
    assert "'Cat'" in said[0]
    assert "no bytes" in said[1]


KILLED = """
import sys, threading, tapetum
results = tapetum.annotate((sys.argv[1] for _ in iter(int, 1)), "IMAGE_PROPERTIES")
print(next(results).colors[0].rgb)
"""


def test_a_program_may_end_in_the_middle(photos):
    assert ran(KILLED, str(photos / "cat.jpg")).startswith("(")
