"""The Kubernetes files, against the schemas of the real API."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it has no stubs
import pytest
import yaml

from nixenv.road.profile import load_profile

K8S = Path(__file__).parents[2] / "k8s"
FILES = sorted(path for path in K8S.rglob("*.yaml") if path.name != "kustomization.yaml")

# The oldest that knows all that is used (preStop's sleep, the pod index), and the newest there is.
VERSIONS = ("1.30", kubernetes_validate.latest_version())

# SGLang 0.5.9, srt/entrypoints/http_server.py: what /health waits for its token at the most.
HEALTH_CHECK_SECONDS = 20

Resource = dict[str, Any]


def _read(path: Path) -> list[Resource]:
    return list(yaml.safe_load_all(path.read_text()))


def _one(name: str) -> Resource:
    (resource,) = _read(K8S / name)
    return resource


@pytest.fixture
def deployment() -> Resource:
    return _one("deployment.yaml")


@pytest.fixture
def stateful_set() -> Resource:
    return _one("multi-node/statefulset.yaml")


@pytest.fixture
def services() -> dict[str, Resource]:
    """Of the multi-node setup, by name."""
    return {found["metadata"]["name"]: found for found in _read(K8S / "multi-node/service.yaml")}


@pytest.fixture(params=["deployment.yaml", "multi-node/statefulset.yaml"])
def workload(request: pytest.FixtureRequest) -> Resource:
    return _one(request.param)


def _pod(workload: Resource) -> Resource:
    pod: Resource = workload["spec"]["template"]["spec"]
    return pod


def _container(workload: Resource) -> Resource:
    (container,) = _pod(workload)["containers"]
    assert isinstance(container, dict)
    return container


def _mounts(workload: Resource) -> dict[str, str]:
    return {found["mountPath"]: found["name"] for found in _container(workload)["volumeMounts"]}


def _environment(workload: Resource) -> dict[str, Any]:
    return {
        variable["name"]: variable.get("value", variable.get("valueFrom"))
        for variable in _container(workload)["env"]
    }


def _selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    return selector.items() <= labels.items()


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(K8S)))
def test_file_is_valid(path: Path, version: str) -> None:
    """Kubernetes takes each resource, and knows each of its fields."""
    for resource in _read(path):
        kubernetes_validate.validate(resource, version, strict=True)


def test_unknown_field_is_found(deployment: Resource) -> None:
    """The schemas are strict: a misspelt field is an error, not a thing that has no effect."""
    _pod(deployment)["runtimeClass"] = "flox"
    with pytest.raises(kubernetes_validate.ValidationError, match="runtimeClass"):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("directory", [K8S, K8S / "multi-node"], ids=lambda path: path.name)
def test_kustomization_lists_every_file(directory: Path) -> None:
    """`kubectl apply -k` applies all that is in the directory."""
    kustomization = yaml.safe_load((directory / "kustomization.yaml").read_text())
    files = {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}
    assert kustomization["apiVersion"] == "kustomize.config.k8s.io/v1beta1"
    assert kustomization["kind"] == "Kustomization"
    assert set(kustomization["resources"]) == files


def test_all_is_in_one_namespace() -> None:
    """The namespace is made here, and every resource is in it."""
    resources = [resource for path in FILES for resource in _read(path)]
    (namespace,) = [found for found in resources if found["kind"] == "Namespace"]
    others = [found for found in resources if found is not namespace]
    assert {found["metadata"]["namespace"] for found in others} == {namespace["metadata"]["name"]}


def test_volume_for_models(deployment: Resource) -> None:
    """50 GiB, ReadWriteOnce, at /models, where huggingface_hub is told to keep its cache."""
    claim = _one("pvc.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "50Gi"}
    volumes = {volume["name"]: volume for volume in _pod(deployment)["volumes"]}
    volume = volumes[_mounts(deployment)["/models"]]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert _environment(deployment)["HF_HUB_CACHE"] == "/models"


def test_one_server_at_a_time(deployment: Resource) -> None:
    """One replica; the old pod lets go of the volume and the GPU before the new one starts."""
    assert deployment["spec"]["replicas"] == 1
    assert deployment["spec"]["strategy"] == {"type": "Recreate"}


def test_pod_is_a_flox_environment(workload: Resource) -> None:
    """The pod has Flox's runtime class and placeholder image, and names the environment."""
    assert _pod(workload)["runtimeClassName"] == "flox"
    assert _container(workload)["image"] == "flox/empty:1.0.0"
    annotations = workload["spec"]["template"]["metadata"]["annotations"]
    owner, _, name = annotations["flox.dev/environment"].partition("/")
    assert owner
    assert name == "sglang"


