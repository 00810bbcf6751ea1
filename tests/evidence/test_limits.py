"""The limits of this process."""

import resource
from pathlib import Path

from nixenv.evidence.limits import probe_limits


def test_the_limits_are_the_processs_own(tmp_path: Path) -> None:
    """Unlimited is None, and so is a file system that is not there."""
    found = probe_limits(str(tmp_path / "no"))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert found.open_files == (None if hard == resource.RLIM_INFINITY else hard)
    assert found.open_files_now == (None if soft == resource.RLIM_INFINITY else soft)
    assert found.shared_memory is None
    assert (probe_limits(str(tmp_path)).shared_memory or 0) > 0
