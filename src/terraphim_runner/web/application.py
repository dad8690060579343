"""The ASGI application: the routes, and one shape for every error."""

from datetime import UTC, datetime
from importlib.metadata import version
from typing import cast

from fastapi import APIRouter, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

SERVICE = "terraphim-runner"
VERSION = version("terraphim-github-runner")


def build_application(*routers: APIRouter) -> FastAPI:
    """Return the application. Every error is ``{"message": …, "status": "error"}``; no page loads anything foreign."""
    application = FastAPI(
        title="Terraphim GitHub Runner",
        version=VERSION,
        openapi_url="/openapi.json",
        docs_url=None,
        redoc_url=None,
        exception_handlers={HTTPException: _http_error, RequestValidationError: _bad_request, Exception: _defect},
    )

    @application.get("/health")
    async def health() -> JSONResponse:
        """Tell that the server answers."""
        now = datetime.now(UTC).isoformat()
        return JSONResponse({"service": SERVICE, "status": "healthy", "version": VERSION, "timestamp": now})

    for router in routers:
        application.include_router(router)
    return application


async def _http_error(_: Request, error: Exception) -> Response:
    known = cast("HTTPException", error)
    content = {"message": str(known.detail), "status": "error"}
    return JSONResponse(content, status_code=known.status_code, headers=known.headers)


async def _bad_request(_: Request, error: Exception) -> Response:
    faults = cast("RequestValidationError", error).errors()
    told = "; ".join(f"{'.'.join(str(part) for part in fault['loc'][1:])}: {fault['msg']}" for fault in faults[:3])
    return JSONResponse({"message": told, "status": "error"}, status_code=400)


async def _defect(_: Request, error: Exception) -> Response:
    # The server's own log has the trace; a stranger learns nothing of it.
    return JSONResponse({"message": "internal error", "status": "error"}, status_code=500)
