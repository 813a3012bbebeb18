/**
 * Judges what Nodes say of themselves: addresses of their own, of their tunnels, and podCIDRs. The
 * truth about pods' addresses is in the IPAM blocks or, with host-local IPAM, in the podCIDRs:
 * a Node is believed within what is its own there, and never within another node's.
 *
 * - An address of a tunnel counts in the node's own block or podCIDR, or if a block assigns it to
 *   the node. Until the block is seen it is not believed, which costs nothing: the block itself
 *   routes it.
 * - An address of the node counts unless it lies in another node's block or podCIDR. Nothing that
 *   the administrator gave says which other addresses a node has.
 */
import { formatPrefix } from '../../../base/prefix.ts';
import type { ClusterNode, IpamBlock } from '../../model/cluster.ts';
import { quoted, type Refusal } from '../../model/problem.ts';
import type { TrustedBlocks } from './trusted-blocks.ts';
import type { TrustedPodCidrs } from './trusted-pod-cidrs.ts';

export interface NodeJudge {
  tunnel(node: ClusterNode, address: Uint8Array): Refusal | undefined;
  host(node: ClusterNode, address: Uint8Array): Refusal | undefined;
}

/** Returns the judge where Calico's IPAM gives pods, or at least tunnels, their addresses. */
export function judgeByBlocks(blocks: TrustedBlocks): NodeJudge {
  return {
    tunnel({ name }, address) {
      const block = blocks.blockOf(address);
      if (block?.owner === name || (block && holderOf(block, address) === name)) return undefined;
      return untrustedTunnel(block ? `is in ${textOf(block)}, which does not give it to this node` : 'is in no block');
    },
    host({ name }, address) {
      const block = blocks.blockOf(address);
      if (!block) return undefined;
      const holder = holderOf(block, address) ?? block.owner;
      return holder === undefined || holder === name ? undefined : untrustedHost(`is in ${textOf(block)}`);
    },
  };
}

/** Returns the judge with host-local IPAM. */
export function judgeByPodCidrs(podCidrs: TrustedPodCidrs): NodeJudge {
  return {
    tunnel({ name }, address) {
      const owner = podCidrs.ownerOf(address);
      if (owner === name) return undefined;
      return untrustedTunnel(
        owner === undefined ? 'is in no podCIDR' : `is in the podCIDR of another node, ${quoted(owner)}`,
      );
    },
    host({ name }, address) {
      const owner = podCidrs.ownerOf(address);
      if (owner === undefined || owner === name) return undefined;
      return untrustedHost(`is in the podCIDR of another node, ${quoted(owner)}`);
    },
  };
}

/** Returns the node that a block gives the address to, unless it is the block's owner. */
function holderOf({ allocations }: IpamBlock, address: Uint8Array): string | undefined {
  return allocations.find(each => each.address.every((byte, i) => byte === address[i]))?.node;
}

function textOf({ cidr, owner }: IpamBlock): string {
  return `block ${formatPrefix(cidr)} of ${owner === undefined ? 'no node' : `node ${quoted(owner)}`}`;
}

function untrustedTunnel(why: string): Refusal {
  return {
    reason: 'UnassignedTunnelAddress',
    message: `which an annotation of this Node says is its tunnel's, ${why}; the agent does not route it to this node: see who wrote the annotation (projectcalico.org/...InterfaceAddr or ...TunnelAddr) and remove it, or let Calico's IPAM assign the address`,
    settling: true,
  };
}

function untrustedHost(why: string): Refusal {
  return {
    reason: 'AddressOfOtherNode',
    message: `which this Node says is its own, ${why}; the agent does not count it as this node's: correct annotation projectcalico.org/IPv4Address or IPv6Address, or the addresses in the Node's status`,
    settling: true,
  };
}
