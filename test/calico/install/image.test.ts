/** Names of images: `--image`, and what it changes. */
import { expect, test } from 'vitest';
import { changeImages, imageChange, tagOf } from '../../../src/calico/install/render/image.ts';

const SHA = `sha256:${'0'.repeat(64)}`;

test.each([
  ['registry.example/wireguard-ts:0.3.0', { newName: 'registry.example/wireguard-ts', newTag: '0.3.0' }],
  ['registry.example:5000/a/b', { newName: 'registry.example:5000/a/b' }],
  ['localhost:5000/b:x', { newName: 'localhost:5000/b', newTag: 'x' }],
  [`b@${SHA}`, { newName: 'b', digest: SHA }],
  [`b:1@${SHA}`, { newName: 'b', newTag: '1', digest: SHA }],
])('%s', (text, change) => {
  expect(imageChange(text)).toEqual({ name: 'wireguard-ts', ...change });
});

test.each(['', ':1', 'a b', 'a:', 'a@', 'a@sha256:1', 'a:b c', '-a', `a\n`, 'a'.repeat(300)])(
  '%j names no image',
  text => {
    expect(imageChange(text)).toBeUndefined();
  },
);

test('a change without a tag keeps the old one, and another image stays', () => {
  const pod = { spec: { containers: [{ image: 'wireguard-ts:1' }, { image: 'other:1' }], initContainers: [{}] } };
  changeImages(pod, { name: 'wireguard-ts', newName: 'a/b' });
  expect(pod.spec.containers).toEqual([{ image: 'a/b:1' }, { image: 'other:1' }]);
});

test('the tag of an image', () => {
  expect(['a:5000/b', 'a:5000/b:1', `b@${SHA}`].map(tagOf)).toEqual([undefined, '1', undefined]);
});
