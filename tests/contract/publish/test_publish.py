"""Publishing to a real platform with real git: from a folder to a version that can be called."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from wrapgen.client import Client, Connection, Reference, connect
from wrapgen.errors import BuildFailed, CaseFailed, NotAuthorized, UsageError
from wrapgen.publish import Project
from wrapgen.publish.source import repository


def versions(client: Client, folder: Path) -> list[str | None]:
    return [v.version for v in client.versions(str(Project.read(folder).reference))]


def test_a_new_project_becomes_a_version_that_can_be_called(publisher, make, client) -> None:
    """Owner, algorithm, push, build and release in one go; the first minor is 0.1.0."""
    done = publisher(make("input + 1"))
    assert done.released
    assert done.version == "0.1.0"
    assert client.call(done.reference, 41).result == 42


def test_an_unchanged_project_is_the_version_that_it_is_already(publisher, make, client) -> None:
    """Publishing again pushes, builds and releases nothing."""
    folder = make()
    first = publisher(folder)
    again = publisher(folder)
    assert (again.reference, again.released) == (first.reference, False)
    assert versions(client, folder) == ["0.1.0"]


def test_a_change_is_a_new_version_by_the_rule(publisher, make, client) -> None:
    """Minor by default, otherwise as asked; the old versions stay as they were."""
    folder = make("1")
    publisher(folder)
    source = next(p for p in (folder / "src").iterdir() if p.name != "__init__.py")
    for release, number, answer in ((None, "0.2.0", 2), ("revision", "0.2.1", 3), ("major", "1.0.0", 4)):
        source.write_text(f"def apply(input):\n    return {answer}\n")
        done = publisher(folder, release=release)
        assert done.version == number
        assert client.call(done.reference, 0).result == answer
    assert client.call(done.reference.replace("1.0.0", "0.1.0"), 0).result == 1


def test_an_exact_version_is_reached_by_the_releases_that_lead_there(publisher, make, client) -> None:
    """1.0.2 of a new algorithm is a major and two revisions, all of the same files."""
    folder = make()
    assert publisher(folder, release="1.0.2").version == "1.0.2"
    assert versions(client, folder) == ["1.0.2", "1.0.1", "1.0.0"]
    assert publisher(folder, release="1.0.2").released is False
    assert publisher(folder, release="1.1.0").version == "1.1.0"
    with pytest.raises(UsageError, match=r"1\.0\.9"):
        publisher(folder, release="1.0.9")
    assert len(versions(client, folder)) == 4


def test_an_exact_version_with_other_files_is_refused_before_anything_is_pushed(
    publisher, make, client
) -> None:
    """A version is immutable: the same number can't be given to changed files."""
    publisher(make("1"), release="1.0.0")
    changed = make("2")
    with pytest.raises(UsageError, match=r"1\.0\.0"):
        publisher(changed, release="1.0.0")
    name = str(Project.read(changed).reference)
    assert len({build.commit for build in client.algorithms.builds(name)}) == 1


def test_files_that_are_gone_are_removed(publisher, make, client) -> None:
    """The pushed tree is exactly the project's files; the platform's template leaves nothing behind."""
    folder = make("open('note.txt').read()", note__txt="here")
    assert client.call(publisher(folder).reference, 0).result == "here"
    (folder / "note.txt").unlink()
    (folder / "other.txt").write_text("x")
    with pytest.raises(Exception, match=r"note\.txt"):
        client.call(publisher(folder).reference, 0)


