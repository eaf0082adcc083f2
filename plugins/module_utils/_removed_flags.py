# Copyright: the multimaster.kubernetes maintainers
# Simplified BSD License (see LICENSES/BSD-2-Clause.txt or https://opensource.org/licenses/BSD-2-Clause)
# SPDX-License-Identifier: BSD-2-Clause
"""Know which flags and feature gates come and go with which minor: given one it does not have, a program does not start.

The tables are printed by tests/tools/removed_flags.py, which asks the programs of two releases themselves. Leaves out: what
a flag or gate means, and the fields of configuration files.
"""

from __future__ import annotations

import typing

from ansible_collections.multimaster.kubernetes.plugins.module_utils import _feature_gates
from ansible_collections.multimaster.kubernetes.plugins.module_utils._skew import COMPONENTS

# The field of a configuration file, beside the flag.
GATE_FIELD = "featureGates"
GATE_FLAGS = (_feature_gates.FLAG, GATE_FIELD)
# Whose gates are whose: the programs of Kubernetes share one set.
FAMILY = {program: "etcd" if program == "etcd" else "kubernetes" for program in COMPONENTS.values()}

# As many names a line as fit:
# fmt: off
# {program or family: {(major, minor) since which it is so: names}}; seen with Kubernetes 1.36.3 and 1.37.2, etcd 3.6.16 and 3.7.3
FLAGS_GONE = {
    "kube-controller-manager": {
        (1, 37): (
            "concurrent-service-syncs",
        ),
    },
    "kubelet": {
        (1, 37): (
            "application-metrics-count-limit", "boot-id-file", "container-hints", "containerd", "containerd-namespace",
            "enable-load-reader", "event-storage-age-limit", "event-storage-event-limit", "global-housekeeping-interval",
            "log-cadvisor-usage", "machine-id-file", "storage-driver-buffer-duration", "storage-driver-db",
            "storage-driver-host", "storage-driver-password", "storage-driver-secure", "storage-driver-table",
            "storage-driver-user",
        ),
    },
    "kube-proxy": {
        (1, 37): (
            "boot-id-file", "machine-id-file",
        ),
    },
    "etcd": {
        (3, 7): (
            "experimental-bootstrap-defrag-threshold-megabytes", "experimental-compact-hash-check-enabled",
            "experimental-compact-hash-check-time", "experimental-compaction-batch-limit",
            "experimental-compaction-sleep-interval", "experimental-corrupt-check-time",
            "experimental-distributed-tracing-address", "experimental-distributed-tracing-instance-id",
            "experimental-distributed-tracing-sampling-rate", "experimental-distributed-tracing-service-name",
            "experimental-downgrade-check-time", "experimental-enable-distributed-tracing",
            "experimental-enable-lease-checkpoint", "experimental-enable-lease-checkpoint-persist",
            "experimental-initial-corrupt-check", "experimental-memory-mlock",
            "experimental-peer-skip-client-san-verification", "experimental-snapshot-catchup-entries",
            "experimental-stop-grpc-service-on-defrag", "experimental-txn-mode-write-with-shared-buffer",
            "experimental-warning-apply-duration", "experimental-warning-unary-request-duration",
            "experimental-watch-progress-notify-interval",
        ),
    },
}
FLAGS_ADDED = {
    "kube-controller-manager": {
        (1, 37): (
            "concurrent-disruption-syncs",
        ),
    },
}
GATES_GONE = {
    "kubernetes": {
        (1, 37): (
            "APIServerTracing", "AnonymousAuthConfigurableEndpoints", "AnyVolumeDataSource", "AuthorizeNodeWithSelectors",
            "AuthorizeWithSelectors", "BtreeWatchCache", "ConsistentListFromCache", "GangScheduling",
            "JobBackoffLimitPerIndex", "JobPodReplacementPolicy", "JobSuccessPolicy", "LogarithmicScaleDown",
            "OrderedNamespaceDeletion", "PodLifecycleSleepAction", "PodLifecycleSleepActionAllowZero",
            "PreventStaticPodAPIReferences", "RelaxedDNSSearchValidation", "ResilientWatchCacheInitialization",
            "RetryGenerateName", "SchedulerQueueingHints", "SidecarContainers", "StreamingCollectionEncodingToJSON",
            "StreamingCollectionEncodingToProtobuf", "StructuredAuthenticationConfiguration", "WorkloadAwarePreemption",
        ),
    },
}
GATES_ADDED = {
    "kubernetes": {
        (1, 37): (
            "APIServerWebhookAuthenticationToken", "AtomicWriteVolumeUserFields", "CompositePodGroup",
            "ConsistentListFromCacheSkipTimeoutFallback", "DRADerivedAttributes", "DRADeviceCompatibilityGroups",
            "DRAFractionalCapacityRange", "DRAOptionalNodeOperations", "DRAPartitionableDevicesType", "DefaultPodSysctls",
            "EmptyDirVolumeMode", "EtcdRangeStream", "EvictionRequestAPI", "ExcludeAdmissionWebhookVirtualResources",
            "GRPCContainerProbeTLS", "H2CContainerProbe", "HPAGeneration", "HPAOptimizedSelectorStore",
            "HugepageAwareEviction", "InPlacePodVerticalScalingMemoryBackedVolumes",
            "InPlacePodVerticalScalingSchedulerPreemption", "InterPodAffinityHostnameFastPath", "KubeProxyIPVS",
            "KubeProxyNFTablesLocalhostNodePorts", "KubeletAllocatedPodsEndpoint", "NFTablesNetlink",
            "NodeControllerLeaseCircuitBreaker", "NodeLifecycleConditions", "PodGroupPreemptionPolicy",
            "PodLevelResourcesFixDefaulting", "PodLevelResourcesFixKubeletQOSClass", "SchedulerPreQueueingHints",
            "StaleControllerConsistencyHPA", "StatefulSetRecreateStrategy", "VolumeBindMountOptions", "WatchListCompression",
            "WebhookRoundTripLoadBalancing",
        ),
    },
    "etcd": {
        (3, 7): (
            "FastLeaseKeepAlive", "PriorityRequest",
        ),
    },
}
# {family: {(major, minor): {gate: the only value it takes since then}}}
GATES_LOCKED = {
    "kubernetes": {
        (1, 37): {
            "DRAExtendedResource": True, "DRAPrioritizedList": True, "DRAResourceClaimDeviceStatus": True,
            "DeclarativeValidationTakeover": False, "DisableCPUQuotaWithExclusiveCPUs": True,
            "HPAConfigurableTolerance": True, "HostnameOverride": True, "InPlacePodVerticalScalingInitContainers": True,
            "NodeDeclaredFeatures": True, "PLEGOnDemandRelist": True, "PodReadyToStartContainersCondition": True,
            "RelaxedServiceNameValidation": True, "WatchCacheInitializationPostStartHook": True,
        },
    },
}
# fmt: on


