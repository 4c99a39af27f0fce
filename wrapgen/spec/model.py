"""The spec as a frozen Pydantic model: every key, its type, its default and its one-line meaning.

What one value may be is decided here; what several values mean together is in `rules`; where a value
stands in the file is in `tree`. The JSON Schema and the table in docs/spec.md are made from these classes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PrivateAttr, Strict

from wrapgen.protocol import MAX_TIMEOUT, PLATFORM_REQUEST, PLATFORM_RESPONSE
from wrapgen.spec import names
from wrapgen.spec.expand import Expanded, expand
from wrapgen.spec.preset import presets
from wrapgen.spec.section import VARIABLE, Section, checked, sketch
from wrapgen.spec.serving import CALLS, Serve
from wrapgen.spec.store import StoreAddress, check_credentials, parse_store, parse_store_variable
from wrapgen.spec.target import Target, or_text

MAX_PARALLEL = 24
DEFAULT_PARALLEL = 8


def _check_record_id(text: str) -> None:
    if text in ("random", "content"):
        return
    if not text.startswith("$"):
        raise names.Refused(
            f"{names.shown(text)} is not random, content or a path",
            f"write $.{text}" if text.isidentifier() else "write for example $.id",
        )
    if None in names.parse_path(text):
        raise names.Refused("an id is one value, and * means many", "name one element, such as [0]")


def _whole_number(value: Any) -> Any:
    """Keeps 1.0 and true, which equal 1 in Python, from passing for the number 1."""
    return value if type(value) is int else f"{value}"


_NAME = "[A-Za-z][A-Za-z0-9_]{0,29}/[A-Za-z][A-Za-z0-9_]{0,199}"
_URL = sketch(r"[a-z][a-z0-9]*(\+[A-Za-z0-9._-]+)?://.+", "data://acme/sentiment")
_ID = sketch(r"(random|content|\$.+)", "random", "content", "$.id")

WrapperName = Annotated[str, checked(names.check_wrapper_name), sketch(_NAME, "acme/SentimentBatch")]
Variable = Annotated[str, checked(names.check_variable), sketch(VARIABLE, "DATABASE_URL")]
KeyVariable = Annotated[str, checked(names.check_variable), sketch(VARIABLE, "WRAPPER_DATA_KEY")]
IdKeyVariable = Annotated[str, checked(names.check_variable), sketch(VARIABLE, "WRAPPER_ID_KEY")]
EnvironmentName = Annotated[str, checked(names.check_environment), sketch("python3.*", "python38")]
StoreURL = Annotated[str, checked(parse_store), _URL]
CredentialsFile = Annotated[
    str, checked(check_credentials), Field(examples=["data://acme/private/credentials.json"])
]
ItemPath = Annotated[str, checked(names.parse_path), sketch(r"\$.*", "$.user.email")]
RecordId = Annotated[str, checked(_check_record_id), _ID]


class WrapperPart(Section):
    """The algorithm to generate."""

    name: WrapperName = Field(description="The wrapper on the platform: `owner/Name`.")
    mode: Literal["batch", "log", "both"] = Field(
        description="`batch`: lists in, lists out, nothing recorded. `log`: every call recorded. `both`."
    )
    environment: EnvironmentName | None = Field(
        None, description="The hosted runtime to publish on; none: the newest the platform offers."
    )

    @property
    def owner(self) -> str:
        """The account or organization that owns the wrapper."""
        return self.name.partition("/")[0]

    @property
    def algorithm_name(self) -> str:
        """The wrapper's name without its owner; also the name of its main module."""
        return self.name.partition("/")[2]


