"""What the Kubernetes files may say: the fields that they use, and no others.

The custom resource definition of KubeRay has 25,000 lines. These are the few of its fields that our files need, with
their types and values, written by hand after version 1.7.0.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def record(required: str = "", **fields: Schema) -> Schema:
    """Return the schema of a mapping with these fields only."""
    return {"type": "object", "properties": fields, "required": required.split(), "additionalProperties": False}


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def constant(value: str) -> Schema:
    return {"const": value}


TEXT: Schema = {"type": "string", "minLength": 1}
FLAG: Schema = {"type": "boolean"}
COUNT: Schema = {"type": "integer", "minimum": 0}
TEXTS: Schema = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITY: Schema = {"type": "string", "pattern": r"^[1-9][0-9]*(m|Mi|Gi|Ti)?$"}
QUANTITIES = {"type": "object", "additionalProperties": QUANTITY}
# Names end up in those of pods and services, and in their DNS names.
METADATA = record("name", name={"type": "string", "pattern": "^[a-z]([-a-z0-9]*[a-z0-9])?$", "maxLength": 47})

RESOURCES = record(requests=QUANTITIES, limits=QUANTITIES)
CONTAINER = record(
    "name image",
    name=TEXT,
    image=TEXT,
    resources=RESOURCES,
    securityContext=record(allowPrivilegeEscalation=FLAG, capabilities=record(drop=array(TEXT))),
    volumeMounts=array(record("name mountPath", name=TEXT, mountPath=TEXT)),
)
NODE_SELECTOR_TERM = record(
    matchExpressions=array(
        record(
            "key operator", key=TEXT, operator={"enum": ["In", "NotIn", "Exists", "DoesNotExist"]}, values=array(TEXT)
        )
    )
)
NODE_AFFINITY = record(
    requiredDuringSchedulingIgnoredDuringExecution=record(
        "nodeSelectorTerms", nodeSelectorTerms=array(NODE_SELECTOR_TERM)
    )
)
TOLERATION = record(
    key=TEXT,
    operator={"enum": ["Equal", "Exists"]},
    value=TEXT,
    effect={"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
)
POD = record(
    "containers",
    affinity=record(nodeAffinity=NODE_AFFINITY),
    automountServiceAccountToken=FLAG,
    containers=array(CONTAINER),
    nodeSelector=TEXTS,
    securityContext=record(
        fsGroup=COUNT,
        runAsNonRoot=FLAG,
        runAsUser=COUNT,
        seccompProfile=record("type", type={"enum": ["RuntimeDefault", "Localhost", "Unconfined"]}),
    ),
    tolerations=array(TOLERATION),
    volumes=array(record("name", name=TEXT, persistentVolumeClaim=record("claimName", claimName=TEXT))),
)
RAY_CLUSTER = record(
    "headGroupSpec",
    authOptions=record(mode={"enum": ["disabled", "token"]}),
    autoscalerOptions=record(idleTimeoutSeconds=COUNT),
    enableInTreeAutoscaling=FLAG,
    headGroupSpec=record(
        "template",
        rayStartParams=TEXTS,
        serviceType={"enum": ["ClusterIP", "NodePort", "LoadBalancer"]},
        template=record(spec=POD),
    ),
    rayVersion={"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
    workerGroupSpecs=array(
        record(
            "groupName minReplicas maxReplicas template",
            groupName=TEXT,
            minReplicas=COUNT,
            maxReplicas=COUNT,
            rayStartParams=TEXTS,
            template=record(spec=POD),
        )
    ),
)
RAY_JOB = record(
    "apiVersion kind metadata spec",
    apiVersion=constant("ray.io/v1"),
    kind=constant("RayJob"),
    metadata=METADATA,
    spec=record(
        "entrypoint rayClusterSpec",
        backoffLimit=COUNT,
        entrypoint=TEXT,
        rayClusterSpec=RAY_CLUSTER,
        shutdownAfterJobFinishes=FLAG,
        submissionMode={"enum": ["K8sJobMode", "HTTPMode", "SidecarMode", "InteractiveMode"]},
        ttlSecondsAfterFinished=COUNT,
    ),
)
PERSISTENT_VOLUME_CLAIM = record(
    "apiVersion kind metadata spec",
    apiVersion=constant("v1"),
    kind=constant("PersistentVolumeClaim"),
    metadata=METADATA,
    spec=record(
        "accessModes resources",
        accessModes=array({"enum": ["ReadWriteOnce", "ReadOnlyMany", "ReadWriteMany", "ReadWriteOncePod"]}),
        resources=record("requests", requests=record("storage", storage=QUANTITY)),
    ),
)
