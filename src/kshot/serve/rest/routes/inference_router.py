"""The Open Inference Protocol, version 2: health, metadata and infer, for platforms that speak it.

https://github.com/open-inference/open-inference-protocol. An infer request names its gallery in `parameters`. An
address may name the served version, too: /v2/models/NAME/versions/VERSION. Tensors are JSON, not Triton's binary data.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict
from starlette.concurrency import run_in_threadpool

from kshot.serve.actions.recognising import check_count, recognise_images
from kshot.serve.messages.gallery_messages import InferenceErrorResponse
from kshot.serve.messages.recognise_messages import RecogniseResponse
from kshot.serve.messages.refusals import Refused
from kshot.serve.rest.access import needs
from kshot.serve.rest.bodies import from_base64, read_json
from kshot.serve.rest.error_response import PROTOCOL
from kshot.serve.rest.openapi import json_body
from kshot.serve.rest.record import record_of
from kshot.serve.rest.routes.galleries_router import ASK
from kshot.serve.rest.routes.service_router import service_of

router = APIRouter(
    prefix=PROTOCOL,
    tags=["Open Inference Protocol"],
    responses={"default": {"model": InferenceErrorResponse, "description": "What cannot be done, in one line"}},
)
INPUT = {"name": "images", "datatype": "BYTES", "shape": [-1]}
OUTPUTS = [
    {"name": "label", "datatype": "BYTES", "shape": [-1]},
    {"name": "probability", "datatype": "FP64", "shape": [-1]},
    {"name": "distance", "datatype": "FP64", "shape": [-1]},
    {"name": "unknown", "datatype": "BOOL", "shape": [-1]},
]


BINARY = "inference-header-content-length"  # of Triton's binary tensor data extension
VERSION = "/models/{name}/versions/{version}"


class Tensor(BaseModel):
    """data: base64 of image files, one an element."""

    model_config = ConfigDict(extra="ignore")
    name: str
    datatype: str
    shape: list[int]
    data: list[str]


class Output(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str


class Infer(BaseModel):
    """parameters: {"gallery": NAME}; outputs: those to return, [] for all."""

    model_config = ConfigDict(extra="ignore")
    id: str | None = None
    parameters: dict[str, Any] = {}
    inputs: list[Tensor]
    outputs: list[Output] = []


@router.get("")
def server() -> dict[str, Any]:
    """The server's name."""
    return {"name": "kshot", "version": "2", "extensions": []}


@router.get("/health/live")
def live() -> dict[str, bool]:
    """200 while the process answers."""
    return {"live": True}


@router.get("/health/ready")
def ready(request: Request) -> JSONResponse:
    """200 while images can be recognised; `notes` says what is missing, such as the registry."""
    notes = service_of(request).notes()
    return JSONResponse({"ready": True, "state": "degraded" if notes else "ready", "notes": notes})


@router.get("/models/{name}", dependencies=ASK)
@router.get(VERSION, dependencies=ASK, include_in_schema=False)
def model(request: Request, name: str) -> dict[str, Any]:
    """The model's versions, inputs and outputs."""
    version = _require_model(request, name)
    return {"name": name, "versions": [version], "platform": "kshot", "inputs": [INPUT], "outputs": OUTPUTS}


@router.get("/models/{name}/ready", dependencies=ASK)
@router.get(f"{VERSION}/ready", dependencies=ASK, include_in_schema=False)
def model_ready(request: Request, name: str) -> dict[str, Any]:
    """200 if the model is served."""
    return {"name": name, "version": _require_model(request, name), "ready": True}


@router.post("/models/{name}/infer", openapi_extra=json_body(Infer))
@router.post(f"{VERSION}/infer", include_in_schema=False)
async def infer(request: Request, name: str, _: Annotated[object, Depends(needs("ask"))]) -> dict[str, Any]:
    """Recognise images in the gallery that `parameters` names."""
    service, record = service_of(request), record_of(request)
    _require_model(request, name)
    if BINARY in request.headers:
        text = "the tensors are binary data, which is not read here; needs JSON: binary_data=False in tritonclient"
        raise Refused(415, "binary_tensors", text)
    sent = await read_json(request, Infer)
    gallery = sent.parameters.get("gallery")
    if not isinstance(gallery, str):
        raise Refused(422, "bad_request", 'parameters names no gallery; needs {"gallery": NAME}')
    tensor = next((one for one in sent.inputs if one.name == INPUT["name"]), None)
    if tensor is None or tensor.datatype != "BYTES" or tensor.shape != [len(tensor.data)]:
        raise Refused(422, "bad_request", "inputs has no tensor images of BYTES and shape [N] with N data; needs it")
    wanted = [one.name for one in sent.outputs] or [str(one["name"]) for one in OUTPUTS]
    if unknown := set(wanted) - {str(one["name"]) for one in OUTPUTS}:
        raise Refused(422, "bad_request", f"there is no output {min(unknown)!r}; GET /v2/models/{name} lists them")
    check_count(service, len(tensor.data))

    def work() -> RecogniseResponse:
        images = [from_base64(text, f"images[{place}]") for place, text in enumerate(tensor.data)]
        return recognise_images(service, gallery, images, record.id, n_next=0, n_nearest=0)

    found = await run_in_threadpool(work)
    record.fields |= {"images": len(found.results), "model_version": found.model_version, "revision": found.revision}
    request.app.state.metrics.count(found)
    rows = [(one.label, one.probability, one.distance, one.unknown) for one in found.results]
    shape = [len(found.results)]
    return {
        "model_name": name,
        "model_version": found.model_version,
        "id": sent.id or record.id,
        "parameters": {"gallery": gallery, "revision": found.revision},
        "outputs": [
            {**about, "shape": shape, "data": data}
            for about, data in zip(OUTPUTS, zip(*rows, strict=True), strict=True)
            if about["name"] in wanted
        ],
    }


def _require_model(request: Request, name: str) -> str:
    """The served version. Raises Refused if the address names another model or version."""
    served = service_of(request).snapshot.version
    if name != served.name:
        raise Refused(404, "unknown_model", f"there is no model {name!r}; this service serves {served.name!r}")
    version = request.path_params.get("version", served.version)
    if version != served.version:
        raise Refused(404, "unknown_version", f"version {version} is not served; version {served.version} is")
    return served.version
