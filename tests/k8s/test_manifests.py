"""The Kubernetes files, against the schemas of the real API."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped] # it has no stubs
import pytest
import yaml

from nixenv.road.profile import load_profile
from tests.k8s.tools import Tools, fetch_tools

K8S = Path(__file__).parents[2] / "k8s"
BASE = K8S / "base"

# What `kubectl apply -k` takes.
KUSTOMIZATIONS = {
    "k8s": K8S,
    "single-gpu": K8S / "overlays/single-gpu",
    "tensor-parallel": K8S / "overlays/tensor-parallel",
    "own-model-volume": K8S / "overlays/own-model-volume",
    "multi-node": K8S / "multi-node",
    "leader-worker-set": K8S / "leader-worker-set",
}

# The oldest that knows all that is used (preStop's sleep, the pod index), and the newest there is.
VERSIONS = ("1.30", kubernetes_validate.latest_version())

# What runs the pods of each way to serve.
WORKLOADS = {
    "k8s": "Deployment",
    "multi-node": "StatefulSet",
    "leader-worker-set": "LeaderWorkerSet",
}

# Kinds that are no part of Kubernetes.
CUSTOM = ("LeaderWorkerSet", "ServiceMonitor")

# SGLang 0.5.9, srt/entrypoints/http_server.py: what /health waits for its token at the most.
HEALTH_CHECK_SECONDS = 20

Resource = dict[str, Any]


def _read(path: Path) -> list[Resource]:
    return list(yaml.safe_load_all(path.read_text()))


def _one(name: str) -> Resource:
    (resource,) = _read(K8S / name)
    return resource


@pytest.fixture(scope="module")
def tools() -> Tools:
    return fetch_tools()


@pytest.fixture(scope="module")
def built(tools: Tools, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Resource]]:
    """The resources of each kustomization, and of one with the metrics."""
    found = {
        name: list(yaml.safe_load_all(tools.build(directory)))
        for name, directory in KUSTOMIZATIONS.items()
    }
    return {**found, "metrics": _with_metrics(tools, tmp_path_factory.mktemp("metrics"))}


def _with_metrics(tools: Tools, directory: Path) -> list[Resource]:
    """Build what a user's own kustomization makes of ours."""
    shutil.copytree(K8S, directory / "k8s")
    (directory / "kustomization.yaml").write_text(
        "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n"
        "resources: [k8s]\ncomponents: [k8s/components/metrics]\n"
    )
    return list(yaml.safe_load_all(tools.build(directory)))


def _of_kind(resources: list[Resource], kind: str) -> Resource:
    (found,) = [resource for resource in resources if resource["kind"] == kind]
    return found


@pytest.fixture
def deployment() -> Resource:
    return _one("base/deployment.yaml")


@pytest.fixture
def stateful_set() -> Resource:
    return _one("multi-node/statefulset.yaml")


@pytest.fixture
def services() -> dict[str, Resource]:
    """Of the multi-node setup, by name."""
    return {found["metadata"]["name"]: found for found in _read(K8S / "multi-node/service.yaml")}


@pytest.fixture(
    params=[
        "base/deployment.yaml",
        "multi-node/statefulset.yaml",
        "leader-worker-set/leader-worker-set.yaml",
    ]
)
def workload(request: pytest.FixtureRequest) -> Resource:
    """One of the three."""
    return _one(request.param)


def _template(workload: Resource) -> Resource:
    """What the pods are made of; a group has it elsewhere."""
    spec = workload["spec"]
    template: Resource = spec.get("leaderWorkerTemplate", {}).get("workerTemplate")
    return template or spec["template"]


def _pod(workload: Resource) -> Resource:
    pod: Resource = _template(workload)["spec"]
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
def test_all_that_is_built_is_valid(built: dict[str, list[Resource]], version: str) -> None:
    """Kubernetes takes each resource, and knows each of its fields."""
    for resources in built.values():
        for resource in resources:
            if resource["kind"] not in CUSTOM:
                kubernetes_validate.validate(resource, version, strict=True)


