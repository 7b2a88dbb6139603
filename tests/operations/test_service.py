"""Whose galleries a call sees, with a recogniser that only says so."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from PIL import Image

from tapetum.errors import RequestForbidden
from tapetum.executors.local import LocalExecutor
from tapetum.features import Ask
from tapetum.identity.principal import ANYBODY, Principal, Principals, Project
from tapetum.identity.quotas import Quotas
from tapetum.ledger.memory import MemoryLedger
from tapetum.operations.dispatch import Dispatcher
from tapetum.operations.service import Service
from tapetum.pipeline.annotator import Annotator
from tapetum.stores.router import Stores
from tapetum.vision import messages

LABEL = 4
ANN = Principal("ann", Project("anns"))


@dataclass(frozen=True, slots=True)
class Owner:
    project: str


class OwnerRecogniser:
    signal = Owner
    needs = ()

    def max_side(self, width: int, height: int) -> int:
        return 1

    def recognise(self, picture, signals, context) -> Owner:
        return Owner(context.project)


class OwnerLabel:
    type = LABEL
    needs = (Owner,)

    def describe(self, ask: Ask, signals, response) -> None:
        response.label_annotations.add(description=signals.of(Owner).project)


@pytest.fixture(params=[False, True], ids=["anybody", "asked"])
def service(request, tmp_path) -> Iterator[Service]:
    stores, ledger = Stores(tmp_path), MemoryLedger()
    principals = Principals({"ann": ANN}, asked=request.param)
    annotator = Annotator(stores, [], [OwnerLabel()], [OwnerRecogniser()], principals)
    executor = LocalExecutor(annotator, workers=1)
    dispatcher = Dispatcher(ledger, executor, 30, 1)
    made = Service(ledger, executor, dispatcher, "house", stores, quotas=Quotas(2**20))
    made.caller = ANN if request.param else ANYBODY
    yield made
    executor.close()
    annotator.close()
    made.close()


def of_image(service: Service, parent: str) -> str:
    asked = messages.BatchAnnotateImagesRequest(parent=parent)
    item = asked.requests.add()
    item.image.content = picture("PNG")
    item.features.add(type_=LABEL)
    answer = asyncio.run(service.batch_annotate_images(asked, service.caller))
    return answer.responses[0].label_annotations[0].description


def of_page(service: Service, parent: str) -> str:
    asked = messages.BatchAnnotateFilesRequest(parent=parent)
    item = asked.requests.add()
    item.input_config.content = picture("TIFF")
    item.input_config.mime_type = "image/tiff"
    item.features.add(type_=LABEL)
    answer = asyncio.run(service.batch_annotate_files(asked, service.caller))
    return answer.responses[0].responses[0].label_annotations[0].description


def picture(kind: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("said", [of_image, of_page])
def test_a_call_sees_the_galleries_of_the_project_it_is_for(service, said):
    if service.caller is ANYBODY:
        assert said(service, "") == "house"
        assert said(service, "projects/mine/locations/eu") == "mine"
    else:
        assert said(service, "") == "anns"
        assert said(service, "projects/anns") == "anns"
        with pytest.raises(RequestForbidden):
            said(service, "projects/mine")
