"""What all endpoints share: who may ask, and the one type that each body, query and reply has.

A method that `@endpoint` marks gets an `Ask`, with a `body` or a `query` of the struct that it names; what it
returns is the reply. It runs in a thread unless it is a coroutine. What checks requests and what the OpenAPI
document says are both made from these types.
"""

from __future__ import annotations

import base64
import inspect
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, TypeVar, get_type_hints

import msgspec
from msgspec import Struct
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from wrapgen.errors import BadRequest, TooLarge
from wrapgen.platform.api import auth
from wrapgen.platform.domain.model import Caller

PAGE = 50
"""Results of a page where the request doesn't say (platform contract, section 1)."""

LARGEST_PAGE = 1000
"""Most results of a page, whatever the request says; some of the vendor's clients ask for more than PAGE."""

ALGORITHM = ("/v1/algorithms/{id:uuid}", "/v1/algorithms/{owner}/{name}")
"""Both ways to name an algorithm, written as `{algorithm}` in a path of an endpoint."""

T = TypeVar("T")


class Paging(Struct):
    """What a query says of a page of a listing."""

    limit: int = PAGE
    marker: str = ""


class Page(Struct, Generic[T]):
    """A page of a listing; marker and link are null on the last one."""

    marker: str | None
    next_link: str | None
    results: list[T]


class Results(Struct, Generic[T]):
    """A whole listing."""

    results: list[T]


class ApiResult(Struct, Generic[T]):
    """What became of a request for data."""

    result: T


@dataclass(frozen=True)
class Ask:
    """One request: itself, and who sends it (no account where no key is asked for)."""

    request: Request
    caller: Caller

    def __getitem__(self, name: str) -> str:
        """A word of the path."""
        return str(self.request.path_params[name])

    @property
    def base(self) -> str:
        """The address under which the client sees this platform, for links."""
        return f"{self.request.url.scheme}://{self.request.url.netloc}/v1"

    def page(
        self, query: Paging, items: Sequence[T], place: Callable[[T], str], show: Callable[[T], Any]
    ) -> Page[Any]:
        """One page of a listing, from where the request's marker points.

        Args:
            query: what the request says.
            items: all items in listing order.
            place: what identifies an item in that order.
            show: an item's JSON.

        Raises:
            BadRequest: the marker is not one of ours.
        """

        def after(last: str | None, count: int) -> Sequence[T] | None:
            places = [place(item) for item in items] if last is not None else []
            if last is not None and last not in places:
                return None
            start = 0 if last is None else places.index(last) + 1
            return items[start : start + count]

        return self.page_after(query, after, place, show)

    def page_after(
        self,
        query: Paging,
        after: Callable[[str | None, int], Sequence[T] | None],
        place: Callable[[T], str],
        show: Callable[[T], Any],
    ) -> Page[Any]:
        """As `page`, of a listing that is not read whole.

        Args:
            query: what the request says.
            after: gives so many items after a place, from the first on after None; None for no such place.
            place: what identifies an item in that order.
            show: an item's JSON.

        Raises:
            BadRequest: the marker is not one of ours.
        """
        if query.limit < 1:
            raise BadRequest(f"limit can't be {query.limit}", reason="invalid-limit")
        limit = min(query.limit, LARGEST_PAGE)
        found = after(_place(query.marker) if query.marker else None, limit + 1)
        if found is None:
            raise BadRequest("unknown marker", reason="unknown-marker")
        chosen = found[:limit]
        following = _marker(place(chosen[-1])) if len(found) > limit else None
        link = str(self.request.url.include_query_params(marker=following)) if following else None
        return Page(following, link, [show(item) for item in chosen])