def test_another_validator_takes_it_too(built: dict[str, list[Resource]], tools: Tools) -> None:
    """With schemas that somebody else made of the API, and those of the Prometheus operator."""
    for resources in built.values():
        known = [resource for resource in resources if resource["kind"] != "LeaderWorkerSet"]
        assert tools.find_faults(known) == []


def test_a_leader_worker_set_has_the_fields_of_its_api() -> None:
    """leaderworkerset.x-k8s.io/v1 as its controller reads it; there is no schema to be had.

    The pod is held to Kubernetes' own schema.
    """
    resource = _one("leader-worker-set/leader-worker-set.yaml")
    assert (resource["apiVersion"], resource["kind"]) == (
        "leaderworkerset.x-k8s.io/v1",
        "LeaderWorkerSet",
    )
    assert set(resource["spec"]) == {"replicas", "leaderWorkerTemplate"}
    group = resource["spec"]["leaderWorkerTemplate"]
    assert set(group) == {"size", "restartPolicy", "workerTemplate"}
    assert group["restartPolicy"] == "RecreateGroupOnPodRestart"
    template = group["workerTemplate"]
    pod = {"apiVersion": "v1", "kind": "Pod", "spec": template["spec"]}
    pod["metadata"] = {**template["metadata"], "name": "x"}
    kubernetes_validate.validate(pod, VERSIONS[-1], strict=True)


