"""The road: from a program's name to the operations of its environment.

Stations, in order: `root`, `query` (which asks `nix`), `probe` (which reads the `launcher`),
`classify` (by the rules of `python` and `cuda`) and `plan` (by the `profile`; `farms` says where
those of layout ``linked`` lie). Data goes one way.
"""