def test_the_users_own_repository_is_never_touched(publisher, make, monkeypatch) -> None:
    """A `.git` in the folder stays byte for byte, even when a hook of it runs us."""
    folder = make("2")
    git = ["git", "-C", str(folder), "-c", "user.name=u", "-c", "user.email=u@example"]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "mine"], check=True)

    def digest() -> str:
        files = sorted(p for p in (folder / ".git").rglob("*") if p.is_file())
        return hashlib.sha256(b"".join(str(p).encode() + p.read_bytes() for p in files)).hexdigest()

    before = digest()
    monkeypatch.setenv("GIT_DIR", str(folder / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(folder / ".git" / "index"))
    assert publisher(folder).released
    assert digest() == before


def test_what_the_project_ignores_is_not_pushed(publisher, make, client) -> None:
    """A .gitignore of the project keeps local secrets at home; the user's global one has no say."""
    folder = make("__import__('os').path.exists('.env')", __gitignore=".env\n", __env="SECRET")
    assert client.call(publisher(folder).reference, 0).result is False


def test_another_name_can_be_published_as(publisher, make, client) -> None:
    """--as takes the same files to another owner."""
    folder = make("7")
    name = Project.read(folder).reference.name
    done = publisher(folder, name=f"other/{name}")
    assert done.reference == f"other/{name}/0.1.0"
    assert client.call(done.reference, 0).result == 7


def test_a_failed_build_shows_its_log_and_releases_nothing(publisher, make, client) -> None:
    """The end of the log is in the error; mended files publish."""
    folder = make()
    source = next(p for p in (folder / "src").iterdir() if p.name != "__init__.py")
    source.write_text("def apply(input:\n")
    with pytest.raises(BuildFailed, match=source.name):
        publisher(folder)
    assert versions(client, folder) == []
    with pytest.raises(BuildFailed):
        publisher(folder)
    assert any(line.endswith(" again") for line in publisher.said)
    source.write_text("def apply(input):\n    return 1\n")
    assert publisher(folder).version == "0.1.0"


CASES = [
    {"case_name": "one", "input": 1, "expected_output": 2, "type": "EXACT_MATCH"},
    {"case_name": "text", "input": "x", "type": "EXCEPTION"},
]


def test_cases_are_tried_before_the_release(publisher, make, client) -> None:
    """Cases that fit are told; one that does not fit stops the release and names itself."""
    folder = make("input + 1")
    (folder / "TEST_CASES.json").write_text(json.dumps(CASES))
    done = publisher(folder)
    assert done.cases == 2
    assert "case one: as expected" in publisher.said
    (folder / "TEST_CASES.json").write_text(json.dumps([{**CASES[0], "expected_output": 3}]))
    with pytest.raises(CaseFailed, match=r"'one'[\s\S]*expected: 3[\s\S]*got: +2"):
        publisher(folder)
    assert versions(client, folder) == ["0.1.0"]
    assert publisher(folder, try_cases=False).version == "0.2.0"


VERSION = "'python%d%d' % __import__('sys').version_info[:2]"


def test_an_environment_is_chosen_or_named(publisher, make, client) -> None:
    """The newest without a word, and that is told; an unknown one lists what there is."""
    folder = make(VERSION)
    done = publisher(folder)
    offered = [each.name for each in client.algorithms.environments("python3")]
    assert client.call(done.reference, 0).result == offered[-1]
    assert f"made {done.reference.rpartition('/')[0]} in {offered[-1]}, the newest offered" in publisher.said
    with pytest.raises(UsageError, match="python27") as caught:
        publisher(folder, environment="python27")
    assert caught.value.hint == f"it offers: {', '.join(sorted(offered))}"


def test_another_environment_is_another_release(publisher, make, client) -> None:
    """The same files in another environment are built and released anew, also after a publish was killed."""
    offered = [each.name for each in client.algorithms.environments("python3")]
    if len(offered) < 3:
        pytest.skip("this machine has too few Pythons")
    folder = make(VERSION)
    first = publisher(folder)
    second = publisher(folder, environment=offered[0])
    assert second.released and second.version == "0.2.0"
    assert client.call(first.reference, 0).result == offered[-1]
    assert client.call(second.reference, 0).result == offered[0]
    assert not publisher(folder, environment=offered[0]).released
    assert not publisher(folder).released  # an algorithm keeps its environment
    name = first.reference.rpartition("/")[0]
    third = next(each for each in client.algorithms.environments("python3") if each.name == offered[1])
    client.algorithms.update(
        name, settings={"algorithm_environment": third.id}
    )  # all that was done before a kill
    assert client.call(publisher(folder).reference, 0).result == offered[1]


def test_a_folder_asks_for_an_environment(publisher, make, client) -> None:
    """A new algorithm gets what `.python-version` says; one that exists keeps what it has, which is told."""
    offered = list(client.algorithms.environments("python3"))
    if len(offered) < 2:
        pytest.skip("this machine has too few Pythons")
    wanted, other = offered[0], offered[1]
    folder = make(VERSION)
    (folder / ".python-version").write_text("{}.{}\n".format(*wanted.number))
    assert client.call(publisher(folder).reference, 0).result == wanted.name
    assert any("which says" in line for line in publisher.said)
    (folder / ".python-version").write_text("{}.{}\n".format(*other.number))
    assert client.call(publisher(folder).reference, 0).result == wanted.name
    assert any(f"--environment {other.name}" in line for line in publisher.said)


def test_a_wrappers_collection_is_made_private(publisher, make, client, write_spec) -> None:
    """Records have a place from the first call on, which only its owner reads."""
    folder = make("1")
    write_spec(folder, "data://records/first", publish="  version: major\n")
    assert publisher(folder).version == "1.0.0"
    assert client.data.acl("data://records/first") == []
    assert any("data://records/first, made now" in line for line in publisher.said)
    publisher(folder)
    assert any("data://records/first, which is there" in line for line in publisher.said)


def test_a_spec_changes_an_algorithms_rights(publisher, make, client, write_spec) -> None:
    """What the spec says of network and pipeline holds for an algorithm that was there before."""
    folder = make("1")
    publisher(folder)
    reference = Project.read(folder).reference
    write_spec(folder, "data://acme/rights", publish="  network_access: isolated\n")
    publisher(folder)
    assert client.algorithms.get(reference.path)["settings"]["network_access"] == "isolated"


def test_a_wrong_key_is_told_and_not_shown(make, client, publisher) -> None:
    """A key that the platform does not know stops at the first step, without the key in the message."""
    wrong = Client(Connection(client.connection.address, "sim" + "x" * 25, "a test"))
    publisher.client = wrong
    with pytest.raises(NotAuthorized) as caught:
        publisher(make())
    assert wrong.connection.key not in caught.value.message


def test_without_an_admin_key_a_missing_owner_is_an_error(make, client, publisher) -> None:
    """Elsewhere than on one's own platform, owners are not made on the way."""
    publisher.client = Client(Connection(client.connection.address, client.connection.key, "a test"))
    with pytest.raises(Exception, match=r"stranger"):
        publisher(make(owner="stranger"))


def test_the_repository_of_a_cluster_is_at_its_git_host() -> None:
    """`//api.` becomes `//git.`, as the vendor's clone does it."""

    for address, expected in (
        ("https://api.cluster.example", "https://git.cluster.example/git/acme/A.git"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/git/acme/A.git"),
    ):
        assert repository(Connection(address, "k", "a test"), Reference("acme", "A")) == expected


def test_a_client_of_another_account_is_asked_for_its_name(home: Path) -> None:
    """The account comes from the home, or from the platform when only address and key are known."""
    with connect(home=home) as known:
        asked = Client(Connection(known.connection.address, known.connection.key, "a test"))
        assert asked.account() == known.account() == "local"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import nothing_like_this\n\n\ndef apply(input):\n    return 1\n", "nothing_like_this"),
        (
            "def load():\n    raise OSError('no weights')\n\n\ndef apply(input, model):\n    return 1\n",
            "no weights",
        ),
        (
            "from Algorithmia import ADK\n\n\ndef load():\n    raise OSError('no weights')\n\n\n"
            "def apply(input):\n    return 1\n\n\nADK(apply, load).init()\n",
            "no weights",
        ),
    ],
    ids=["import", "load", "ADK"],
)
def test_what_cannot_be_loaded_is_not_released(publisher, make, client, text: str, said: str) -> None:
    """Without test cases a build is loaded once before it is released, and no call of it is made."""
    folder = make()
    (module,) = (folder / "src").glob("T*.py")
    if "ADK" in text:
        (folder / "requirements.txt").write_text("algorithmia>=2.0.5\nalgorithmia-adk>=1.2.4,<1.4\n")
        (folder / ".adk").touch()
    module.write_text(text)
    with pytest.raises(BuildFailed, match="can't be loaded") as caught:
        publisher(folder)
    assert said in caught.value.log
    assert versions(client, folder) == []
    module.write_text("def apply(input):\n    raise SystemExit('called')\n")
    assert publisher(folder).version == "0.1.0"
    assert any(line.startswith("loaded ") for line in publisher.said)


def test_an_algorithm_that_starts_the_adk_itself_is_released_without_its_marker_file(publisher, make) -> None:
    """Folders without `.adk` may start the ADK at their end; being loaded once is no call of it."""
    folder = make()
    (module,) = (folder / "src").glob("T*.py")
    (folder / "requirements.txt").write_text("algorithmia>=2.0.5\nalgorithmia-adk>=1.2.4,<1.4\n")
    module.write_text(
        "from Algorithmia import ADK\n\n\ndef apply(input):\n    return 1\n\n\nADK(apply).init()\n"
    )
    assert publisher(folder).version == "0.1.0"
