"""deploy/helm/streaming-assets as Helm renders it, and the pod of a run as Dagster's launcher makes it from that."""

import json
import subprocess
from collections.abc import Iterator
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.test_utils import instance_for_test
from dagster_k8s import K8sRunLauncher, launcher

from streaming_assets.settings import PROJECT_ROOT
from streaming_assets_tests.deploy.test_dagster_yaml import CONFIG, environment, problems, write

CHART = PROJECT_ROOT / "deploy" / "helm" / "streaming-assets"
IMAGE = "us-central1-docker.pkg.dev/my-project/streaming-assets/streaming-assets"
VALUES: dict[str, Any] = {
    "image": {"repository": IMAGE, "tag": "abc1234"},
    "settings": {
        "STREAMING_ASSETS_TARGET": "gcp",
        "DAGSTER_POSTGRES_HOST": "10.0.0.3",
        "DAGSTER_LOG_BUCKET": "my-project-run-logs",
    },
    "secrets": {"kafka": "streaming-assets-kafka"},
    "published": {"storageClass": "standard-rwx"},
    "networks": {"database": "10.0.0.0/24", "kafka": "10.0.1.0/24"},
}
ALL = {**VALUES, "viewer": {"replicas": 1}, "simulator": {"replicas": 1}}
ALWAYS = {"code", "daemon", "webserver", "dashboards", "sink"}
COMPONENT = "app.kubernetes.io/component"
POD_KINDS = ("Deployment", "StatefulSet", "Job")
Manifest = dict[str, Any]

__all__ = ["environment"]  # the fixture
pytestmark = [pytest.mark.integration, pytest.mark.xdist_group("deploy")]