@dataclass(frozen=True)
class Endpoint:
    """One method of one place.

    Args:
        verb: the HTTP method.
        path: as Starlette writes it.
        do: what answers.
        who: tells who sends a request; None where no key is needed.
        status: of a good reply; 0 for 200, or 204 without a body.
        cap: most bytes of a body; 0 for the platform's bound.
    """

    verb: str
    path: str
    do: Callable[..., Any]
    who: Callable[[Request], Caller] | None
    status: int = 0
    cap: int = 0

    @property
    def types(self) -> dict[str, Any]:
        """The types of `body`, `query` and `return`, as far as there are any."""
        return get_type_hints(self.do)

    def route(self) -> Route:
        """What Starlette asks."""
        types = self.types
        answer = partial(self.answer, body=types.get("body"), query=types.get("query"))
        return Route(self.path, answer, methods=[self.verb], name=self.path)

    async def answer(self, request: Request, *, body: Any, query: Any) -> Response:
        """Answers a request."""
        given: dict[str, Any] = {}
        ask = Ask(request, self.who(request) if self.who else Caller("", ""))
        if query is not None:
            given["query"] = query_of(request, query)
        if body is not None:
            given["body"] = decoded(await body_of(request, self.cap), body, request)
        if inspect.iscoroutinefunction(self.do):
            found = await self.do(ask, **given)
        else:
            found = await run_in_threadpool(self.do, ask, **given)
        if isinstance(found, Response):
            return found
        # The server adds the standard reason phrase of 204, which the vendor's Python client looks at.
        return Response(b"", self.status or 204) if found is None else reply(found, self.status or 200)


def endpoint(
    verb: str,
    path: str,
    *,
    who: Callable[[Request], Caller] | None = auth.standard,
    status: int = 0,
    cap: int = 0,
) -> Callable[[T], T]:
    """Marks a method that answers requests; may be given more than once. See `Endpoint`."""

    def mark(method: Any) -> Any:
        places = (
            [path.replace("{algorithm}", each) for each in ALGORITHM] if "{algorithm}" in path else [path]
        )
        made = [partial(Endpoint, verb, each, who=who, status=status, cap=cap) for each in places]
        method.endpoints = [*made, *getattr(method, "endpoints", ())]
        return method

    return mark


def endpoints_of(api: object) -> Iterator[Endpoint]:
    """The endpoints that an object's methods answer, in their order."""
    for name in vars(type(api)):
        method = getattr(api, name)
        yield from (make(do=method) for make in getattr(method, "endpoints", ()))


def reply(value: Any, status: int = 200) -> Response:
    """Compact JSON: callers of the vendor's Node client may compare the text (nodejs, src/HttpClient.ts)."""
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def body_of(request: Request, cap: int = 0) -> bytes:
    """The whole body of a management request; no more than the cap in bytes, or the platform's, is ever held.

    Raises:
        TooLarge: it is over the cap.
        NotAuthorized: the key was revoked meanwhile.
    """
    body, cap = bytearray(), cap or request.app.state.platform.bounds.body_bytes
    async for chunk in request.stream():
        body += chunk
        if len(body) > cap:
            raise TooLarge(f"the request is over {cap} bytes")
    auth.recheck(request)
    return bytes(body)


def decoded(body: bytes, kind: type[T], request: Request) -> T:
    """The value of a JSON body; nothing at all counts as an empty object.

    Raises:
        BadRequest: it is not JSON, or does not fit.
    """
    # The Python client sends what it means as an object as a form with the names only; it says nothing
    # (algorithmia-python, Algorithmia/algorithm.py, update). curl calls whatever it sends a form.
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if (form and body.lstrip()[:1] not in (b"{", b"[")) or body.strip() in (b"", b"null"):
        body = b"{}"
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"the body does not fit: {error}") from error
    except (msgspec.DecodeError, ValueError, RecursionError) as error:  # a ValueError in newer versions
        raise BadRequest(f"the body is not JSON: {error}", reason="invalid-json") from error


def query_of(request: Request, kind: type[T]) -> T:
    """What a query says; others than the known parameters, and empty ones, are ignored.

    Raises:
        BadRequest: a value does not fit.
    """
    given = {name: value for name, value in request.query_params.items() if value}
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        reason = "invalid-limit" if "$.limit" in str(error) else ""
        raise BadRequest(f"the query does not fit: {error}", reason=reason) from error


def said(struct: Struct, names: Iterable[str] | None = None) -> dict[str, Any]:
    """The fields of a request that say something: all, or those of some names."""
    found = msgspec.structs.asdict(struct)
    return {name: found[name] for name in names or found if found[name] is not None}


def _marker(place: str) -> str:
    return base64.urlsafe_b64encode(place.encode()).decode("ascii")


def _place(marker: str) -> str:
    """What a marker was made of.

    Raises:
        BadRequest: it was not made here.
    """
    try:
        place = base64.urlsafe_b64decode(marker.encode("ascii")).decode()
    except ValueError:
        place = ""
    if _marker(place) != marker:
        raise BadRequest("unknown marker", reason="unknown-marker")
    return place
