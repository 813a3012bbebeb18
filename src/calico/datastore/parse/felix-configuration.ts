/**
 * FelixConfiguration: what one object says, in the names and the notation of Felix's environment variables (docs/reference/calico-felix.md#wireguard-parameters, #precedence). Which object
 * wins, and whether a value is any good, is the plan's.
 */
import type { FelixConfiguration } from '../../model/cluster.ts';
import { ExactNumber } from '../../model/exact-number.ts';
import { goDuration } from '../../model/go-text.ts';
import { quoted } from '../../model/problem.ts';
import { isFields, type ObjectReader, open, type Parsed } from './reader.ts';

const ANNOTATION = 'config.projectcalico.org/';
/** Where Calico keeps what Kubernetes would overwrite (docs/reference/calico-felix.md#api-groups): the time of creation survives a restored backup. */
const METADATA = 'projectcalico.org/metadata';

/** Fields whose parameter has another name, in lower case. */
const PARAMETER: Readonly<Record<string, string>> = {
  wireguardkeepalive: 'wireguardpersistentkeepalive',
  ipipenabled: 'ipinipenabled',
  ipipmtu: 'ipinipmtu',
  netlinktimeout: 'netlinktimeoutsecs',
  reportinginterval: 'reportingintervalsecs',
  reportingttl: 'reportingttlsecs',
  endpointreportingdelay: 'endpointreportingdelaysecs',
  usagereportinginitialdelay: 'usagereportinginitialdelaysecs',
  usagereportinginterval: 'usagereportingintervalsecs',
  iptableslocktimeout: 'iptableslocktimeoutsecs',
  iptableslockprobeinterval: 'iptableslockprobeintervalmillis',
  iptablespostwritecheckinterval: 'iptablespostwritecheckintervalsecs',
  externalnodeslist: 'externalnodescidrlist',
};
/** Fields that are durations, by how they are called. */
const DURATION = /(interval|delay|ttl|timeout|keepalive|period|hangafter|applydelay)(secs|millis)?$/;

export function parseFelixConfiguration(object: unknown): Parsed<FelixConfiguration> {
  const { reader, name, metadata, top } = open('FelixConfiguration', object);
  const { problems } = reader;
  if (name === undefined) return { problems };
  const parameters = new Map<string, string>();
  const { nodeSelector: selector, ...spec } = reader.fields(top['spec'], 'spec');
  for (const [field, value] of Object.entries(spec)) {
    const parameter = PARAMETER[field.toLowerCase()] ?? field.toLowerCase();
    const text = asText(parameter, value);
    if (text !== undefined && text !== '') parameters.set(parameter, text);
  }
  const annotations = reader.annotations(metadata['annotations'], key => key.startsWith(ANNOTATION));
  for (const [key, text] of Object.entries(annotations))
    if (key.startsWith(ANNOTATION) && text !== '') parameters.set(key.slice(ANNOTATION.length).toLowerCase(), text);
  const creationTimestamp =
    originalCreation(reader, annotations[METADATA]) ??
    reader.text(metadata['creationTimestamp'], 'metadata.creationTimestamp');
  const nodeSelector =
    name === 'default' || name.startsWith('node.') ? undefined : reader.text(selector, 'spec.nodeSelector');
  const value = {
    name,
    ...(creationTimestamp !== undefined && { creationTimestamp }),
    ...(nodeSelector !== undefined && { nodeSelector }),
    parameters,
  };
  return { value, problems };
}

/** @returns undefined for what says nothing, and for structures of parameters that do not bear on the tunnel */
function asText(parameter: string, value: unknown): string | undefined {
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof ExactNumber) return value.text;
  if (typeof value === 'string') return DURATION.test(parameter) ? inSeconds(parameter, value) : value;
  if (Array.isArray(value)) {
    // an empty list of ports is a list that allows none, and not an absent one
    if (value.length === 0) return parameter.startsWith('failsafe') ? 'none' : undefined;
    const parts = value.map(asPart);
    return parts.includes(undefined) ? undefined : parts.join(',');
  }
  return isFields(value) ? asPart(value) : undefined;
}

/** An element of a list: text, a range of tables, a protocol with its port. */
function asPart(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  if (!isFields(value)) return undefined;
  const { min, max, protocol, port, net } = value;
  if (typeof min === 'number' && typeof max === 'number') return `${min}-${max}`;
  if (typeof port !== 'number') return undefined;
  return [
    typeof protocol === 'string' ? protocol.toLowerCase() : 'tcp',
    ...(typeof net === 'string' ? [net] : []),
    port,
  ].join(':');
}

/** `1m30s` is 90. What is no duration stays as it is, for the plan to say so. */
function inSeconds(parameter: string, text: string): string {
  const nanoseconds = goDuration(text);
  if (nanoseconds === undefined) return text;
  return String(Number((Number(nanoseconds) / (parameter.endsWith('millis') ? 1e6 : 1e9)).toFixed(9)));
}

function originalCreation(reader: ObjectReader, text: string | undefined): string | undefined {
  if (text === undefined) return undefined;
  try {
    const metadata: unknown = JSON.parse(text);
    const time = isFields(metadata) ? metadata['creationTimestamp'] : undefined;
    return typeof time === 'string' && time !== '' ? time : undefined;
  } catch {
    return reader.problem(
      'InvalidAnnotation',
      `annotation ${METADATA} is ${quoted(text)}, which is no JSON; it is ignored`,
    );
  }
}
