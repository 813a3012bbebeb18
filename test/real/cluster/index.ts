/** Everything of the real cluster that the demo uses (scripts/demo/kubernetes.mjs). */
export { Underlay } from '../../cluster/underlay.ts';
export { until } from '../../netns/command.ts';
export { plainDefinitions } from './calico.ts';
export { RealCluster } from './cluster.ts';
export { removeGroups } from './control-groups.ts';
export { AgentDaemonSet } from './daemon-set.ts';
export { BRIDGE } from './network.ts';
export { Node } from './node.ts';
export { findPrograms } from './programs.ts';
export { Talkers } from './talkers.ts';
