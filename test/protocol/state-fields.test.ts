/** The limits of each kind of field: the last value that is allowed, and the first that is not. */
import { describe, expect, test } from 'vitest';
import { StateFields } from '../../src/protocol/state-fields.ts';

const LAST_TIME = Number.MAX_SAFE_INTEGER;

/** Reads a field with this value. */
function read(value: unknown, reader: (fields: StateFields) => unknown): () => unknown {
  return () => reader(new StateFields({ field: value }, 'peers[3]'));
}

/** Readers, the values that they take, and those that they refuse with what they say. */
const KINDS: readonly [
  name: string,
  reader: (fields: StateFields) => unknown,
  taken: readonly unknown[],
  refused: readonly [unknown, RegExp][],
][] = [
  [
    'integer',
    fields => fields.integer('field', 7),
    [0, 1, 7],
    [
      [-1, /is not from 0 to 7/],
      [8, /is not from 0 to 7/],
      [1.5, /is not a whole number/],
      ['1', /is not a whole number/],
      [1n, /is not a whole number/],
    ],
  ],
  ['optionalInteger', fields => fields.optionalInteger('field', 7), [undefined, 0, 7], [[8, /is not from 0 to 7/]]],
  [
    'boolean',
    fields => fields.boolean('field'),
    [true, false],
    [
      [0, /is not a boolean/],
      [undefined, /boolean/],
    ],
  ],
  [
    'time',
    fields => fields.time('field', Number.NEGATIVE_INFINITY),
    [0, 0.5, LAST_TIME, Number.NEGATIVE_INFINITY],
    [
      [-0.5, /is not a time/],
      [LAST_TIME + 1, /is not a time/],
      [Number.NaN, /is not a time/],
      [Number.POSITIVE_INFINITY, /is not a time/],
      ['0', /is not a time/],
    ],
  ],
  ['time without never', fields => fields.time('field'), [0], [[Number.NEGATIVE_INFINITY, /is not a time/]]],
  [
    'bigint',
    fields => fields.bigint('field'),
    [0n, -(2n ** 63n), 2n ** 63n - 1n],
    [
      [-(2n ** 63n) - 1n, /does not fit into 64 bits/],
      [2n ** 63n, /does not fit into 64 bits/],
      [0, /is not a bigint/],
    ],
  ],
  [
    'bytes',
    fields => fields.bytes('field', 2),
    [Uint8Array.of(1, 2)],
    [
      [Uint8Array.of(1), /has 1 bytes instead of 2/],
      [Uint8Array.of(1, 2, 3), /has 3 elements; the most is 2/],
      [Buffer.of(1, 2), /is not a Uint8Array/],
      [[1, 2], /is not a Uint8Array/],
    ],
  ],
  [
    'optionalBytes',
    fields => fields.optionalBytes('field', 1),
    [undefined, Uint8Array.of(1)],
    [[new Uint8Array(0), /0 bytes/]],
  ],
  [
    'words',
    fields => fields.words('field', 2),
    [new Uint32Array(0), new Uint32Array(2)],
    [[new Uint32Array(3), /the most is 2/]],
  ],
  [
    'numbers',
    fields => fields.numbers('field', 3, 7),
    [Float64Array.of(0, 3.5, 7)],
    [
      [Float64Array.of(0, 3, 7.5), /has a number not from 0 to 7/],
      [Float64Array.of(0, -0.5, 7), /has a number not from 0 to 7/],
      [Float64Array.of(0, Number.NaN, 7), /has a number not from 0 to 7/],
      [Float64Array.of(0, 7), /has 2 numbers instead of 3/],
    ],
  ],
  [
    'times',
    fields => fields.times('field', 2, -1),
    [Float64Array.of(-1, LAST_TIME)],
    [
      [Float64Array.of(0, -2), /has a number that is not a time/],
      [Float64Array.of(0), /has 1 times instead of 2/],
    ],
  ],
  [
    'list',
    fields => [...fields.list('field', 2)],
    [[], [{}, {}]],
    [
      [[{}, {}, {}], /has 3 entries; the most is 2/],
      [[{}, 1], /field\[1\] is not an object/],
      [{ length: 0 }, /is not an array/],
    ],
  ],
  [
    'object',
    fields => fields.object('field'),
    [{}],
    [
      [[], /is not an object/],
      [null, /is not an object/],
      [Uint8Array.of(), /is not an object/],
    ],
  ],
];

describe.each(KINDS)('%s', (_name, reader, taken, refused) => {
  test.each(taken.map(value => [value]))('takes %o', value => {
    expect(read(value, reader)).not.toThrow();
  });

  test.each(refused)('refuses %o, and names the field', (value, words) => {
    expect(read(value, reader)).toThrow(words);
    expect(read(value, reader)).toThrow(/^engine state: peers\[3\]\.field/);
  });
});
