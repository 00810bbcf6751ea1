"""What the two SGLang programs report, on top of nixenv's own errors."""

from collections.abc import Sequence

from attrs import define, frozen

from nixenv.errors import NixenvError, UsageError

# What the user set --------------------------------------------------------------------------------


@define
class ModelNameInvalid(UsageError):
    """SGLANG_MODEL is neither a directory of a model nor a Hugging Face ID."""

    value: str

    @property
    def reason(self) -> str:
        return (
            f"SGLANG_MODEL: {self.value!r} is neither a directory with a config.json "
            "nor a Hugging Face ID"
        )

    @property
    def remedy(self) -> str:
        return (
            "set it to the directory that holds the model's config.json, or to ORG/NAME, "
            "both of letters, digits, '-', '_' and '.'"
        )


@frozen
class Problem:
    """One variable, and what is wrong with its value."""

    variable: str
    detail: str


@define
class SettingsInvalid(UsageError):
    """Variables of sglang-serve with values that cannot be used: all of them."""

    problems: Sequence[Problem]

    @property
    def reason(self) -> str:
        return "\n    ".join(
            ["these settings cannot be used:"]
            + [f"{problem.variable}: {problem.detail}" for problem in self.problems]
        )

    @property
    def remedy(self) -> str:
        return "set each to a value that docs/sglang.md allows, or unset it to have its default"


# The model ----------------------------------------------------------------------------------------


@define
class BundledModelUnusable(NixenvError):
    """The environment brings the model, but not one snapshot of it can be chosen."""

    model_id: str
    place: str
    detail: str
    usable: Sequence[str] = ()

    @property
    def reason(self) -> str:
        listed = "".join(f"\n    {snapshot}" for snapshot in self.usable)
        return f"{self.model_id} is bundled in {self.place}, but {self.detail}{listed}"

    @property
    def remedy(self) -> str:
        if self.usable:
            return f"choose a snapshot yourself: SGLANG_MODEL={self.usable[0]}"
        return "reinstall the model's package, or take it out to have the model downloaded"


@define
class TokenizerConfigUnreadable(NixenvError):
    """The tokenizer's configuration cannot be understood, so nothing can be said about it."""

    file: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.file} cannot be read as JSON: {self.detail}"

    @property
    def remedy(self) -> str:
        return "the model is served as it is; if the server rejects its tokenizer, start here"


# The cache ----------------------------------------------------------------------------------------


@define
class CacheUnwritable(NixenvError):
    """Something for later cannot be put into the cache directory."""

    what: str
    path: str
    detail: str
    variable: str

    @property
    def reason(self) -> str:
        return f"{self.what} cannot be written to {self.path}: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "check the free space and the permissions there, "
            f"or set {self.variable} to a place that can be written"
        )


@define
class CacheUntrusted(NixenvError):
    """A place in the cache directory that somebody else could change."""

    path: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.path} {self.detail}: somebody else could change what is served"

    @property
    def remedy(self) -> str:
        return "look at it (`ls -ld`), remove it, and run sglang-resolve-model again"


# The .env file ------------------------------------------------------------------------------------


@define
class EnvFileUnusable(NixenvError):
    """The resolver's .env file is missing, damaged, stale, or about another model."""

    file: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.file} {self.detail}"

    @property
    def remedy(self) -> str:
        return "run sglang-resolve-model with the same variables; it writes the file anew"


# The server ---------------------------------------------------------------------------------------


@define
class PortUnavailable(NixenvError):
    """The server could not listen where it is told to."""

    host: str
    port: int
    detail: str

    @property
    def reason(self) -> str:
        return f"port {self.port} of {self.host} cannot be listened on: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            f"`ss -ltnp 'sport = :{self.port}'` shows who has it; "
            "stop that, or set SGLANG_PORT or SGLANG_HOST to another"
        )


@define
class ServerNotStarted(NixenvError):
    """The system would not start the interpreter."""

    program: str
    detail: str

    @property
    def reason(self) -> str:
        return f"{self.program} could not be started: {self.detail}"

    @property
    def remedy(self) -> str:
        return (
            "activate the environment that holds SGLang (`nixenv inspect sglang` shows its "
            "interpreter), or set SGLANG_PYTHON to that interpreter"
        )
