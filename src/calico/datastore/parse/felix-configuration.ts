/**
 * Parses FelixConfiguration. The result holds one object's settings, with the names and the
 * notation of Felix's environment variables (docs/reference/calico-felix.md#wireguard-parameters,
 * #precedence). The planner decides which object takes precedence and whether a value is valid.
 */
import type { FelixConfiguration } from '../../model/cluster.ts';
import { ExactNumber } from '../../model/exact-number.ts';
import { goDuration } from '../../model/go-text.ts';
import { quoted } from '../../model/problem.ts';
import { isFields, type ObjectReader, openObject, type Parsed } from './reader.ts';

const ANNOTATION = 'config.projectcalico.org/';
/**
 * Calico keeps metadata that Kubernetes overwrites in this annotation
 * (docs/reference/calico-felix.md#api-groups). The creation time thus survives when objects are
 * restored from a backup.
 */
const METADATA = 'projectcalico.org/metadata';

/** Maps fields to parameters where the two names differ; both in lower case. */
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
/** Matches the names of parameters that hold a duration. */
const DURATION = /(interval|delay|ttl|timeout|keepalive|period|hangafter|applydelay)(secs|millis)?$/;

export function parseFelixConfiguration(object: unknown): Parsed<FelixConfiguration> {
  const { reader, name, metadata, top } = openObject('FelixConfiguration', object);
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

/**
 * Returns a field's text. Returns undefined for an empty value, and for a structure that does not
 * affect the tunnel.
 */
function asText(parameter: string, value: unknown): string | undefined {
  if (typeof value === 'boolean' || typeof value === 'number' || typeof value === 'bigint') return String(value);
  if (value instanceof ExactNumber) return value.text;
  if (typeof value === 'string') return DURATION.test(parameter) ? inSeconds(parameter, value) : value;
  if (Array.isArray(value)) {
    // An empty list of failsafe ports allows no ports; an absent list allows the default ports.
    if (value.length === 0) return parameter.startsWith('failsafe') ? 'none' : undefined;
    const parts = value.map(asPart);
    return parts.includes(undefined) ? undefined : parts.join(',');
  }
  return isFields(value) ? asPart(value) : undefined;
}

/** Returns the text of a list element, a range of routing tables, or a protocol with its port. */
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

/**
 * Converts a duration such as `1m30s` to a number of seconds (90) or milliseconds. Keeps text that
 * is not a duration, so that the planner reports it.
 */
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
      `annotation ${METADATA} is ${quoted(text)}, which is not JSON; it is ignored`,
    );
  }
}