class Datastore(Section):
    """Where records go. Not in mode `batch`."""

    model_config = ConfigDict(json_schema_extra={"oneOf": [{"required": ["url"]}, {"required": ["url_env"]}]})

    url: StoreURL | None = Field(
        None,
        description="`data://owner/collection`, a connector such as `s3://`, a folder (`file:///folder`, or "
        "`./folder` beside the spec), an SQL URL or an SQS queue.",
    )
    url_env: Variable | None = Field(
        None, description="Instead of `url`: the environment variable that holds an SQLAlchemy URL."
    )
    key_env: KeyVariable | None = Field(
        None,
        description="The environment variable with the API key to write with; none: the caller's own rights.",
    )
    credentials: CredentialsFile | None = Field(
        None,
        description="A private JSON file of such variables and their values, where there is no secret store.",
    )
    gzip: bool = Field(False, description="Whether objects in data URLs are compressed.")
    input: Literal["keep", "hash", "drop"] = Field(
        "keep", description="What a record holds of the item itself."
    )
    redact: Annotated[tuple[ItemPath, ...], Strict(False)] = Field(
        (), description="JSON paths, such as `$.user.email`, blanked in recorded items and results."
    )
    copies: Annotated[tuple[StoreURL, ...], Strict(False)] = Field(
        (), description="Further datastores, written with best effort and reported in `$summary`."
    )
    on_failure: Literal["fail", "ignore"] = Field(
        "fail",
        description="While the datastore is unavailable. `fail`: the call fails and is retryable. `ignore`: "
        "it is answered, and `$summary` counts what was not recorded.",
    )

    @property
    def store(self) -> StoreAddress:
        """The address that `url` or `url_env` gives."""
        return parse_store(self.url) if self.url else parse_store_variable(self.url_env or "")

    @property
    def copy_stores(self) -> tuple[StoreAddress, ...]:
        """The address of each of `copies`."""
        return tuple(parse_store(url) for url in self.copies)


class Dispatch(Section):
    """How items are sent to the target."""

    parallel: int | None = Field(
        None,
        ge=1,
        le=MAX_PARALLEL,
        description="Calls of the target at once; default 8. With `source` the default is 1, and "
        "more says that the source is thread-safe.",
    )
    attempts: int = Field(3, ge=1, le=20, description="Calls of the target for one item, over all its sends.")
    rpm: int | None = Field(None, ge=1, le=10_000_000, description="Requests to an endpoint in a minute.")
    tpm: int | None = Field(None, ge=1, le=10_000_000_000, description="Tokens of an endpoint in a minute.")
    item_timeout: int = Field(60, ge=1, le=MAX_TIMEOUT, description="Seconds for one call of the target.")
    on_error: Literal["collect", "raise"] = Field(
        "collect", description="`raise`: a bare list fails at its first failed item."
    )


class Limits(Section):
    """What one call of the wrapper may take."""

    timeout: int = Field(
        300, ge=1, le=MAX_TIMEOUT, description="Seconds of one call, where the caller says none."
    )
    request_bytes: int = Field(
        10_000_000, ge=1_000, le=PLATFORM_REQUEST, description="Bytes of a request body on the wire."
    )
    response_bytes: int = Field(
        10_000_000, ge=1_000, le=PLATFORM_RESPONSE, description="Bytes of a response body on the wire."
    )


class RecordPart(Section):
    """What identifies a record when the caller gives neither `$run` nor `$ids`."""

    id: RecordId = Field(
        "random",
        description="`random`: every call is recorded anew. `content`: equal items share a record. Or a path "
        "into the item, such as `$.id`.",
    )
    id_key_env: IdKeyVariable | None = Field(
        None,
        description="The environment variable with a secret: ids are an HMAC of content or path. "
        "Needed where an id would tell what `datastore.redact` blanks.",
    )
    id_version: Annotated[Literal[1, 2], BeforeValidator(_whole_number)] = Field(
        1,
        description="`2`: a content id also identifies the target and its version. `1`: the ids of wrapgen "
        "0.1.0, of the content alone.",
    )


class Publish(Section):
    """How the wrapper is released."""

    callability: Literal["private", "public"] = Field(
        "private", description="Who may call released versions."
    )
    network_access: Literal["full", "isolated"] = Field("full", description="What the wrapper may reach.")
    version: Literal["major", "minor", "revision"] = Field(
        "minor", description="Which number a release raises."
    )
    examples: Annotated[tuple[Any, ...], Strict(False)] = Field(
        (), description="Items to try before a release; the first is shown as the sample input."
    )


_MODE_BATCH: Any = {
    "required": ["wrapper"],
    "properties": {"wrapper": {"required": ["mode"], "properties": {"mode": {"const": "batch"}}}},
}


# Empty sections, validated when a spec is: building each section's own validator costs more than a spec does.
def _ignored(path: tuple[str | int, ...], refused: names.Refused) -> None:
    """Takes what is wrong with a mapping that was found valid already."""
    raise AssertionError(f"{path}: {refused}")


_DEFAULTS: Any = Field(default={}, validate_default=True)


