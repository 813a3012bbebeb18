/**
 * Numbers of an object survive reading and writing, even if JavaScript's numbers cannot hold them.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openApiDatastore } from '../../../../src/calico/datastore/api/datastore.ts';
import type { Datastore, ObjectKind, StoredObject } from '../../../../src/calico/datastore/datastore.ts';
import { openFileDatastore } from '../../../../src/calico/datastore/file/datastore.ts';
import { exactJson, parseExactJson } from '../../../../src/calico/datastore/parse/exact-json.ts';
import { loadYamlLibrary } from '../../../../src/calico/datastore/parse/exact-yaml.ts';
import { ExactNumber } from '../../../../src/calico/model/exact-number.ts';
import { check } from '../../../support/fuzz.ts';
import { fastPace, ScriptedApi } from '../api/scripted-api.ts';
import { watching } from '../api/watching.ts';

const BIG = ['1795933657863714321', '9007199254740993', '18446744073709551615', '-9223372036854775808'];
const ODD = ['0.12345678901234567890123', '1e400', '-1.5e-400', '123456789012345678e3'];
const PLAIN = ['0', '-1', '42', '1.5', '1e2', '9007199254740991', '-0.25'];
const KINDS: readonly ObjectKind[] = ['IPAMBlock', 'IPAMHandle', 'BlockAffinity', 'IPPool', 'IPAMConfig'];

/** Numbers in unread fields, and strings that look like numbers. */
const numbers = [...BIG, ...ODD, ...PLAIN];
const spec = `{"some":[${numbers.join(', ')}],"deep":{"of":{"all":${BIG[0]}}},"text":"1795933657863714321, \\"9007199254740993\\" \\\\"}`;

/** Normalizes numbers to significant digits and exponent, so that 1e2 equals 100. */
function valuesOf(json: string): string[] {
  const bare = json.replace(/"(?:[^"\\]|\\.)*"/g, '""');
  return [...bare.matchAll(/-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g)].map(([text]) => {
    const [, sign, whole, fraction = '', exponent = '0'] = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/.exec(text)!;
    const digits = BigInt(whole! + fraction);
    if (digits === 0n) return '0';
    const stripped = String(digits).replace(/0+$/, '');
    const zeros = String(digits).length - stripped.length;
    return `${sign}${stripped}e${BigInt(exponent) + BigInt(zeros - fraction.length)}`;
  });
}

describe('JSON', () => {
  test('numbers that JavaScript can hold stay numbers, others keep their text', () => {
    expect(parseExactJson(`[${PLAIN.join()}]`)).toEqual(PLAIN.map(Number));
    expect(parseExactJson(`[${BIG.join()}]`)).toEqual(BIG.map(BigInt));
    expect(parseExactJson(`[${ODD.join()}]`)).toEqual(ODD.map(text => new ExactNumber(text)));
    expect(valuesOf(exactJson(parseExactJson(spec)))).toEqual(valuesOf(spec));
    expect(exactJson({ a: undefined, b: 5n })).toBe('{"b":5}');
  });

  test('round-trips arbitrary values', () => {
    const digits = fc.stringMatching(/^[0-9]{1,25}$/).map(text => text.replace(/^0+(?=\d)/, ''));
    const number = fc
      .tuple(
        fc.constantFrom('', '-'),
        digits,
        fc.option(fc.stringMatching(/^[0-9]{1,25}$/)),
        fc.option(fc.integer({ min: -500, max: 500 })),
      )
      .map(
        ([sign, whole, fraction, exponent]) =>
          `${sign}${whole}${fraction === null ? '' : `.${fraction}`}${exponent === null ? '' : `e${exponent}`}`,
      );
    const value = fc.oneof(
      number,
      fc.string().map(text => JSON.stringify(`${text}"\\1795933657863714321`)),
      fc.constant('null'),
    );
    const text = fc
      .array(fc.tuple(fc.string(), value))
      .map(pairs => `{${pairs.map(([key, each], i) => `${JSON.stringify(`k${i}${key}`)} : ${each}`).join(' ,')}}`);
    check(
      text,
      json => {
        const written = exactJson(parseExactJson(json));
        expect(valuesOf(written)).toEqual(valuesOf(json));
        expect(JSON.stringify(JSON.parse(written))).toBe(JSON.stringify(JSON.parse(json)));
      },
      5000,
    );
  });

  test('rejects invalid JSON like JSON.parse', () => {
    for (const text of [
      '',
      '{',
      '[1795933657863714321',
      '[1795933657863714321-5]',
      '[01795933657863714321]',
      '[1795933657863714321.]',
      '["1795933657863714321',
      '[-]',
      '["a\\"1795933657863714321]',
      '{"a":1795933657863714321 "b"}',
    ])
      expect(() => parseExactJson(text), text).toThrow(
        (() => {
          try {
            return JSON.parse(text) as Error;
          } catch (error) {
            return error as Error;
          }
        })(),
      );
    const own = parseExactJson('{"__proto__": 1795933657863714321}') as object;
    expect(Object.keys(own)).toEqual(['__proto__']);
  });
});

