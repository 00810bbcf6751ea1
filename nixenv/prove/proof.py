"""Try it all, one step after another, and explain what failed."""

import contextlib
from collections.abc import Callable, Iterator, Mapping

from attrs import evolve

from nixenv import request
from nixenv.evidence.gpu import query_driver
from nixenv.inspect.examination import examine
from nixenv.process import PATIENT, Patience
from nixenv.prove.caches import find_cache_directories, try_build_files, try_cache
from nixenv.prove.compilers import try_compilers
from nixenv.prove.gpus import try_driver, try_gpus, try_load
from nixenv.prove.interpreter import try_import, try_launcher
from nixenv.prove.steps import Part, Proof, State, Step, explain
from nixenv.prove.toolchain import find_toolchain
from nixenv.prove.workshop import Workshop, not_tried
from nixenv.request import Prepared, Selection
from nixenv.road.plan import apply
from nixenv.road.root import find_executable

Report = Callable[[Step], object]
"""Called with each step as it is done."""


def prove(
    selection: Selection,
    environ: Mapping[str, str],
    report: Report = lambda _step: None,
    patience: Patience = PATIENT,
) -> Proof:
    """Do what the JIT compilers do in the environment, and say what happened.

    Args:
        selection: The request.
        environ: The variables before.
        report: Called with each step as it is done; what explains a failure comes at the end.
        patience: How long to wait for Nix, and who is told meanwhile.

    Raises:
        NixenvError: there is no environment to try.
    """
    material = request.gather(selection, environ, patience)
    selection = request.stay_with_active(selection, material, environ)
    prepared = request.prepare(selection, environ, gathered=material)
    request.build(prepared)
    final = apply(prepared.environment, environ)
    steps = []
    for step in _try(prepared, final):
        report(step)
        steps.append(step)
    root = prepared.material.root
    profile = prepared.material.profile
    layout = request.choose_layout(selection, profile)
    proof = Proof(root.program, root.path, layout, tuple(steps))
    selection = selection._replace(profile=selection.profile or profile.name)
    return _explained(proof, selection, final, patience) if proof.failed else proof


def _try(prepared: Prepared, environ: Mapping[str, str]) -> Iterator[Step]:
    caches = find_cache_directories(prepared, environ)
    tools = find_toolchain(environ)
    with contextlib.ExitStack() as stack:
        scratch = []
        for name, path in caches.items():
            step, made = try_cache(name, path, stack)
            yield step
            scratch += [made] if made else []
        if not scratch:
            yield not_tried(Part.HOST_CODE, "compile", "no cache directory can be used")
            return
        driver = query_driver(environ)
        interpreter = prepared.inventory.interpreter
        workshop = Workshop(
            environ=environ,
            directory=scratch[0],
            python=find_executable(f"python{interpreter.version}", environ.get("PATH", ""))
            if interpreter
            else None,
            has_driver=bool(driver.devices or driver.module or driver.libcuda),
        )
        yield from try_build_files(caches, tools)
        yield try_import(workshop, prepared.material.root.program)
        yield from try_compilers(workshop, tools, driver)
        yield from try_load(workshop, prepared.inventory)
        yield from try_launcher(workshop)
        yield from try_driver(workshop)
        yield from try_gpus(workshop, prepared.inventory, driver)


def _explained(
    proof: Proof, selection: Selection, environ: Mapping[str, str], patience: Patience
) -> Proof:
    """Ask inspect, in the very environment that was tried."""
    if selection.snapshot is None:
        selection = selection._replace(root=proof.root, binary=proof.program)
    findings = examine(selection, environ, patience=patience).report.findings
    return evolve(
        proof,
        steps=tuple(
            evolve(step, finding=explain(step, findings)) if step.state is State.FAILED else step
            for step in proof.steps
        ),
    )