def test_pod_runs_the_service(workload: Resource) -> None:
    """The model is resolved, then the server takes the shell's place and gets its signals."""
    assert _container(workload)["command"] == [
        "dash",
        "-c",
        "sglang-resolve-model && exec sglang-serve",
    ]


def test_shell_is_in_the_environment() -> None:
    """The image has no shell; the one that the command names is installed by the manifest."""
    manifest = K8S.parent / ".flox/env/manifest.toml"
    assert '\ndash.pkg-path = "dash"\n' in manifest.read_text()


def test_pod_has_a_gpu(deployment: Resource) -> None:
    """One GPU; extended resources are given as limits."""
    assert _container(deployment)["resources"]["limits"] == {"nvidia.com/gpu": 1}


def test_services_do_not_become_variables(workload: Resource) -> None:
    """A service named sglang would set SGLANG_PORT to a URL in each pod of the namespace."""
    assert _one("service.yaml")["metadata"]["name"] == "sglang"
    assert _pod(workload)["enableServiceLinks"] is False


def test_startup_may_take_ten_minutes(deployment: Resource) -> None:
    """Nothing is restarted while it compiles and loads, for 10 minutes."""
    probe = _container(deployment)["startupProbe"]
    assert probe["httpGet"] == {"path": "/health", "port": "http"}
    assert probe["periodSeconds"] * probe["failureThreshold"] == 600


@pytest.mark.parametrize("probe", ["startupProbe", "readinessProbe", "livenessProbe"])
def test_probe_asks_for_health(workload: Resource, probe: str) -> None:
    """All three ask SGLang, and wait for more than the second that its answer takes at least.

    The other two wait for the first: there is a startup probe.
    """
    container = _container(workload)
    assert container[probe]["httpGet"] == {"path": "/health", "port": "http"}
    assert container[probe]["timeoutSeconds"] > 1
    assert "initialDelaySeconds" not in container[probe]


@pytest.mark.parametrize("probe", ["readinessProbe", "livenessProbe"])
def test_verdict_is_sglangs(workload: Resource, probe: str) -> None:
    """A busy server is not a dead one: Kubernetes waits until SGLang itself gives up."""
    assert _container(workload)[probe]["timeoutSeconds"] > HEALTH_CHECK_SECONDS


def test_requests_are_drained(deployment: Resource) -> None:
    """After the endpoint is gone, minutes are left for the requests that are running.

    SGLang looks for SIGTERM, and for the end of the last request, every 5 seconds.
    """
    pause = _container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause >= 5
    assert _pod(deployment)["terminationGracePeriodSeconds"] - pause >= 240


@pytest.mark.parametrize("name", ["deployment.yaml", "multi-node/statefulset.yaml"])
def test_token_is_a_comment_away(name: str) -> None:
    """The token of a gated model is not asked for; uncommented, it comes from a secret."""
    text = (K8S / name).read_text()
    assert "HF_TOKEN" not in _environment(_one(name))
    lines = text.splitlines(keepends=True)
    start = next(index for index, line in enumerate(lines) if "# - name: HF_TOKEN" in line)
    for index in range(start, start + 5):
        lines[index] = lines[index].replace("# ", "", 1)
    resource = yaml.safe_load("".join(lines))
    kubernetes_validate.validate(resource, VERSIONS[-1], strict=True)
    assert _environment(resource)["HF_TOKEN"] == {
        "secretKeyRef": {"name": "huggingface", "key": "token"}
    }
    assert "create secret generic huggingface --from-literal=token=" in text


