"""The section `target` of a spec: an algorithm, a folder or an endpoint, and how it is called."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, Strict
from pydantic_core import PydanticCustomError

from wrapgen.spec import names
from wrapgen.spec.names import Refused, shown
from wrapgen.spec.section import VARIABLE, Section, checked, sketch

_REFERENCE = sketch(
    "(algo://)?[A-Za-z][A-Za-z0-9_]{0,29}/[A-Za-z][A-Za-z0-9_]{0,199}(/[^/ ]+)?",
    "nlp/SentimentAnalysis/1.0.5",
)
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_SECRET_HEADER = re.compile(
    r"(api|access|auth|subscription)[-_]?key|secret|password|cookie|(^|-)token\Z", re.I
)
_MEDIA_TYPE = re.compile(r"[a-z]+/[A-Za-z0-9.+_-]+(; ?[a-z]+=[A-Za-z0-9_-]+)?\Z")
_SECRET_QUERY = re.compile(
    "(x-)?(api|access|subscription)[-_]?key|(access|auth|api)?[-_]?token|password|secret|sig", re.I
)
_OURS = ("authorization", "connection", "content-length", "content-type", "host", "transfer-encoding")


def check_endpoint(url: str) -> None:
    """The address of a model: `http`, `https` or `sagemaker://REGION/NAME`, without credentials."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # read for its ValueError
    except ValueError as error:
        raise Refused(f"{shown(url)} is not a URL: {error}") from error
    if parts.scheme not in ("http", "https", "sagemaker") or not parts.hostname:
        raise Refused(f"{shown(url)} is not an endpoint", "write for example https://scorer.example/predict")
    if not re.fullmatch(r"[!-~]+", url) or any(one in url for one in "\"'`<>\\{}|^") or parts.fragment:
        raise Refused(f"{shown(url)} has characters that an address can't have", "percent-encode them")
    if "@" in parts.netloc:
        raise Refused("this address holds credentials, and a spec is no place for them", "write auth:")
    for name, _ in parse_qsl(parts.query, keep_blank_values=True):
        if _SECRET_QUERY.fullmatch(name):
            raise Refused(f"the address holds {name}, and a spec is no place for credentials", "write auth:")
    if parts.scheme == "sagemaker" and not re.fullmatch(r"sagemaker://[a-z0-9-]+/[A-Za-z0-9-]{1,63}", url):
        raise Refused(f"{shown(url)} is not an endpoint of SageMaker", "write sagemaker://REGION/NAME")


def _check_headers(headers: dict[str, str]) -> None:
    for name in headers:
        if not _HEADER.match(name):
            raise Refused(f"{shown(name)} is not the name of a header", "write for example X-Tenant")
        if name.lower() in _OURS:
            hint = "write auth:" if name.lower() == "authorization" else "write content_type:, or remove it"
            raise Refused(f"the header {name} is the wrapper's own", hint)
        if _SECRET_HEADER.search(name):
            said = f"the header {name} is one for credentials, and a spec is no place for them"
            raise Refused(said, f"write auth: {{bearer_env: VARIABLE, header: {name}}}")


def _check_token_header(name: str) -> None:
    if not _HEADER.match(name) or name.lower() in _OURS[1:]:
        raise Refused(f"{shown(name)} is not the name of a header for a token", "write for example X-Api-Key")


def _check_token_address(url: str) -> None:
    check_endpoint(url)
    if urlsplit(url).scheme == "sagemaker":
        raise Refused(f"{shown(url)} gives no tokens", "write for example https://login.example/token")


def _check_command(command: tuple[str, ...]) -> None:
    if not command or not command[0] or any("\0" in word for word in command):
        raise Refused(
            "command names no program", "write for example command: [gcloud, auth, print-access-token]"
        )


def _check_word(text: str) -> None:
    if not re.fullmatch("[a-z0-9-]{1,63}", text):
        raise Refused(f"{shown(text)} is no name at AWS", "write for example sagemaker, or eu-west-1")


def _check_media_type(text: str) -> None:
    if not _MEDIA_TYPE.match(text):
        raise Refused(f"{shown(text)} is not a media type", "write for example text/csv")


