"""Import and export of a whole gallery."""

import shutil
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from kshot.serve.actions.exports import export
from kshot.serve.actions.imports import import_zip
from kshot.serve.messages.gallery_messages import ImportResponse
from kshot.serve.messages.names import normal
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.access import needs
from kshot.serve.rest.openapi import archive as archive_body
from kshot.serve.rest.routes.galleries_router import TEACH
from kshot.serve.rest.routes.service_router import service_of
from kshot.serve.store.gallery_store import scratch

router = APIRouter(prefix="/v1/galleries/{gallery}", tags=["import and export"])
CHUNK = 2**20


@router.post("/import", openapi_extra=archive_body())
async def import_archive(
    request: Request, gallery: str, _: Annotated[object, Depends(needs("teach"))], whole_names: bool = False
) -> ImportResponse:
    """Teach the images of a zip: a folder a class, or the zip of an export. Files that cannot be used are listed.

    Folders around all others are a part of the class names with `whole_names` alone.
    """
    service = service_of(request)
    folder = scratch(service.store)
    try:
        sent = folder / "sent.zip"
        await _receive(request, sent)
        return await run_in_threadpool(import_zip, service, gallery, sent, folder, whole_names)
    finally:
        await run_in_threadpool(shutil.rmtree, folder, ignore_errors=True)


@router.get("/export", dependencies=TEACH, response_class=FileResponse)
def export_archive(request: Request, gallery: str) -> FileResponse:
    """The gallery as a zip of images/CLASS/FILE and manifest.csv, which `kshot data add` reads, too."""
    service = service_of(request)
    folder = scratch(service.store)
    try:
        file = folder / "gallery.zip"
        export(service, normal(gallery), file)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    clean = BackgroundTask(shutil.rmtree, folder, ignore_errors=True)
    return FileResponse(file, media_type="application/zip", filename=f"{normal(gallery)}.zip", background=clean)


async def _receive(request: Request, file: Path) -> None:
    """Write the body, or the form's field `file`, to a file."""
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        async with request.form(max_files=1) as form:
            sent = form.get("file")
            if not isinstance(sent, UploadFile):
                raise Refused(422, "bad_request", "the form has no file in the field 'file'; needs a zip there")
            with file.open("wb") as out:
                while part := await sent.read(CHUNK):
                    await run_in_threadpool(out.write, part)
        return
    with file.open("wb") as out:
        async for part in request.stream():
            await run_in_threadpool(out.write, part)
