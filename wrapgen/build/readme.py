"""What a wrapper's README says of it: how it may be called, and what it does; finished lines of Markdown."""

from __future__ import annotations

from wrapgen.build import plan
from wrapgen.build.literals import Ready, prose
from wrapgen.build.render import render
from wrapgen.build.templates import read_templates
from wrapgen.spec import Spec


def forms(spec: Spec) -> list[tuple[Ready, Ready]]:
    """The forms of a call, and what each is answered with."""
    one = (
        "the first element of the target's result" if spec.target.result == "first" else "the target's result"
    )
    raising = "; the call fails at the first failed item" if spec.dispatch.on_error == "raise" else ""
    lists = f"a list of the same length and order, a failed item as `$error`{raising}"
    if raising:
        lists = f"a list of the same length and order{raising}"
    found = [("anything that is not a list and has no key `$batch`", f"{one}; an error is raised")]
    if plan.bare_lists(spec):
        found.append(("a list of items", lists))
    else:
        found = [("anything without a key `$batch`, a list included: one item", f"{one}; an error is raised")]
    found.append(
        (
            '`{"$batch": [...]}`, or the data URL of JSON Lines or a JSON array',
            '`{"$results": ..., "$summary": {...}}`',
        )
    )
    return [(Ready(form), Ready(answer)) for form, answer in found]


def facts(spec: Spec) -> list[Ready]:
    """What the wrapper does with items, one sentence each."""
    calls = f"{spec.parallel} at a time" if spec.parallel > 1 else "one at a time"
    lists = f", in lists of up to {spec.target.batch_size}" if plan.sub_batches(spec) else ""
    found = [
        f"Items go to the target {calls}{lists}, with up to {spec.dispatch.attempts} attempts of "
        f"{spec.dispatch.item_timeout} s each.",
        f"A call has {spec.limits.timeout} s unless `$timeout` says otherwise. Before they are over, what is "
        "not done comes back as retryable `DeadlineExceeded`.",
        f"A request may have {spec.limits.request_bytes:,} bytes, a response {spec.limits.response_bytes:,}; "
        "larger results of a batch go to a file, and its URL comes back; a larger single result is an error.",
    ]
    return [Ready(fact) for fact in (*found, *_recording(spec), _LOG[spec.log])]


_LOG = {
    "off": "It logs nothing.",
    "errors": "It logs failed items and calls with any on standard output, a line of JSON each, no inputs.",
    "all": "It logs calls and failed items on standard output, a line of JSON each, no inputs.",
}


def _ids(spec: Spec) -> list[str]:
    """What identifies an item where the caller does not say."""
    record = spec.record
    if record.id == "random":
        return []
    what = "its content" if record.id == "content" else f"`{prose(record.id)}`"
    made = (
        f"an HMAC of {what} with the secret in `{record.id_key_env}`"
        if record.id_key_env
        else f"made of {what}"
    )
    return [f"Where the caller names neither `$run` nor `$ids`, an item's id is {made}."]


def input_policy(spec: Spec) -> Ready:
    """What a record holds of the item itself."""
    policy = spec.datastore.input if spec.datastore else "keep"
    words = {"keep": "as it was sent to the target", "hash": "its SHA-256, as `$sha256`", "drop": "left out"}
    blanked = ", without what is redacted" if plan.redacts(spec) and policy == "keep" else ""
    return Ready(words[policy] + blanked)


def reading(spec: Spec) -> Ready:
    """How records are read back with nothing of ours, as Markdown."""
    if spec.datastore is None:
        return Ready("")
    store = spec.datastore.store
    template = read_templates("reading")[f"{store.kind}.md.jinja"]
    where = {"where": prose(store.where)}
    return Ready(render(f"reading/{store.kind}.md.jinja", template, where).decode("utf-8").strip())


def _recording(spec: Spec) -> list[str]:
    store = spec.datastore
    if store is None:
        return ["Nothing is recorded."]
    found = [
        f"One record per item that was tried goes to `{prose(store.store.where)}`, before the call answers."
    ]
    if store.key_env:
        found.append(f"It writes with the API key in the environment variable `{store.key_env}`.")
    elif store.store.traits.hosted:
        found.append("It writes with the caller's rights, so only the owner's own calls are recorded.")
    if store.store.url_env:
        found.append(f"The environment variable `{store.store.url_env}` holds the database's URL.")
    if store.input != "keep":
        found.append(f"A record holds {'a hash of the input' if store.input == 'hash' else 'no input'}.")
    if store.redact:
        found.append(f"Blanked in what is recorded: {', '.join(prose(path) for path in store.redact)}.")
    if store.copies:
        copies = ", ".join(f"`{prose(copy.where)}`" for copy in store.copy_stores)
        found.append(f"With best effort also to {copies}; `$summary` says how that went.")
    found += _ids(spec)
    if store.on_failure == "ignore":
        found.append(
            "While the datastore is unavailable calls are answered all the same; `$summary` counts what "
            "was not recorded."
        )
    if spec.already == "skip":
        found.append(
            "An item whose key has a recorded result is answered with it, without calling the target."
        )
    found.append(
        "Execution is at least once. Each key (run, id) is recorded exactly once whenever the caller gives "
        "`$run` or `$ids`, or the spec takes the id from the item."
        if store.store.traits.exactly_once
        else "Execution is at least once, and so is recording: the queue may deliver a record twice."
    )
    return found