def _check_file(text: str) -> None:
    if not re.fullmatch(r"(?!.*\.\.)[\w.-][\w./ -]{0,200}\.json", text):
        raise Refused(
            f"{shown(text)} is not a JSON file beside the spec", "write for example item.schema.json"
        )


def _check_protocol(text: str) -> None:
    if not re.fullmatch(r"[a-z0-9-]+|(?!.*\.\.)[\w.-][\w./ -]{0,200}\.ya?ml", text):
        raise Refused(
            f"{shown(text)} is neither a preset nor a file beside the spec",
            "write for example protocol: json",
        )


def _check_datatype(text: str) -> None:
    if not re.fullmatch("BOOL|U?INT(8|16|32|64)|FP(16|32|64)|BF16|BYTES", text):
        raise Refused(f"{shown(text)} is not a datatype of tensors", "write for example FP32, INT64 or BYTES")


def _check_type(text: str) -> None:
    if not re.fullmatch("[A-Z][A-Za-z]{2,59}", text):
        raise Refused(f"{shown(text)} is not a type of errors", "write for example TooLongError")


def _check_status(value: Any) -> None:
    found = value if isinstance(value, (list, tuple)) else [value]
    if not found or not all(type(one) is int and 100 <= one < 600 for one in found):
        raise Refused("status is no HTTP status, nor a list of them", "write for example status: [424, 500]")


def _check_result(value: Any) -> Any:
    """`whole` and `first` of an algorithm; of an endpoint a path, or an object of paths."""
    if value in ("whole", "first") or isinstance(value, (dict, list)):
        return value
    if isinstance(value, str) and value.startswith("$"):
        return value
    raise PydanticCustomError("literal_error", "not listed", {"expected": "'whole' or 'first'"})


Endpoint = Annotated[
    str, checked(check_endpoint), sketch("(https?|sagemaker)://.+", "https://scorer.example/predict")
]
AwsName = Annotated[str, checked(_check_word), sketch("[a-z0-9-]+", "eu-west-1")]
TokenHeader = Annotated[str, checked(_check_token_header), sketch(".+", "X-Api-Key")]
TokenAddress = Annotated[
    str, checked(_check_token_address), sketch("https?://.+", "https://login.example/token")
]
Headers = Annotated[dict[str, str], checked(_check_headers)]
MediaType = Annotated[str, checked(_check_media_type), sketch(".+/.+", "image/jpeg", "text/csv")]
SchemaFile = Annotated[str, checked(_check_file), sketch(r".+\.json", "ticket.schema.json")]
TokenVariable = Annotated[str, checked(names.check_variable), sketch(VARIABLE, "LLM_KEY")]
AnswerPath = Annotated[str, checked(names.parse_path), sketch(r"\$.*", "$.error.code")]
FilePath = Annotated[
    str, Field(pattern=r"^[^\x00]*$", min_length=1, max_length=500, examples=["/etc/ssl/own-ca.pem"])
]


class Model(Section):
    """Which model of a server."""

    name: str = Field(min_length=1, max_length=300, description="Its name on the server.")
    version: str | None = Field(None, max_length=300, description="Its version; none: the server's default.")


class TensorInput(Section):
    """One input tensor of the Open Inference Protocol."""

    name: str = Field(description="The tensor's name.")
    datatype: Annotated[str, checked(_check_datatype)] = Field(description="Such as `FP32` or `BYTES`.")
    shape: Annotated[tuple[int, ...], Strict(False)] = Field(
        (-1,), description="`-1` is the number of items."
    )
    value: Any = Field("$item", description="What it takes of an item.")
    parameters: dict[str, Any] | None = Field(None, description="Such as `{content_type: str}`.")