def helm_template(helm: Path, folder: Path, values: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    (folder / "values.json").write_text(json.dumps(values))
    return subprocess.run(
        [helm, "template", "release", CHART, "--namespace", "dagster", "--values", folder / "values.json"],
        capture_output=True,
        text=True,
    )


def render(helm: Path, folder: Path, values: dict[str, Any]) -> list[Manifest]:
    done = helm_template(helm, folder, values)
    assert done.returncode == 0, done.stderr
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


@pytest.fixture(scope="module")
def manifests(helm: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Manifest]:
    """With all parts."""
    return render(helm, tmp_path_factory.mktemp("chart"), ALL)


@pytest.fixture(scope="module")
def dagster_yaml(manifests: list[Manifest]) -> dict[str, Any]:
    (instance,) = (m for m in manifests if m["metadata"]["name"] == "release-instance")
    return yaml.safe_load(instance["data"]["dagster.yaml"])


class Cluster:
    """In place of the client of a cluster's API: keeps what it is asked to make."""

    def __init__(self) -> None:
        self.jobs: list[Any] = []

    def create_namespaced_job_with_retries(self, body: Any, namespace: str) -> None:
        assert namespace == "dagster"
        self.jobs.append(body)


def run_job(config: dict[str, Any], tags: dict[str, str] | None = None) -> Manifest:
    """The Job that Dagster's launcher, so configured, makes of a run of the image that is there before an upgrade."""
    origin = JobPythonOrigin(
        "hourly",
        RepositoryPythonOrigin(
            executable_path="python",
            code_pointer=ModuleCodePointer("streaming_assets.definitions", "defs", None),
            container_image=f"{IMAGE}:before",
            entry_point=["dagster"],
            container_context={},
        ),
    )
    with pytest.MonkeyPatch.context() as patched, instance_for_test() as instance:
        patched.setattr(launcher, "load_kubernetes_config", lambda **_: None)
        launches = K8sRunLauncher(**config)
        launches.register_instance(instance)
        launches._api_client = cluster = Cluster()  # pyright: ignore[reportAttributeAccessIssue]
        run = dg.DagsterRun(job_name="hourly", job_code_origin=origin, tags=tags or {})
        instance.add_run(run)
        launches.launch_run(LaunchRunContext(run, None))
    (job,) = cluster.jobs
    return kubernetes.client.ApiClient().sanitize_for_serialization(job)


@pytest.fixture(scope="module")
def run(dagster_yaml: dict[str, Any]) -> Manifest:
    return run_job(dagster_yaml["run_launcher"]["config"])


@pytest.fixture(scope="module")
def pods(manifests: list[Manifest], run: Manifest) -> dict[str, Manifest]:
    """Of each part, and of a run, its pod."""
    templates = [m["spec"]["template"] for m in [*manifests, run] if m["kind"] in POD_KINDS]
    return {template["metadata"]["labels"][COMPONENT]: template for template in templates}


def containers(pod: Manifest) -> Iterator[Manifest]:
    yield from pod["spec"].get("initContainers", ())
    yield from pod["spec"]["containers"]


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Manifests of a kind by name, without that of the release."""
    return {m["metadata"]["name"].removeprefix("release-"): m for m in manifests if m["kind"] == kind}


def validated(
    kubeconform: Path, schemas: Path, manifests: list[Manifest]
) -> subprocess.CompletedProcess[str]:
    place = schemas / "{{.ResourceKind}}{{.KindSuffix}}.json"
    return subprocess.run(
        [kubeconform, "-strict", "-summary", "-schema-location", place, "-"],
        input=yaml.safe_dump_all(manifests),
        capture_output=True,
        text=True,
    )


def test_kubernetes_takes_all_of_it(
    kubeconform: Path, kubernetes_schemas: Path, manifests: list[Manifest], run: Manifest
) -> None:
    done = validated(kubeconform, kubernetes_schemas, [*manifests, run])
    assert f"Valid: {len(manifests) + 1}, Invalid: 0, Errors: 0, Skipped: 0" in done.stdout, done.stdout


def test_a_seeded_mistake_is_found(
    kubeconform: Path, kubernetes_schemas: Path, manifests: list[Manifest]
) -> None:
    wrong = yaml.safe_load(yaml.safe_dump(of_kind(manifests, "Deployment")["code"]))
    wrong["spec"]["template"]["spec"]["containers"][0]["securityContext"]["readOnlyRootFs"] = True
    done = validated(kubeconform, kubernetes_schemas, [wrong])
    assert "readOnlyRootFs" in done.stdout
    assert done.returncode == 1


@pytest.mark.parametrize(
    "missing",
    [
        "image.repository",
        "image.tag",
        "settings.DAGSTER_POSTGRES_HOST",
        "settings.DAGSTER_LOG_BUCKET",
        "published.storageClass",
        "networks.database",
        "networks.kafka",
    ],
)
def test_what_an_installation_must_say_is_named(helm: Path, tmp_path: Path, missing: str) -> None:
    section, name = missing.split(".")
    given = {**VALUES, section: {key: value for key, value in VALUES[section].items() if key != name}}
    done = helm_template(helm, tmp_path, given)
    assert done.returncode != 0
    assert missing in done.stderr


def test_the_site_is_not_simulated_and_nobody_only_looks_unless_that_is_asked_for(
    helm: Path, tmp_path: Path
) -> None:
    rendered = render(helm, tmp_path, VALUES)
    assert of_kind(rendered, "Deployment").keys() | of_kind(rendered, "StatefulSet").keys() == ALWAYS


def test_pods_are_as_restricted_as_kubernetes_knows(pods: dict[str, Manifest]) -> None:
    assert pods.keys() == {*ALWAYS, "viewer", "simulator", "run"}
    for name, pod in pods.items():
        spec = pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["runAsUser"] == 10001, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}, name
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "privileged": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert container["resources"]["limits"]["memory"], name
            assert container["resources"]["requests"].keys() == {"cpu", "memory"}, name


def test_pods_share_the_snapshot_alone_which_runs_write(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    claims = of_kind(manifests, "PersistentVolumeClaim")
    assert {name: claim["spec"]["accessModes"] for name, claim in claims.items()} == {
        "published": ["ReadWriteMany"]
    }
    assert all("volumeClaimTemplates" not in s["spec"] for s in of_kind(manifests, "StatefulSet").values())
    access: dict[str, bool] = {}
    for name, pod in pods.items():
        for volume in pod["spec"]["volumes"]:
            assert volume.keys() - {"name"} <= {"emptyDir", "configMap", "projected", "persistentVolumeClaim"}
        for mount in pod["spec"]["containers"][0]["volumeMounts"]:
            if mount["name"] == "published":
                assert mount["mountPath"] == "/var/lib/streaming_assets/published"
                access[name] = bool(mount.get("readOnly"))
    assert access == {"code": True, "dashboards": True, "run": False}


def test_secrets_are_files_that_the_chart_names_and_does_not_hold(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    assert not of_kind(manifests, "Secret")
    readers: dict[str, set[str]] = {}
    for name, pod in pods.items():
        for volume in pod["spec"]["volumes"]:
            for source in volume.get("projected", {}).get("sources", ()):
                readers.setdefault(source["secret"]["name"], set()).add(name)
        for container in containers(pod):
            assert not [
                e for e in container["env"] if "PASSWORD" in e["name"] and not e["name"].endswith("_FILE")
            ]
    assert readers == {
        "streaming-assets-postgres": {"code", "daemon", "webserver", "viewer", "run"},
        "streaming-assets-kafka": {"code", "sink", "simulator", "run"},
    }


def test_each_server_is_asked_what_it_is_for(manifests: list[Manifest]) -> None:
    asked = {}
    for name, deployment in of_kind(manifests, "Deployment").items():
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if probe in container:
                question = container[probe]
                what = question.get("exec", {}).get("command") or question["httpGet"]["path"]
                asked.setdefault(name, {})[probe[:5]] = what
    check = ["/opt/image/with-secrets.sh", "/opt/image/healthcheck.sh"]
    info = dict.fromkeys(("start", "liven", "readi"), "/server_info")
    assert asked == {
        "code": dict.fromkeys(("start", "liven", "readi"), check),
        "daemon": dict.fromkeys(("start", "liven"), check),
        "webserver": info,
        "viewer": info,
        # A snapshot that can't be read is no reason to start the pages again and again.
        "dashboards": {"start": "/", "liven": "/", "readi": "/healthz"},
    }
    healthcheck = (PROJECT_ROOT / "deploy" / "image" / "healthcheck.sh").read_text()
    assert "code) exec python /opt/image/lists_repositories.py" in healthcheck


def test_objects_are_looked_for_once(manifests: list[Manifest]) -> None:
    daemons = [
        m
        for m in manifests
        if m["kind"] in POD_KINDS and m["spec"]["template"]["spec"]["containers"][0]["args"] == ["daemon"]
    ]
    (daemon,) = daemons
    assert daemon["spec"]["replicas"] == 1
    assert daemon["spec"]["strategy"] == {"type": "Recreate"}  # never a second one beside it


def test_what_answers_is_there_during_an_upgrade(manifests: list[Manifest]) -> None:
    for name, service in of_kind(manifests, "Service").items():
        deployment = of_kind(manifests, "Deployment")[name]
        assert deployment["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert service["spec"]["selector"] == deployment["spec"]["selector"]["matchLabels"]
        assert service["spec"]["type"] == "ClusterIP"
    assert of_kind(manifests, "Service").keys() == {"code", "webserver", "viewer", "dashboards"}


def test_drained_nodes_leave_one_of_several_and_wait_for_runs(
    manifests: list[Manifest], run: Manifest, dagster_yaml: dict[str, Any]
) -> None:
    budgets = of_kind(manifests, "PodDisruptionBudget")
    several = {
        m["metadata"]["name"].removeprefix("release-")
        for m in manifests
        if m["kind"] in POD_KINDS and m["spec"]["replicas"] > 1
    }
    assert budgets.keys() == several | {"run"}
    assert {budgets[name]["spec"]["maxUnavailable"] for name in several} == {1}
    # A Job has no number of replicas that a share could be of, so all of them are counted.
    spec = budgets["run"]["spec"]
    assert spec["minAvailable"] >= dagster_yaml["concurrency"]["runs"]["max_concurrent_runs"]
    assert spec["selector"]["matchLabels"].items() <= run["spec"]["template"]["metadata"]["labels"].items()


def test_a_run_outlives_what_asked_for_it(run: Manifest) -> None:
    """Another code location, web server or daemon may be there by the time it ends."""
    assert "ownerReferences" not in run["metadata"]
    spec = run["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert container["image"] == f"{IMAGE}:before"  # the code that planned it
    assert "execute_run" in container["args"]
    assert "command" not in container  # the image's entrypoint, which reads the secrets
    assert "release-code" not in json.dumps(
        {**run, "spec": {**run["spec"], "template": {"args": container["args"]}}}
    )
    assert run["spec"]["ttlSecondsAfterFinished"] > 0
    template = run["spec"]["template"]
    assert template["metadata"]["annotations"] == {"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}


def test_a_run_may_ask_for_memory_and_for_no_rights(dagster_yaml: dict[str, Any]) -> None:
    config = dagster_yaml["run_launcher"]["config"]
    more = {"requests": {"cpu": "1", "memory": "8Gi"}, "limits": {"memory": "8Gi"}}

    def launched(container: dict[str, Any]) -> Manifest:
        return run_job(config, {"dagster-k8s/config": json.dumps({"container_config": container})})

    (container,) = launched({"resources": more})["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == more
    for right in (
        {"security_context": {"privileged": True}},
        {"image": "another"},
        {"env": [{"name": "LD_PRELOAD", "value": "/tmp/x"}]},
    ):
        with pytest.raises(Exception, match="violated the allowed list"):
            launched(right)


def test_rights_in_the_cluster_are_those_of_runs(
    manifests: list[Manifest], pods: dict[str, Manifest]
) -> None:
    holders = {name for name, pod in pods.items() if pod["spec"]["automountServiceAccountToken"]}
    assert holders == {"daemon", "webserver", "viewer"}
    granted = {
        name: {
            (resource, verb)
            for rule in role["rules"]
            for resource in rule["resources"]
            for verb in rule["verbs"]
        }
        for name, role in of_kind(manifests, "Role").items()
    }
    assert granted.keys() == {"daemon", "webserver"}
    assert granted["daemon"] - granted["webserver"] == {("jobs", "create")}
    assert {resource for resource, _ in granted["daemon"]} == {
        "jobs",
        "jobs/status",
        "pods",
        "pods/log",
        "events",
    }
    accounts = {name: pod["spec"]["serviceAccountName"] for name, pod in pods.items()}
    assert set(accounts.values()) == {f"release-{name}" for name in of_kind(manifests, "ServiceAccount")}
    assert {name for name, account in accounts.items() if account == "release-nobody"} == {
        "dashboards",
        "simulator",
    }
    bindings = of_kind(manifests, "RoleBinding")
    assert bindings.keys() == granted.keys()
    for name, binding in bindings.items():
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": f"release-{name}", "namespace": "dagster"}
        ]


def allows(policy: Manifest, address: str, port: int) -> bool:
    """Whether the pods of a policy reach an address outside the cluster."""

    def within(peer: dict[str, Any]) -> bool:
        block = peer.get("ipBlock", {"cidr": "255.255.255.255/32"})
        found = ip_address(address)
        return found in ip_network(block["cidr"]) and not any(
            found in ip_network(left_out) for left_out in block.get("except", ())
        )

    return any(
        port in {p["port"] for p in rule["ports"]} and any(within(peer) for peer in rule["to"])
        for rule in policy["spec"]["egress"]
    )


def test_pods_reach_what_they_need(manifests: list[Manifest], pods: dict[str, Manifest]) -> None:
    policies = of_kind(manifests, "NetworkPolicy")
    for name, pod in pods.items():  # each has its own, and no other's
        labels = pod["metadata"]["labels"].items()
        of_it = [p for p, m in policies.items() if m["spec"]["podSelector"]["matchLabels"].items() <= labels]
        assert of_it == [name]
    assert all(policy["spec"]["policyTypes"] == ["Ingress", "Egress"] for policy in policies.values())

    def reached(address: str, port: int) -> set[str]:
        return {name for name, policy in policies.items() if allows(policy, address, port)}

    somebody = {"code", "run", "webserver", "viewer", "sink"}
    assert reached("169.254.169.254", 80) == somebody
    assert reached("169.254.169.254", 443) == set()
    assert reached("10.0.0.3", 5432) == {"code", "run", "webserver", "viewer", "daemon"}
    assert reached("10.0.1.7", 9092) == {"code", "run", "sink", "simulator"}
    assert reached("142.250.0.1", 443) == somebody | {"daemon"}  # the daemon for the cluster's API
    assert reached("142.250.0.1", 80) == set()


def test_pods_are_reached_by_whom_they_serve(helm: Path, tmp_path: Path, manifests: list[Manifest]) -> None:
    proxy = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "proxy"}}}
    values = {**ALL, "networks": {**VALUES["networks"], "pagesFrom": [proxy]}}
    for rendered, pages in (
        (manifests, {}),
        (render(helm, tmp_path, values), {"webserver", "viewer", "dashboards"}),
    ):
        policies = of_kind(rendered, "NetworkPolicy")
        served = {
            name: policy["spec"]["ingress"]
            for name, policy in policies.items()
            if "ingress" in policy["spec"]
        }
        (to_code,) = served.pop("code")
        assert [peer["podSelector"]["matchLabels"][COMPONENT] for peer in to_code["from"]] == [
            "daemon", "webserver", "viewer"
        ]  # fmt: skip
        assert served.keys() == set(pages)
        assert all(rule["from"] == [proxy] for (rule,) in served.values())


@pytest.mark.usefixtures("environment")
def test_dagster_is_set_up_as_on_the_machine(dagster_yaml: dict[str, Any], tmp_path: Path) -> None:
    assert problems(write(dagster_yaml, tmp_path / "sound")) == []
    (tmp_path / "wrong").mkdir()
    wrong = {**dagster_yaml, "run_launcher": {**dagster_yaml["run_launcher"], "config": {"namespace": "x"}}}
    assert problems(write(wrong, tmp_path / "wrong"))
    assert dagster_yaml["run_launcher"]["class"] == "K8sRunLauncher"
    assert {**dagster_yaml, "run_launcher": CONFIG["run_launcher"]} == CONFIG


def test_connect_is_asked_where_it_takes_the_sinks_place(
    helm: Path, tmp_path: Path, pods: dict[str, Manifest]
) -> None:
    def environment_of(pod: Manifest) -> dict[str, Any]:
        return {variable["name"]: variable.get("value") for variable in pod["spec"]["containers"][0]["env"]}

    url = "STREAMING_ASSETS_KAFKA_CONNECT_URL"  # Terraform's settings name Connect
    assert environment_of(pods["code"])[url] == environment_of(pods["run"])[url] == ""
    rendered = render(helm, tmp_path, {**VALUES, "sink": {"replicas": 0}})
    assert "sink" not in of_kind(rendered, "StatefulSet")
    policies = of_kind(rendered, "NetworkPolicy")
    assert allows(policies["code"], "10.0.1.7", 8083)
    assert url not in environment_of(of_kind(rendered, "Deployment")["code"]["spec"]["template"])
