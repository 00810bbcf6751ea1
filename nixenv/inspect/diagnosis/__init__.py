"""What is wrong with an environment: one module of checks for each part of docs/findings.md. Pure.

A check takes what the stations found and yields `nixenv.findings.Finding`s; each takes only what it
judges, so that what could be found out is judged even where the rest could not.
"""
