"""The two programs of an SGLang environment: ``sglang-resolve-model`` and ``sglang-serve``.

The first finds the model and writes an ``.env`` file; the second reads that file and becomes the
server. docs/sglang.md is their reference.
"""
