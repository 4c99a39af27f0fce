"""Endpoints of algorithm management: create, build, publish, list (platform contract, section 5)."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from wrapgen.errors import NotFound, ServerFault
from wrapgen.platform.api.algorithm_objects import (
    AlgorithmObject,
    BuildObject,
    CallError,
    algorithm_object,
    build_object,
)
from wrapgen.platform.api.endpoint import Ask, Page, Paging, endpoint, reply, said
from wrapgen.platform.calls.loading import load
from wrapgen.platform.domain.algorithms import NO_SUCH
from wrapgen.platform.domain.model import Algorithm, Build, Released

if TYPE_CHECKING:
    from wrapgen.platform import Platform

LISTED_LOG = 128 * 1024
"""Most bytes of a build's log that stand with a version; a page has up to a thousand of them."""


class AlgorithmFields(Struct):
    """What a request says of an algorithm or a release."""

    name: str | None = None
    details: dict[str, Any] | None = None
    settings: dict[str, Any] | None = None
    version_info: dict[str, Any] | None = None
    source: dict[str, Any] | None = None


class VersionQuery(Paging):
    """Which builds are listed: those (not) published, those of public (private) versions."""

    published: bool | None = None
    callable: bool | None = None


class BuildLogs(Struct):
    """The log of a build."""

    logs: str


class ScmStatus(Struct):
    """Whether the source host answers."""

    scm_connection_status: str


class CommitObject(Struct):
    """An entry of an algorithm's history."""

    id: str
    short_message: str
    message: str
    author: str