def test_each_pod_of_a_group_knows_its_place() -> None:
    """By the three variables of the controller; all GPUs of the group make one model."""
    resource = _one("leader-worker-set/leader-worker-set.yaml")
    group = resource["spec"]["leaderWorkerTemplate"]
    (container,) = group["workerTemplate"]["spec"]["containers"]
    script = container["command"][-1].replace("sglang-resolve-model && exec sglang-serve", "env")
    controller = {"LWS_GROUP_SIZE": "2", "LWS_WORKER_INDEX": "1", "LWS_LEADER_ADDRESS": "a.b"}
    told = subprocess.run(
        ["dash", "-c", script],
        env={**controller, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert {"SGLANG_NNODES=2", "SGLANG_NODE_RANK=1", "SGLANG_DIST_INIT_ADDR=a.b:20000"} <= set(told)
    gpus = container["resources"]["limits"]["nvidia.com/gpu"]
    size = next(v["value"] for v in container["env"] if v["name"] == "SGLANG_TP_SIZE")
    assert int(size) == group["size"] * gpus


def test_clients_of_a_group_are_led_to_its_leader() -> None:
    """The controller labels each pod with its index."""
    resource = _one("leader-worker-set/leader-worker-set.yaml")
    template = resource["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    selector = _one("leader-worker-set/service.yaml")["spec"]["selector"]
    labels = template["metadata"]["labels"]
    index = "leaderworkerset.sigs.k8s.io/worker-index"
    assert _selects(selector, {**labels, index: "0"})
    assert not _selects(selector, {**labels, index: "1"})


def test_the_pod_sees_its_gpu(workload: Resource) -> None:
    """In run mode nothing tells a Nix program where the device plugin mounted libcuda."""
    annotations = _template(workload)["metadata"]["annotations"]
    assert annotations["flox.dev/activate-mode"] == "dev"


def test_a_slow_start_is_not_called_a_failure(built: dict[str, list[Resource]]) -> None:
    """A Deployment waits for longer than its own startup probe."""
    for resources in built.values():
        for resource in resources:
            if resource["kind"] == "Deployment":
                probe = _container(resource)["startupProbe"]
                allowed = probe["periodSeconds"] * probe["failureThreshold"]
                assert resource["spec"]["progressDeadlineSeconds"] > allowed


def test_a_dead_server_is_not_waited_for(workload: Resource) -> None:
    """One that no longer answers drains nothing; a stop by hand has minutes."""
    probe = _container(workload)["livenessProbe"]
    assert probe["terminationGracePeriodSeconds"] < _pod(workload)["terminationGracePeriodSeconds"]


def test_the_pod_has_no_more_rights_than_it_needs(workload: Resource) -> None:
    """All that the restricted standard wants but for the user, which is the environment's."""
    assert _pod(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert _container(workload)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert _pod(workload)["automountServiceAccountToken"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(_pod(workload))


def test_the_memory_limit_counts_shared_memory(built: dict[str, list[Resource]]) -> None:
    """What is in /dev/shm is the container's: the limit is above the request and that together."""
    for resources in built.values():
        for resource in resources:
            if resource["kind"] in WORKLOADS.values():
                volumes = {volume["name"]: volume for volume in _pod(resource)["volumes"]}
                shared = _gibibytes(volumes["shm"]["emptyDir"]["sizeLimit"])
                memory = _container(resource)["resources"]
                limit, asked = (_gibibytes(memory[k]["memory"]) for k in ("limits", "requests"))
                assert limit >= asked + shared


def _gibibytes(quantity: str) -> int:
    assert quantity.endswith("Gi")
    return int(quantity.removesuffix("Gi"))


def test_only_clients_reach_the_server(built: dict[str, list[Resource]]) -> None:
    """Policies select the pods of their workload; what comes in is for the server's port alone."""
    for name, kind in WORKLOADS.items():
        policy = _of_kind(built[name], "NetworkPolicy")["spec"]
        labels = _template(_of_kind(built[name], kind))["metadata"]["labels"]
        assert _selects(policy["podSelector"]["matchLabels"], labels)
        assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
        (clients,) = [rule for rule in policy["ingress"] if "ports" in rule]
        assert clients["ports"] == [{"port": "http"}]


def test_a_drain_is_somebodys_decision(built: dict[str, list[Resource]]) -> None:
    """No eviction takes the only server away, unless it does not work."""
    for name, kind in WORKLOADS.items():
        budget = _of_kind(built[name], "PodDisruptionBudget")["spec"]
        labels = _template(_of_kind(built[name], kind))["metadata"]["labels"]
        assert _selects(budget["selector"]["matchLabels"], labels)
        replicas = _of_kind(built[name], kind)["spec"]["replicas"]
        assert budget.get("minAvailable") == replicas or budget.get("maxUnavailable") == 0
        assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_metrics_are_a_component(built: dict[str, list[Resource]]) -> None:
    """SGLang is told to have them, and Prometheus where they are."""
    deployment = _of_kind(built["metrics"], "Deployment")
    assert _environment(deployment)["SGLANG_EXTRA_ARGS"] == "--enable-metrics"
    monitor = _of_kind(built["metrics"], "ServiceMonitor")["spec"]
    service = _of_kind(built["metrics"], "Service")
    assert _selects(monitor["selector"]["matchLabels"], service["metadata"]["labels"])
    (endpoint,) = monitor["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"
    assert "ServiceMonitor" not in {resource["kind"] for resource in built["k8s"]}


def test_tensor_parallelism_takes_all_its_gpus(built: dict[str, list[Resource]]) -> None:
    """The limit, and SGLANG_TP_SIZE."""
    deployment = _of_kind(built["tensor-parallel"], "Deployment")
    gpus = _container(deployment)["resources"]["limits"]["nvidia.com/gpu"]
    assert int(_environment(deployment)["SGLANG_TP_SIZE"]) == gpus > 1


def test_models_of_ones_own_are_only_read(built: dict[str, list[Resource]]) -> None:
    """Nothing is downloaded, nothing is written, and the claim is not ours to make."""
    resources = built["own-model-volume"]
    assert "PersistentVolumeClaim" not in {resource["kind"] for resource in resources}
    deployment = _of_kind(resources, "Deployment")
    environment = _environment(deployment)
    assert environment["SGLANG_MODEL"].startswith("/models/")
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert "HF_HUB_CACHE" not in environment
    (mount,) = [m for m in _container(deployment)["volumeMounts"] if m["mountPath"] == "/models"]
    assert mount["readOnly"] is True


@pytest.mark.parametrize("file", sorted(K8S.rglob("kustomization.yaml")), ids=str)
def test_kustomization_lists_every_file(file: Path) -> None:
    """`kubectl apply -k` applies all that is in the directory."""
    kustomization = yaml.safe_load(file.read_text())
    files = {path.name for path in file.parent.glob("*.yaml")} - {"kustomization.yaml"}
    patches = {patch.get("path") for patch in kustomization.get("patches", ())}
    assert files <= {*kustomization["resources"], *patches}


def test_all_is_in_one_namespace(built: dict[str, list[Resource]]) -> None:
    """The namespace is made here, and every resource is in it."""
    resources = [resource for found in built.values() for resource in found]
    (namespace,) = {r["metadata"]["name"] for r in resources if r["kind"] == "Namespace"}
    others = [resource for resource in resources if resource["kind"] != "Namespace"]
    assert {found["metadata"]["namespace"] for found in others} == {namespace}


def test_volume_for_models(deployment: Resource) -> None:
    """50 GiB, ReadWriteOnce, at /models, where huggingface_hub is told to keep its cache."""
    claim = _one("base/pvc.yaml")
    assert claim["spec"]["accessModes"] == ["ReadWriteOnce"]
    assert claim["spec"]["resources"]["requests"] == {"storage": "50Gi"}
    volumes = {volume["name"]: volume for volume in _pod(deployment)["volumes"]}
    volume = volumes[_mounts(deployment)["/models"]]
    assert volume["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert _environment(deployment)["HF_HUB_CACHE"] == "/models"


def test_pod_is_a_flox_environment(workload: Resource) -> None:
    """The pod has Flox's runtime class and placeholder image, and names the environment."""
    assert _pod(workload)["runtimeClassName"] == "flox"
    assert _container(workload)["image"] == "flox/empty:1.0.0"
    annotations = _template(workload)["metadata"]["annotations"]
    owner, _, name = annotations["flox.dev/environment"].partition("/")
    assert owner
    assert name == "sglang"


def test_pod_runs_the_service(workload: Resource) -> None:
    """The model is resolved, then the server takes the shell's place and gets its signals."""
    shell, option, script = _container(workload)["command"]
    assert (shell, option) == ("dash", "-c")
    assert script.splitlines()[-1] == "sglang-resolve-model && exec sglang-serve"


def test_shell_is_in_the_environment() -> None:
    """The image has no shell; the one that the command names is installed by the manifest."""
    manifest = K8S.parent / ".flox/env/manifest.toml"
    assert '\ndash.pkg-path = "dash"\n' in manifest.read_text()


def test_services_do_not_become_variables(workload: Resource) -> None:
    """A service named sglang would set SGLANG_PORT to a URL in each pod of the namespace."""
    assert _one("base/service.yaml")["metadata"]["name"] == "sglang"
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


def test_token_is_a_secret_away(workload: Resource) -> None:
    """A gated model's token comes from a secret that may be missing."""
    assert _environment(workload)["HF_TOKEN"] == {
        "secretKeyRef": {"name": "sglang-secrets", "key": "hf-token", "optional": True}
    }


def test_service_leads_to_the_server(deployment: Resource) -> None:
    """Inside the cluster the server is at sglang:30000, which is the server's own port."""
    service = _one("base/service.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["type"] == "ClusterIP"
    assert _selects(service["spec"]["selector"], labels)
    (port,) = service["spec"]["ports"]
    assert (port["port"], port["targetPort"]) == (30000, "http")
    (container_port,) = _container(deployment)["ports"]
    assert container_port == {"name": "http", "containerPort": 30000}
    assert load_profile("sglang").defaults["SGLANG_PORT"] == "30000"


def test_workload_selects_its_pods(workload: Resource) -> None:
    """A workload's selector fits its own pods; a group's is its controller's."""
    if workload["kind"] == "LeaderWorkerSet":
        return
    labels = workload["spec"]["template"]["metadata"]["labels"]
    assert _selects(workload["spec"]["selector"]["matchLabels"], labels)


def test_workloads_keep_apart(
    deployment: Resource, stateful_set: Resource, services: dict[str, Resource]
) -> None:
    """Side by side in the namespace, neither setup's services lead to the other's pods."""
    single = deployment["spec"]["template"]["metadata"]["labels"]
    rank = stateful_set["spec"]["template"]["metadata"]["labels"]
    assert not _selects(_one("base/service.yaml")["spec"]["selector"], rank)
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
