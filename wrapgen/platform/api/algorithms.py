"""Routes of algorithm management: create, build, publish, list (platform contract, section 5)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, NotFound, ServerFault
from wrapgen.platform.api import auth
from wrapgen.platform.api.algorithm_objects import algorithm_object, build_object
from wrapgen.platform.api.exchange import base_of, empty, fields_of, page, reply
from wrapgen.platform.calls.loading import load
from wrapgen.platform.domain.algorithms import NO_SUCH
from wrapgen.platform.domain.model import Algorithm, Build, Caller, Released, Secret
from wrapgen.platform.domain.secrets import PROVIDER_ID
from wrapgen.platform.storage.database import iso

if TYPE_CHECKING:
    from wrapgen.platform import Platform

LISTED_LOG = 128 * 1024
"""Most bytes of a build's log that stand with a version; a page has up to a thousand of them."""

_FLAGS = {"true": True, "false": False}


def routes(platform: Platform) -> list[Route]:
    """All routes under /v1/algorithms, for names and for ids, and those of secret providers."""
    api = AlgorithmRoutes(platform)
    found = [Route("/v1/algorithms/{owner}", api.create, methods=["POST"])]
    for place in ("/v1/algorithms/{owner}/{name}", "/v1/algorithms/{id:uuid}"):
        found += [
            Route(f"{place}/compile", api.compile, methods=["POST"]),
            Route(f"{place}/versions", api.publish, methods=["POST"]),
            Route(f"{place}/version", api.publish, methods=["POST"]),
            Route(f"{place}/versions", api.versions, methods=["GET"]),
            Route(f"{place}/versions/{{git_hash}}", api.version, methods=["GET"]),
            Route(f"{place}/versions/{{git_hash}}/load", api.load, methods=["POST"]),
            Route(f"{place}/builds", api.builds, methods=["GET"]),
            Route(f"{place}/builds/{{build_id}}", api.build, methods=["GET"]),
            Route(f"{place}/builds/{{build_id}}/logs", api.build_log, methods=["GET"]),
            Route(f"{place}/scm/status", api.scm_status, methods=["GET"]),
            Route(f"{place}/errors", api.errors, methods=["GET"]),
            Route(f"{place}/log", api.history, methods=["GET"]),
            Route(f"{place}/collections/{{collection_id}}", api.choose_collection, methods=["POST"]),
            Route(f"{place}/secrets", api.secrets, methods=["GET"]),
            Route(f"{place}/secrets", api.add_secret, methods=["POST"]),
            Route(f"{place}/secrets/{{secret_id}}", api.update_secret, methods=["PUT"]),
            Route(f"{place}/secrets/{{secret_id}}", api.delete_secret, methods=["DELETE"]),
            Route(place, api.read, methods=["GET"]),
            Route(place, api.update, methods=["PUT"]),
            Route(place, api.delete, methods=["DELETE"]),
        ]
    # An id has no owner before it: its routes must be tried first, or `ID/compile` looks like a name.
    found.sort(key=lambda route: "{id:uuid}" not in route.path)
    return [
        Route("/v1/secret-provider", api.secret_providers, methods=["GET"]),
        *found,
    ]


