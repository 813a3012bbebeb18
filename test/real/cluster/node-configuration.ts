/** The configurations of containerd and kubelet on a machine of the real cluster. */

export const CONTAINERD_SOCKET = '/run/containerd/containerd.sock';
/** The image of the process that holds a pod's namespaces. */
export const PAUSE_IMAGE = 'localhost/pause:1';

export function containerdConfiguration(): string {
  return `version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.opt"]
[grpc]
address = "${CONTAINERD_SOCKET}"
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "${PAUSE_IMAGE}"
# The root of a container on the host may lack CAP_SYS_RESOURCE, which lowering the score needs.
restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/var/lib/cni/bin"
conf_dir = "/var/lib/cni/net.d"
`;
}

/**
 * @param authority the file of the authority whose clients may use the kubelet
 * @param group the control group below which the kubelet makes those of pods
 */
export function kubeletConfiguration(authority: string, group: string): object {
  return {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: { anonymous: { enabled: false }, webhook: { enabled: false }, x509: { clientCAFile: authority } },
    authorization: { mode: 'AlwaysAllow' },
    containerRuntimeEndpoint: `unix://${CONTAINERD_SOCKET}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: group,
    failCgroupV1: false,
    failSwapOn: false,
    enforceNodeAllocatable: [],
    makeIPTablesUtilChains: false,
    localStorageCapacityIsolation: false,
    // The disk of the host is not the machine's: how full it is says nothing.
    evictionHard: { 'memory.available': '1Mi' },
    imageGCHighThresholdPercent: 100,
    resolvConf: '',
    syncFrequency: '2s',
    nodeStatusUpdateFrequency: '2s',
    nodeLeaseDurationSeconds: 20,
    volumeStatsAggPeriod: '0s',
  };
}
