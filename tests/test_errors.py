"""How nixenv's failures look."""

from nixenv.errors import Unreadable
from nixenv.road.python import PythonNotFound


def test_the_evidence_is_given_apart_and_ends_the_reason() -> None:
    """Whoever shows it need not find it in the text again."""
    error = PythonNotFound("3.9", ("3.12  /store/a", "3.13  /store/b"))
    assert error.evidence == ("3.12  /store/a", "3.13  /store/b")
    assert error.summary == "no Python 3.9 interpreter in the closure; it holds:"
    assert error.reason == f"{error.summary}\n    3.12  /store/a\n    3.13  /store/b"
    assert str(error) == f"{error.reason}\n  next: {error.remedy}"


def test_no_line_is_repeated_without_end() -> None:
    """What is at fault may be a file in one line."""
    error = PythonNotFound("3" * 1_000_000, ("x" * 1_000_000,))
    assert len(str(error)) < 20_000
    assert "... (1000000 characters)" in str(error)


def test_an_error_may_have_no_evidence() -> None:
    """Then its reason is the summary."""
    error = Unreadable("/file", "Permission denied")
    assert (error.evidence, error.reason) == ((), error.summary)