class ErrorRule(Section):
    """What a server does in its own way, and what that means for an item."""

    status: Annotated[Any, checked(_check_status)] = Field(
        200,
        description="The status, or a list of them.",
        json_schema_extra={"type": ["integer", "array"], "examples": [424]},
    )
    path: AnswerPath | None = Field(
        None, description="What in the answer tells it; without `value` anything but null."
    )
    value: Any = Field(None, description="The value there, or a list of values.")
    status_in: AnswerPath | None = Field(
        None, description="Where in the answer the real status stands, which then decides."
    )
    message: AnswerPath | None = Field(None, description="Where in the answer the message stands.")
    type: Annotated[str, checked(_check_type)] | None = Field(None, description="The error's type.")
    means: Literal["retryable", "busy", "final", "stop"] = Field(
        description="`retryable`: an attempt that may be repeated. `busy`: none, and waited out. `final`: "
        "the item's own error. `stop`: no other call can succeed either."
    )


class OAuth2(Section):
    """A token by client credentials, fetched again before it expires."""

    token_url: TokenAddress = Field(description="Where tokens are given.")
    client_id_env: TokenVariable = Field(description="The variable with the client's id.")
    client_secret_env: TokenVariable = Field(description="The variable with its secret.")
    scope: str | None = Field(None, description="What the token is for.")


class Auth(Section):
    """Where the credentials of requests come from; refreshed once after a 401."""

    bearer_env: TokenVariable | None = Field(None, description="The variable with the token.")
    bearer_file: FilePath | None = Field(
        None, description="The file with the token, read again when it changes."
    )
    command: Annotated[tuple[str, ...], Strict(False), checked(_check_command)] | None = Field(
        None, description="The program that prints the token, with its arguments."
    )
    oauth2: OAuth2 | None = Field(None, description="OAuth 2 client credentials.")
    aws: AwsName | None = Field(None, description="Sign with botocore for this service of AWS.")
    region: AwsName | None = Field(None, description="With `aws`: the region; none: that of the environment.")
    header: TokenHeader | None = Field(
        None, description="The header that holds the bare token; none: a bearer token."
    )


AUTH_SOURCES = ("bearer_env", "bearer_file", "command", "oauth2", "aws")
"""The keys of `auth` of which there is one."""


class Tls(Section):
    """How TLS connections are made; without it by the system's authorities."""

    ca: FilePath | None = Field(None, description="A file of authorities to trust.")
    certificate: FilePath | None = Field(None, description="The client's certificate.")
    key: FilePath | None = Field(None, description="Its key, where that is another file.")


class Match(Section):
    """By what results in an answer are matched with items; none: by position."""

    answer: str = Field(description="Where in the answer the ids stand, such as `$.results[*].id`.")
    item: str = Field(description="An item's id: `$item.id`, or `$position`.")


class Reports(Section):
    """What an answer reports beside results."""

    version: AnswerPath | None = Field(None, description="The model's version.")
    tokens_in: AnswerPath | None = Field(None, description="Tokens of the request.")
    tokens_out: AnswerPath | None = Field(None, description="Tokens of the answer.")


MOST_PRICE = 1e9
"""Most that a million tokens may cost, so that every sum is a number."""


class Price(Section):
    """What tokens cost, per million, in any currency."""

    input: float = Field(ge=0, le=MOST_PRICE, description="A million tokens of requests.")
    output: float = Field(0, ge=0, le=MOST_PRICE, description="A million tokens of answers.")
    most_tokens: int | None = Field(
        None,
        ge=1,
        le=10**9,
        description="Tokens that one answer has at most; none: what the request limits them to.",
    )

    @property
    def of_tokens(self) -> dict[str, float]:
        """What a million tokens cost, by `input` and `output`."""
        return {"input": self.input, "output": self.output}


