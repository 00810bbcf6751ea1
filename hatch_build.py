"""What hatchling builds beside the modules: man pages and completions (docs/manual.py)."""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface[Any]):
    """Renders them for a wheel, below its share/."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the files, unless what is built is a link to this directory."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from docs.manual import render_files  # noqa: PLC0415 -- needs the line above

        self._made = TemporaryDirectory()
        for path, text in render_files().items():
            file = Path(self._made.name, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            build_data["shared_data"][str(file)] = f"share/{path}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 -- hatchling's names
        """Remove what was rendered: it is in the wheel."""
        if version != "editable":
            self._made.cleanup()
