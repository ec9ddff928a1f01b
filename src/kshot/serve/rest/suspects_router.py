"""Suspects: taught examples that cause errors."""

from fastapi import APIRouter, Request

from kshot.serve.feedback_messages import Suspects
from kshot.serve.rest.galleries_router import ASK
from kshot.serve.rest.service_router import service_of
from kshot.serve.suspects import suspects_of

router = APIRouter(prefix="/v1/galleries/{gallery}", tags=["examples"])


@router.get("/suspects", dependencies=ASK)
def list_suspects(request: Request, gallery: str) -> Suspects:
    """Examples that the gallery without them takes for another class, the most certain first."""
    return suspects_of(service_of(request), gallery)