class AlgorithmRoutes:
    """One method per route; each only translates."""

    def __init__(self, platform: Platform) -> None:
        self._state = platform.state

    async def create(self, request: Request) -> Response:
        """POST /v1/algorithms/:owner"""
        caller, fields = auth.standard(request), await fields_of(request)
        owner = request.path_params["owner"]
        await run_in_threadpool(self._state.scms.require_internal, fields.get("source"))
        made = await run_in_threadpool(self._state.algorithms.create, caller, owner, fields)
        return reply(self._warned(algorithm_object(made, base=base_of(request))), 201)

    async def read(self, request: Request) -> Response:
        """GET .../:name"""
        caller = auth.standard(request)
        try:
            algorithm = await self._algorithm(request, caller)
        except NotFound:
            # A string where other errors have an object (algorithmia-python, Algorithmia/algorithm.py).
            answer = reply({"error": NO_SUCH}, 404)
            answer.headers["X-Error-Message"] = NO_SUCH
            return answer
        return reply(await run_in_threadpool(self._current, algorithm, base_of(request), caller))

    async def update(self, request: Request) -> Response:
        """PUT .../:name"""
        caller, fields = auth.standard(request), await fields_of(request)
        algorithm = await self._algorithm(request, caller)
        changed = await run_in_threadpool(self._state.algorithms.update, caller, algorithm, fields)
        return reply(await run_in_threadpool(self._current, changed, base_of(request), caller))

    async def delete(self, request: Request) -> Response:
        """DELETE .../:name"""
        caller = auth.standard(request)
        algorithm = await self._algorithm(request, caller)
        await run_in_threadpool(self._state.algorithms.delete, caller, algorithm)
        await run_in_threadpool(self._state.data.forget_algorithm, algorithm.id)
        platform: Platform = request.app.state.platform
        platform.observer.forget_algorithm(algorithm.owner, algorithm.name)
        return empty()

    async def compile(self, request: Request) -> Response:
        """POST .../compile: answers when the build has ended."""
        caller = auth.standard(request)
        algorithm = self._state.algorithms.owned(caller, await self._algorithm(request, caller))
        build = await run_in_threadpool(self._state.algorithms.build_head, algorithm)
        # No thread waits: many slow builds must not keep other requests from being answered.
        await asyncio.shield(asyncio.wrap_future(self._state.builds.end_of(build)))
        build = await run_in_threadpool(self._state.builds.get, algorithm.id, build.id)
        if build.status == "in-progress":
            raise ServerFault("the platform is stopping; compile again later", reason="unavailable")
        return reply(self._show(algorithm, Released(build, None), base_of(request), caller))

    async def publish(self, request: Request) -> Response:
        """POST .../versions"""
        caller, fields = auth.standard(request), await fields_of(request)
        algorithm = await self._algorithm(request, caller)
        released = await run_in_threadpool(self._state.algorithms.publish, caller, algorithm, fields)
        algorithm = await self._algorithm(request, caller)
        return reply(self._show(algorithm, released, base_of(request), caller))

    async def versions(self, request: Request) -> Response:
        """GET .../versions"""
        caller = auth.standard(request)
        algorithm = await self._algorithm(request, caller)
        published, public = _flag(request, "published"), _flag(request, "callable")
        listed = await run_in_threadpool(self._listed, algorithm, caller, published, public)
        base = base_of(request)
        return await run_in_threadpool(
            page,
            request,
            listed,
            lambda each: each.build.id,
            lambda each: self._show(algorithm, each, base, caller),
        )

    async def version(self, request: Request) -> Response:
        """GET .../versions/:git_hash (a semantic version is understood too)"""
        caller = auth.standard(request)
        algorithm = await self._algorithm(request, caller)
        wanted = request.path_params["git_hash"]
        for each in await run_in_threadpool(self._listed, algorithm, caller):
            semantic = each.version.semantic if each.version else None
            if wanted in (each.build.git_hash, semantic):
                return reply(self._show(algorithm, each, base_of(request), caller))
        raise NotFound(f"no such version: {wanted}")

    async def load(self, request: Request) -> Response:
        """POST .../versions/:git_hash/load: has a worker load, without a call. An addition of ours."""
        caller = auth.standard(request)
        algorithm = self._state.algorithms.owned(caller, await self._algorithm(request, caller))
        runnable = await run_in_threadpool(
            self._state.algorithms.resolve,
            algorithm.owner,
            algorithm.name,
            request.path_params["git_hash"],
            caller,
        )
        platform: Platform = request.app.state.platform
        await load(platform.pools, runnable if caller.permissions.data_read else runnable.without_data())
        return empty()

    async def builds(self, request: Request) -> Response:
        """GET .../builds"""
        caller = auth.standard(request)
        algorithm = await self._own(request, caller)
        listed = await run_in_threadpool(self._listed, algorithm, caller)
        return page(
            request, listed, lambda each: each.build.id, lambda each: build_object(each.build, each.version)
        )

    async def build(self, request: Request) -> Response:
        """GET .../builds/:build_id"""
        build = await self._build(request)
        released = await run_in_threadpool(self._state.algorithms.released, build)
        return reply(build_object(build, released.version))

    async def build_log(self, request: Request) -> Response:
        """GET .../builds/:build_id/logs"""
        build = await self._build(request)
        if build.status == "in-progress":
            raise NotFound("the build has not ended yet")
        return reply({"logs": await run_in_threadpool(self._state.builds.log, build)})

    async def scm_status(self, request: Request) -> Response:
        """GET .../scm/status"""
        await self._own(request, auth.standard(request))
        return reply({"scm_connection_status": "active"})

    async def errors(self, request: Request) -> Response:
        """GET .../errors"""
        algorithm = await self._own(request, auth.standard(request))
        return reply(await run_in_threadpool(self._state.errors.of_algorithm, algorithm.id))

    async def history(self, request: Request) -> Response:
        """GET .../log"""
        algorithm = await self._own(request, auth.standard(request))
        commits = await run_in_threadpool(self._state.repositories.history, algorithm.id)
        shown = [
            {
                "id": commit.id,
                "short_message": commit.message.partition("\n")[0],
                "message": commit.message,
                "author": commit.author,
            }
            for commit in commits
        ]
        return reply({"commits": shown})

    async def choose_collection(self, request: Request) -> Response:
        """POST .../collections/:collectionId: sets the default collection."""
        algorithm = await self._own(request, auth.standard(request))
        wanted = request.path_params["collection_id"]
        await run_in_threadpool(self._state.data.choose_default, algorithm.owner, algorithm.id, wanted)
        return empty()

    # -- secrets ---------------------------------------------------------------------------------------

    async def secrets(self, request: Request) -> Response:
        """GET .../secrets: under both names that upstream material uses (platform contract, section 8)."""
        algorithm = await self._own(request, auth.standard(request))
        found = [
            _secret(each) for each in await run_in_threadpool(self._state.secrets.of_algorithm, algorithm.id)
        ]
        return reply({"results": found, "secrets": found})

    async def add_secret(self, request: Request) -> Response:
        """POST .../secrets"""
        algorithm, fields = await self._own(request, auth.standard(request)), await fields_of(request)
        return reply(_secret(await run_in_threadpool(self._state.secrets.create, algorithm.id, fields)))

    async def update_secret(self, request: Request) -> Response:
        """PUT .../secrets/:id"""
        algorithm, fields = await self._own(request, auth.standard(request)), await fields_of(request)
        secret = request.path_params["secret_id"]
        changed = await run_in_threadpool(self._state.secrets.update, algorithm.id, secret, fields)
        return reply(_secret(changed))

    async def delete_secret(self, request: Request) -> Response:
        """DELETE .../secrets/:id"""
        algorithm = await self._own(request, auth.standard(request))
        await run_in_threadpool(self._state.secrets.delete, algorithm.id, request.path_params["secret_id"])
        return empty()

    async def secret_providers(self, request: Request) -> Response:
        """GET /v1/secret-provider"""
        auth.standard(request)
        return reply([{"id": PROVIDER_ID, "name": "internal", "description": "kept by this platform"}])

    # -- source hosts ----------------------------------------------------------------------------------

    # -- looking up ------------------------------------------------------------------------------------

    async def _algorithm(self, request: Request, caller: Caller) -> Algorithm:
        words, service = request.path_params, self._state.algorithms
        if "id" in words:
            return await run_in_threadpool(service.get_id, caller, str(words["id"]))
        return await run_in_threadpool(service.get, caller, words["owner"], words["name"])

    async def _own(self, request: Request, caller: Caller) -> Algorithm:
        return self._state.algorithms.owned(caller, await self._algorithm(request, caller))

    async def _build(self, request: Request) -> Build:
        algorithm = await self._own(request, auth.standard(request))
        return await run_in_threadpool(self._state.builds.get, algorithm.id, request.path_params["build_id"])

    def _listed(
        self, algorithm: Algorithm, caller: Caller, published: bool | None = None, public: bool | None = None
    ) -> list[Released]:
        """Builds and what they became, newest first; strangers see public versions only."""
        found = self._state.algorithms.listed(algorithm.id)
        if published is not None:
            found = [each for each in found if (each.version is not None) == published]
        if not _trusts(algorithm, caller):
            found = [each for each in found if each.version and each.version.callability == "public"]
        if public is not None:
            wanted = "public" if public else "private"
            found = [each for each in found if each.version and each.version.callability == wanted]
        return found

    def _current(self, algorithm: Algorithm, base: str, caller: Caller) -> dict[str, Any]:
        newest = self._listed(algorithm, caller)[:1]
        if not newest:
            return self._warned(algorithm_object(algorithm, base=base))
        return self._show(algorithm, newest[0], base, caller)

    def _show(self, algorithm: Algorithm, released: Released, base: str, caller: Caller) -> dict[str, Any]:
        # What an installation prints may name its author's sources.
        log = self._state.builds.log(released.build, LISTED_LOG) if _trusts(algorithm, caller) else ""
        return self._warned(algorithm_object(algorithm, released, log=log, base=base))

    def _warned(self, shown: dict[str, Any]) -> dict[str, Any]:
        """An algorithm's object, with what of its settings this server can't do (an addition of ours)."""
        if self._state.sandbox is None and shown["settings"]["network_access"] == "isolated":
            shown["warnings"] = ["network_access: isolated is not enforced: this server has no sandbox"]
        return shown


def _trusts(algorithm: Algorithm, caller: Caller) -> bool:
    """Whether the caller may see what isn't public: the owner may, but no algorithm that works for it."""
    return caller.owns(algorithm.owner) and caller.algorithm is None


def _secret(secret: Secret) -> dict[str, Any]:
    return {
        "id": secret.id,
        "owner_type": "algorithm",
        "owner_id": secret.algorithm_id,
        "short_name": secret.short_name,
        "secret_key": secret.variable,
        "provider_id": PROVIDER_ID,
        "description": secret.description,
        "created": iso(secret.created_at),
        "modified": iso(secret.modified_at),
    }


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name)
    if not text:
        return None
    if text.lower() not in _FLAGS:
        raise BadRequest(f"{name} must be true or false, not {text!r}")
    return _FLAGS[text.lower()]