class AlgorithmApi:
    """Algorithms, their builds and versions."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._state = platform.state
        self._algorithms = platform.state.algorithms

    @endpoint("POST", "/v1/algorithms/{owner}", status=201)
    def create_algorithm(self, ask: Ask, body: AlgorithmFields) -> AlgorithmObject:
        """Makes an algorithm, with a repository that holds the template."""
        self._state.scms.require_internal(body.source)
        return self._show(ask, self._algorithms.create(ask.caller, ask["owner"], said(body)), None)

    @endpoint("GET", "{algorithm}")
    def algorithm(self, ask: Ask) -> AlgorithmObject | Response:
        """Shows an algorithm with its newest build."""
        try:
            return self._current(ask, self._seen(ask))
        except NotFound:
            # A string where other errors have an object (algorithmia-python, Algorithmia/algorithm.py).
            answer = reply({"error": NO_SUCH}, 404)
            answer.headers["X-Error-Message"] = NO_SUCH
            return answer

    @endpoint("PUT", "{algorithm}")
    def update_algorithm(self, ask: Ask, body: AlgorithmFields) -> AlgorithmObject:
        """Changes an algorithm."""
        return self._current(ask, self._algorithms.update(ask.caller, self._seen(ask), said(body)))

    @endpoint("DELETE", "{algorithm}")
    def delete_algorithm(self, ask: Ask) -> None:
        """Removes an algorithm with its versions, builds, repository and files."""
        self._platform.delete_algorithm(ask.caller, self._seen(ask))

    @endpoint("POST", "{algorithm}/compile")
    async def compile_algorithm(self, ask: Ask) -> AlgorithmObject:
        """Builds the newest commit; answers when the build has ended."""
        algorithm = await run_in_threadpool(self._own, ask)
        build = await run_in_threadpool(self._algorithms.build_head, algorithm)
        # No thread waits: many slow builds must not keep other requests from being answered.
        await asyncio.shield(asyncio.wrap_future(self._state.builds.end_of(build)))
        build = await run_in_threadpool(self._state.builds.get, algorithm.id, build.id)
        if build.status == "in-progress":
            raise ServerFault("the platform is stopping; compile again later", reason="unavailable")
        return await run_in_threadpool(self._show, ask, algorithm, Released(build, None))

    @endpoint("POST", "{algorithm}/versions")
    @endpoint("POST", "{algorithm}/version")
    async def publish_version(self, ask: Ask, body: AlgorithmFields) -> AlgorithmObject:
        """Releases the newest build, once a worker has loaded it."""
        algorithm, caller, fields = await run_in_threadpool(self._seen, ask), ask.caller, said(body)
        runnable = await run_in_threadpool(self._algorithms.releasable, caller, algorithm, fields)
        await load(self._platform.pools, runnable)
        release = self._algorithms.publish
        released = await run_in_threadpool(release, caller, algorithm, fields, runnable.build_id)
        return await run_in_threadpool(lambda: self._show(ask, self._seen(ask), released))

    @endpoint("GET", "{algorithm}/versions")
    def versions(self, ask: Ask, query: VersionQuery) -> Page[AlgorithmObject]:
        """Lists builds and the versions they became, newest first; strangers see public versions only."""
        algorithm = self._seen(ask)
        callability = None if query.callable is None else "public" if query.callable else "private"
        after = partial(
            self._algorithms.page,
            ask.caller,
            algorithm,
            published=query.published,
            callability=callability,
        )
        return ask.page_after(
            query,
            after,
            lambda each: each.build.id,
            lambda each: self._show(ask, algorithm, each),
        )

    @endpoint("GET", "{algorithm}/versions/{git_hash}")
    def version(self, ask: Ask) -> AlgorithmObject:
        """Shows a version by its commit (a semantic version is understood too)."""
        algorithm = self._seen(ask)
        found = self._algorithms.named_for(ask.caller, algorithm, ask["git_hash"])
        return self._show(ask, algorithm, found)

    @endpoint("POST", "{algorithm}/versions/{git_hash}/load")
    async def load_version(self, ask: Ask) -> None:
        """Has a worker load a build, without a call. An addition of ours."""
        algorithm = await run_in_threadpool(self._own, ask)
        place = (algorithm.owner, algorithm.name, ask["git_hash"])
        runnable = await run_in_threadpool(self._algorithms.resolve, *place, ask.caller)
        await load(
            self._platform.pools,
            runnable if ask.caller.permissions.data_read else runnable.without_data(),
        )

    @endpoint("GET", "{algorithm}/builds")
    def builds(self, ask: Ask, query: Paging) -> Page[BuildObject]:
        """Lists builds, newest first."""
        return ask.page_after(
            query,
            partial(self._algorithms.page, ask.caller, self._own(ask)),
            lambda each: each.build.id,
            lambda each: build_object(each.build, each.version),
        )

    @endpoint("GET", "{algorithm}/builds/{build_id}")
    def build(self, ask: Ask) -> BuildObject:
        """Shows a build."""
        released = self._algorithms.released(self._build(ask))
        return build_object(released.build, released.version)

    @endpoint("GET", "{algorithm}/builds/{build_id}/logs")
    def build_logs(self, ask: Ask) -> BuildLogs:
        """Shows the log of a build that has ended."""
        build = self._build(ask)
        if build.status == "in-progress":
            raise NotFound("the build has not ended yet")
        return BuildLogs(self._state.builds.log(build))

    @endpoint("GET", "{algorithm}/scm/status")
    def scm_status(self, ask: Ask) -> ScmStatus:
        """Shows whether the source host answers."""
        self._own(ask)
        return ScmStatus("active")

    @endpoint("GET", "{algorithm}/errors")
    def algorithm_errors(self, ask: Ask) -> list[CallError]:
        """Lists calls of an algorithm that failed."""
        return msgspec.convert(self._state.errors.of_algorithm(self._own(ask).id), list[CallError])

    @endpoint("GET", "{algorithm}/log")
    def history(self, ask: Ask) -> dict[str, list[CommitObject]]:
        """Shows the newest commits."""
        commits = self._state.repositories.history(self._own(ask).id)
        shown = [
            CommitObject(each.id, each.message.partition("\n")[0], each.message, each.author)
            for each in commits
        ]
        return {"commits": shown}

    @endpoint("POST", "{algorithm}/collections/{collection_id}")
    def choose_collection(self, ask: Ask) -> None:
        """Sets the default collection of an algorithm."""
        algorithm = self._own(ask)
        self._state.data.choose_default(algorithm.owner, algorithm.id, ask["collection_id"])

    # -- looking up ------------------------------------------------------------------------------------

    def _seen(self, ask: Ask) -> Algorithm:
        return self._algorithms.named(ask.caller, ask.request.path_params)

    def _own(self, ask: Ask) -> Algorithm:
        return self._algorithms.owned(ask.caller, self._seen(ask))

    def _build(self, ask: Ask) -> Build:
        return self._state.builds.get(self._own(ask).id, ask["build_id"])

    def _current(self, ask: Ask, algorithm: Algorithm) -> AlgorithmObject:
        newest = self._algorithms.page(ask.caller, algorithm, None, 1)
        return self._show(ask, algorithm, newest[0] if newest else None)

    def _show(self, ask: Ask, algorithm: Algorithm, released: Released | None) -> AlgorithmObject:
        # What an installation prints may name its author's sources.
        shown = released is not None and ask.caller.sees_private(algorithm.owner)
        log = self._state.builds.log(released.build, LISTED_LOG) if released and shown else ""
        sandboxed = self._state.sandbox is not None
        return algorithm_object(algorithm, released, log=log, base=ask.base, sandboxed=sandboxed)


APIS = (AlgorithmApi,)