describe('YAML', () => {
  test('keeps them too, in every notation', async () => {
    const yaml = await loadYamlLibrary();
    const text = `big: [1795933657863714321, +9007199254740993, -9223372036854775808, 0x18EC6C1FEF2D0F11, 0b1]\nodd: [0.12345678901234567890123, .12345678901234567890123, 1e400, 1.5]\ninf: .inf\ntext: '1795933657863714321'\n`;
    const value = yaml.load(text) as Record<string, unknown>;
    expect(value).toEqual({
      big: [1795933657863714321n, 9007199254740993n, -9223372036854775808n, 0x18ec6c1fef2d0f11n, 1],
      odd: [
        new ExactNumber('0.12345678901234567890123'),
        new ExactNumber('0.12345678901234567890123'),
        new ExactNumber('1e400'),
        1.5,
      ],
      inf: Number.POSITIVE_INFINITY,
      text: '1795933657863714321',
    });
    expect(yaml.load(yaml.dump(value))).toEqual(value);
    expect(yaml.dump({ a: undefined, b: 1795933657863714321n, c: 1.5, d: 17, e: -0.25 })).toBe(
      'b: 1795933657863714321\nc: 1.5\nd: 17\ne: -0.25\n',
    );
  });
});

describe('for each written kind', () => {
  let folder: string;
  let datastore: Datastore | undefined;
  let api: ScriptedApi | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'wgts-exact-'));
  });
  afterEach(async () => {
    await datastore?.close();
    await api?.close();
    datastore = undefined;
    api = undefined;
    rmSync(folder, { recursive: true });
  });
  const changed = (object: StoredObject): StoredObject => ({
    ...object,
    metadata: { ...object.metadata, labels: { changed: 'yes' } },
  });

  test.each(KINDS)('%s on an API server', async kind => {
    api = new ScriptedApi();
    await api.start();
    const plural = {
      IPAMBlock: 'ipamblocks',
      IPAMHandle: 'ipamhandles',
      BlockAffinity: 'blockaffinities',
      IPPool: 'ippools',
      IPAMConfig: 'ipamconfigs',
      IPReservation: 'ipreservations',
    }[kind];
    const path = `/apis/crd.projectcalico.org/v1/${plural}`;
    const text = `{"metadata":{"name":"x","resourceVersion":"1","generation":${BIG[0]}},"spec":${spec}}`;
    const said = (body: string) => (response: { end(text: string): unknown }) => void response.end(body);
    api.always(`GET ${path}/x`, said(text));
    api.always(`GET ${path}`, said(`{"items":[${text}]}`));
    api.always(`PUT ${path}/x`, said(text));
    api.always(`POST ${path}`, said(text));
    datastore = await openApiDatastore({ kubeconfig: api.kubeconfig, env: {}, pace: fastPace() });
    const { objects } = datastore;
    const [listed] = await objects.list(kind);
    await objects.replace(kind, changed((await objects.get(kind, 'x'))!));
    await objects.replace(kind, changed(listed!));
    const {
      metadata: { resourceVersion: _, ...metadata },
      ...rest
    } = listed!;
    const created = await objects.create(kind, { ...rest, metadata });
    await objects.replace(kind, changed(created));
    const writes = api.asked.filter(({ what }) => /^(PUT|POST)/.test(what)).map(asked => asked.text);
    expect(writes).toHaveLength(4);
    const wanted = [...valuesOf(BIG[0]!), ...valuesOf(spec)].sort();
    for (const write of writes) expect(valuesOf(write).sort()).toEqual(wanted);
  });

  test.each(
    KINDS.flatMap(
      kind =>
        [
          [kind, 'yaml'],
          [kind, 'json'],
        ] as const,
    ),
  )('%s in a file of %s', async (kind, notation) => {
    const file = join(folder, `x.${notation}`);
    const text = `{"apiVersion":"crd.projectcalico.org/v1","kind":"${kind}","metadata":{"name":"x"},"spec":${spec}}`;
    writeFileSync(file, notation === 'json' ? text : (await loadYamlLibrary()).dump(parseExactJson(text)));
    datastore = await openFileDatastore({ path: file });
    await datastore.objects.replace(kind, changed((await datastore.objects.get(kind, 'x'))!));
    const after = readFileSync(file, 'utf8');
    expect(after).toContain('changed');
    const value = notation === 'json' ? parseExactJson(after) : (await loadYamlLibrary()).load(after);
    expect(value).toMatchObject({ spec: parseExactJson(spec) as object });
    expect(after.match(/1795933657863714321\b/g)).toHaveLength(3);
  });

  test('a Node in a file, and problems of meaningless numbers', async () => {
    const file = join(folder, 'node.yaml');
    writeFileSync(
      file,
      `apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  generation: 1795933657863714321\nstatus:\n  images:\n    - sizeBytes: 9007199254740993\n---\napiVersion: crd.projectcalico.org/v1\nkind: FelixConfiguration\nmetadata: {name: default}\nspec: {wireguardMTU: 1795933657863714321, wireguardListeningPort: 1e400}\n---\napiVersion: crd.projectcalico.org/v1\nkind: IPPool\nmetadata: {name: p}\nspec: {cidr: 10.0.0.0/8, blockSize: 1795933657863714321}\n`,
    );
    datastore = await openFileDatastore({ path: file });
    await datastore.patchNode('a', { x: 'y' });
    expect(readFileSync(file, 'utf8')).toContain(
      "generation: 1795933657863714321\n  annotations:\n    x: 'y'\nstatus:\n  images:\n    - sizeBytes: 9007199254740993\n",
    );
    const { cluster, problems } = await watching(datastore).until(({ synced }) => synced);
    expect(problems.map(({ message }) => message).join()).toContain('"1795933657863714321"');
    expect([...cluster.felixConfigurations.get('default')!.parameters]).toEqual([
      ['wireguardmtu', '1795933657863714321'],
      ['wireguardlisteningport', '1e400'],
    ]);
  });
});