class Spec(Section):
    """A whole spec, made by `wrapgen.spec.load` and `parse`; `source_text` and `source_files` are theirs."""

    model_config = ConfigDict(
        json_schema_extra={
            "if": _MODE_BATCH,
            "then": {"properties": {"datastore": False, "record": False}},
            "else": {"required": ["datastore"]},
        }
    )

    version: Annotated[Literal[1], BeforeValidator(_whole_number)] = Field(
        description="The version of this format."
    )
    target: Target
    wrapper: WrapperPart
    datastore: Datastore | None = Field(
        None, description="Where records go; a text is its `url`.", json_schema_extra=or_text
    )
    dispatch: Dispatch = _DEFAULTS
    limits: Limits = _DEFAULTS
    record: RecordPart = _DEFAULTS
    log: Literal["off", "errors", "all"] = Field(
        "errors",
        description="Lines of JSON on standard output, never with inputs or results. `all`: one for each "
        "call and each failed item. `errors`: those of failures.",
    )
    already: Literal["skip", "call"] = Field(
        "call",
        description="Items whose key has a recorded result, of the same run or by content id. `skip`: that "
        "result is returned and marked, without calling the target. SQL datastores only.",
    )
    publish: Publish = _DEFAULTS
    serve: Serve = _DEFAULTS

    _place: tuple[str, int, int] = PrivateAttr(default=("spec.yaml", 1, 1))
    _source_text: bytes = PrivateAttr(default=b"")
    _source_files: Mapping[str, bytes] = PrivateAttr(default_factory=dict)
    _source_left_out: list[str] = PrivateAttr(default_factory=list)
    _attached: Mapping[str, bytes] = PrivateAttr(default_factory=dict)

    @property
    def source_text(self) -> bytes:
        """The bytes that the spec was read from, unchanged."""
        return self._source_text

    @property
    def source_files(self) -> Mapping[str, bytes]:
        """With `target.source`: the folder's files by POSIX path. Empty otherwise."""
        return self._source_files

    @property
    def source_left_out(self) -> list[str]:
        """What of that folder is not among its files, a sentence each; caches are not mentioned."""
        return self._source_left_out

    @property
    def attached(self) -> Mapping[str, bytes]:
        """The files beside the spec that an endpoint's keys name, by path: a preset, schemas."""
        return self._attached

    @cached_property
    def expanded(self) -> Expanded:
        """The endpoint with its preset filled in. Only of a spec with `target.endpoint`."""
        found = expand(
            self.target.model_dump(exclude_none=True, exclude_defaults=True), presets(self.attached), _ignored
        )
        assert found is not None
        return found

    @property
    def source_place(self) -> tuple[str, int, int]:
        """Where `target.source` is written: the spec's path, line and column."""
        return self._place

    @property
    def parallel(self) -> int:
        """Calls of the target at once, the default filled in."""
        if self.dispatch.parallel is not None:
            return self.dispatch.parallel
        return 1 if self.target.source else DEFAULT_PARALLEL

    @property
    def calls_at_once(self) -> int:
        """Calls that a served replica executes at once, the default filled in."""
        alone = self.target.source is not None and self.parallel == 1
        return self.serve.calls or (1 if alone else CALLS)

    @property
    def tasks_calls(self) -> int:
        """Calls that a task of an engine makes at once of a wrapper that it executes itself."""
        return 1 if self.target.source else 4

    @property
    def id_version(self) -> int:
        """The version of content ids; an endpoint's always identify what it is asked, too."""
        return 2 if self.target.endpoint else self.record.id_version

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that the wrapper reads, which its algorithm's secrets have to set."""
        store = self.datastore
        named = (store.url_env, store.key_env) if store is not None else ()
        return tuple(name for name in (*named, self.record.id_key_env, *self.target.variables) if name)

    @property
    def target_reference(self) -> str:
        """What the wrapper wraps, as records and descriptions name it."""
        target = self.target
        if target.endpoint is None:
            return target.algorithm or f"inline:{target.source}"
        model = f"#{target.model.name}" if target.model else ""
        version = f"/{target.model.version}" if target.model and target.model.version else ""
        return f"{target.protocol}:{target.endpoint.partition('?')[0]}{model}{version}"

    @cached_property
    def digest(self) -> str:
        """`sha256:` and 64 hex digits over what the spec means: no comments, order, defaults or `serve`."""
        meaning = self.model_dump(
            mode="json", exclude_defaults=True
        )  # so that a new key changes no old digest
        if self.parallel == (1 if self.target.source else DEFAULT_PARALLEL):
            meaning.get("dispatch", {}).pop("parallel", None)
        meaning = {key: value for key, value in meaning.items() if value != {} and key != "serve"}
        for name, files in (("source", self._source_files), ("attached", self._attached)):
            if files:
                meaning[name] = {
                    path: hashlib.sha256(content).hexdigest() for path, content in sorted(files.items())
                }
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()