def test_service_leads_to_the_server(deployment: Resource) -> None:
    """Inside the cluster the server is at sglang:30000, which is the server's own port."""
    service = _one("service.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["type"] == "ClusterIP"
    assert _selects(service["spec"]["selector"], labels)
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (30000, "http")
    (container_port,) = _container(deployment)["ports"]
    assert container_port == {"name": "http", "containerPort": 30000}
    assert load_profile("sglang").defaults["SGLANG_PORT"] == "30000"


def test_workload_selects_its_pods(workload: Resource) -> None:
    """A workload's selector fits its own pods."""
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert _selects(workload["spec"]["selector"]["matchLabels"], labels)


def test_workloads_keep_apart(
    deployment: Resource, stateful_set: Resource, services: dict[str, Resource]
) -> None:
    """Side by side in the namespace, neither setup's services lead to the other's pods."""
    single = deployment["spec"]["template"]["metadata"]["labels"]
    rank = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert not _selects(_one("service.yaml")["spec"]["selector"], rank)
    for service in services.values():
        assert not _selects(service["spec"]["selector"], single)


def test_shared_memory(workload: Resource) -> None:
    """/dev/shm is memory, and more than the 64 MiB of a container: NCCL's processes share it."""
    volumes = {volume["name"]: volume for volume in _pod(workload)["volumes"]}
    shm = volumes[_mounts(workload)["/dev/shm"]]["emptyDir"]
    assert shm["medium"] == "Memory"
    assert shm["sizeLimit"].endswith("Gi")


def test_each_rank_knows_its_place(stateful_set: Resource, services: dict[str, Resource]) -> None:
    """The number of ranks is that of the pods, a rank is a pod's index, all meet at rank 0."""
    environment = _environment(stateful_set)
    name = stateful_set["metadata"]["name"]
    headless = services[stateful_set["spec"]["serviceName"]]
    (port,) = headless["spec"]["ports"]
    assert environment["SGLANG_NNODES"] == str(stateful_set["spec"]["replicas"])
    assert environment["SGLANG_NODE_RANK"] == {
        "fieldRef": {"fieldPath": "metadata.labels['apps.kubernetes.io/pod-index']"}
    }
    assert environment["SGLANG_DIST_INIT_ADDR"] == (
        f"{name}-0.{headless['metadata']['name']}:{port['port']}"
    )


def test_tensor_parallel_size_is_that_of_all_gpus(stateful_set: Resource) -> None:
    """SGLang spreads one model over every GPU of every machine."""
    gpus = _container(stateful_set)["resources"]["limits"]["nvidia.com/gpu"]
    size = int(_environment(stateful_set)["SGLANG_TP_SIZE"])
    assert size == stateful_set["spec"]["replicas"] * gpus


def test_ranks_find_each_other_before_they_are_ready(
    stateful_set: Resource, services: dict[str, Resource]
) -> None:
    """Names exist from the start, and all pods start at once: readiness needs all of them."""
    headless = services[stateful_set["spec"]["serviceName"]]
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert headless["spec"]["clusterIP"] == "None"
    assert headless["spec"]["publishNotReadyAddresses"] is True
    assert _selects(headless["spec"]["selector"], labels)
    assert stateful_set["spec"]["podManagementPolicy"] == "Parallel"


def test_ranks_are_not_replaced_one_by_one(stateful_set: Resource) -> None:
    """A rank of the new generation would wait for ever for the old ones."""
    assert stateful_set["spec"]["updateStrategy"] == {"type": "OnDelete"}


def test_clients_are_led_to_rank_0(stateful_set: Resource, services: dict[str, Resource]) -> None:
    """Only rank 0 answers requests; Kubernetes gives its pod the index 0."""
    service = services["sglang-multi"]
    labels = stateful_set["spec"]["template"]["metadata"]["labels"]
    index = "apps.kubernetes.io/pod-index"
    assert service["spec"]["selector"][index] == "0"
    assert _selects(service["spec"]["selector"], {**labels, index: "0"})
    assert not _selects(service["spec"]["selector"], {**labels, index: "1"})
    assert service["spec"]["ports"] == [{"name": "http", "port": 30000, "targetPort": "http"}]


def test_each_machine_keeps_the_model(stateful_set: Resource) -> None:
    """Each rank has a volume of its own at /models."""
    (claim,) = stateful_set["spec"]["volumeClaimTemplates"]
    mounts = {
        found["mountPath"]: found["name"] for found in _container(stateful_set)["volumeMounts"]
    }
    assert mounts["/models"] == claim["metadata"]["name"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert _environment(stateful_set)["HF_HUB_CACHE"] == "/models"