class Unfit(typing.NamedTuple):
    """A flag or feature gate that a version does not take: what it is, and the rest of a sentence that says why."""

    what: str
    name: str
    why: str


def flag_name(text):
    """Return a flag's name as the programs list it: dashes between its words, none before (pflag takes underscores as well)."""
    return str(text).lstrip("-").replace("_", "-")


def unfit(program, line, flags) -> tuple:
    """Return an Unfit for each of {flag: value} that this program's minor, as (major, minor), does not take.

    A flag whose value is None is not passed. Raises KeyError for a program that is none of ours.
    """
    family, found = FAMILY[program], []
    for raw, value in sorted(flags.items()):
        name = flag_name(raw)
        if value is None:
            continue
        found += [Unfit("flag", name, why) for why in _missing(FLAGS_GONE, FLAGS_ADDED, program, line, name)]
        if name in GATE_FLAGS:
            for gate, setting in sorted(_feature_gates.gates(value).items()):
                found += [Unfit("feature gate", gate, why) for why in _missing(GATES_GONE, GATES_ADDED, family, line, gate)]
                found += [Unfit("feature gate", gate, why) for why in _locked(family, line, gate, setting)]
    return tuple(found)


def _missing(gone, added, key, line, name):
    for since, names in sorted(gone.get(key, {}).items()):
        if since <= line and name in names:
            yield f"is gone since {since[0]}.{since[1]}"
    for since, names in sorted(added.get(key, {}).items()):
        if line < since and name in names:
            yield f"comes only with {since[0]}.{since[1]}"


def _locked(family, line, gate, setting):
    for since, only in sorted(GATES_LOCKED.get(family, {}).items()):
        if since <= line and only.get(gate, setting) != setting:
            yield f"can only be {str(only[gate]).lower()} since {since[0]}.{since[1]}"