def _listed(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


def or_text(made: dict[str, Any]) -> None:
    """Lets the schema of a section take a text that abbreviates it."""
    made["anyOf"].append({"type": "string"})


class Target(Section):
    """The algorithm, folder or endpoint being wrapped."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["algorithm"]}, {"required": ["source"]}, {"required": ["endpoint"]}]
        }
    )

    algorithm: Annotated[str, checked(names.check_reference), _REFERENCE] | None = Field(
        None, description="The target on the platform: `owner/name/version`."
    )
    source: Annotated[str, checked(names.check_source), sketch("[^/~].*", "./my_algorithm")] | None = Field(
        None, description="Instead of `algorithm`: a local source folder, called in process (inline)."
    )
    endpoint: Endpoint | None = Field(
        None,
        description="Instead of `algorithm`: the URL of a model behind HTTP, or `sagemaker://REGION/NAME`.",
    )
    input: Literal["item", "list"] = Field(
        "item", description="`list`: the target's single input is itself a list, so a bare list is one item."
    )
    result: Annotated[Any, AfterValidator(_check_result)] = Field(
        "whole",
        description="`first`: a bare item is answered with a list of one; take its element. Of an endpoint: "
        "the path of the results in an answer, or an object of paths.",
        json_schema_extra={
            "anyOf": [{"enum": ["whole", "first"]}, {"type": ["object", "array"]}, {"pattern": r"^\$"}]
        },
    )
    batch_size: int = Field(
        1, ge=1, le=100_000, description="More than 1: the target takes lists, up to this many items."
    )
    protocol: Annotated[str, checked(_check_protocol)] = Field(
        "json", description="How the endpoint is called: a preset, or a file with one beside the spec."
    )
    model: Annotated[Model, BeforeValidator(_listed)] | None = Field(
        None,
        description="The model on the server: its name, or `{name, version}`.",
        json_schema_extra=or_text,
    )
    format: str | None = Field(None, description="Which of a protocol's formats, such as `dataframe_split`.")
    columns: dict[str, Any] | None = Field(
        None, description="Columns of a frame, and what each takes of an item."
    )
    params: dict[str, Any] | None = Field(
        None, description="Parameters of the model, the same in every request."
    )
    inputs: Annotated[tuple[TensorInput, ...], Strict(False)] | None = Field(
        None, description="Input tensors: `name`, `datatype`, `shape`, `value`, `parameters`."
    )
    request: Any = Field(
        None, description="The body of a request: JSON with `$item`, `$items` and `$call.key` in it."
    )
    parse: Literal["json"] | None = Field(None, description="`json`: a result is text that holds JSON.")
    match: Match | None = Field(
        None, description="By what results are matched with items; none: by position."
    )
    item_error: AnswerPath | None = Field(None, description="Where in an answer an item's own error stands.")
    errors: Annotated[tuple[ErrorRule, ...], Strict(False)] = Field(
        (), description="What the server does in its own way, and what it means; the first that fits counts."
    )
    headers: Headers = Field({}, description="Headers of a request; `$call.key` and text may stand in them.")
    content_type: MediaType | None = Field(
        None, description="Of a request's body; other than JSON: the item's text or bytes as they are."
    )
    answer: Literal["json", "text", "lines", "binary"] | None = Field(
        None, description="What an answer's body is read as; none: JSON."
    )
    gzip: bool = Field(
        False, description="Whether requests are compressed, and compressed answers asked for."
    )
    auth: Auth | None = Field(None, description="Where the credentials come from.")
    tls: Tls | None = Field(None, description="An own authority and a client's certificate.")
    reports: Reports | None = Field(
        None, description="Where an answer tells the model's version and its tokens."
    )
    price: Price | None = Field(None, description="What a million tokens cost.")
    item_schema: SchemaFile | None = Field(
        None, description="A JSON Schema beside the spec: an item that does not fit fails without a call."
    )
    result_schema: SchemaFile | None = Field(
        None, description="A JSON Schema beside the spec: a result that does not fit is asked for again."
    )

    @property
    def variables(self) -> tuple[str, ...]:
        """The environment variables that its credentials are in."""
        if self.auth is None:
            return ()
        oauth = self.auth.oauth2
        secrets = (oauth.client_id_env, oauth.client_secret_env) if oauth else ()
        return tuple(name for name in (self.auth.bearer_env, *secrets) if name)


NESTED: dict[str, type[Section]] = {
    "auth": Auth,
    "errors": ErrorRule,
    "inputs": TensorInput,
    "match": Match,
    "model": Model,
    "oauth2": OAuth2,
    "price": Price,
    "reports": Reports,
    "tls": Tls,
}
"""The sections inside `target`, by their keys."""

ENDPOINT_KEYS = tuple(list(Target.model_fields)[list(Target.model_fields).index("protocol") :])
"""The keys that only an endpoint has."""
