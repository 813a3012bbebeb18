/** Names of container images: kustomize's `images`, and `--image`. */
import { hasFields } from '../../model/resource.ts';

export interface ImageChange {
  /** The name to replace, without tag and digest. */
  readonly name: string;
  readonly newName?: string;
  readonly newTag?: string;
  readonly digest?: string;
}

interface ImageName {
  readonly name: string;
  readonly tag?: string;
  readonly digest?: string;
}

/** The name in deploy/. */
const OWN_IMAGE = 'wireguard-ts';
const NAME = /^[a-z0-9]+([._:/-]+[a-z0-9]+)*$/i;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[a-z0-9]+([.+_-][a-z0-9]+)*:[0-9a-f]{32,}$/i;

/**
 * Parses `--image`: NAME[:TAG][@DIGEST]. Without tag and digest, the tag of deploy/ stays.
 * @returns undefined for a text that names no image
 */
export function imageChange(text: string): ImageChange | undefined {
  const { name, tag, digest } = splitImage(text);
  if (!NAME.test(name) || name.length > 255) return undefined;
  if ((tag !== undefined && !TAG.test(tag)) || (digest !== undefined && !DIGEST.test(digest))) return undefined;
  return {
    name: OWN_IMAGE,
    newName: name,
    ...(tag !== undefined && { newTag: tag }),
    ...(digest !== undefined && { digest }),
  };
}

/** Replaces the image in all containers of a pod template, which it changes. */
export function changeImages(object: unknown, change: ImageChange): void {
  if (Array.isArray(object)) for (const each of object) changeImages(each, change);
  if (!hasFields(object)) return;
  for (const [field, value] of Object.entries(object)) {
    if (field !== 'containers' && field !== 'initContainers') changeImages(value, change);
    else if (Array.isArray(value)) for (const container of value) changeImage(container, change);
  }
}

/** The version in an image's tag; undefined for an image with a digest only. */
export function tagOf(image: string): string | undefined {
  return splitImage(image).tag;
}

function changeImage(container: unknown, { name, newName = name, newTag, digest }: ImageChange): void {
  if (!hasFields(container) || typeof container['image'] !== 'string') return;
  const old = splitImage(container['image']);
  if (old.name !== name) return;
  // As in kustomize, a new tag replaces an old digest, and a new digest the old tag.
  const isKept = newTag === undefined && digest === undefined;
  const tag = isKept ? old.tag : newTag;
  const sum = isKept ? old.digest : digest;
  const image = `${newName}${tag === undefined ? '' : `:${tag}`}${sum === undefined ? '' : `@${sum}`}`;
  Object.assign(container, { image });
}

function splitImage(text: string): ImageName {
  const at = text.indexOf('@');
  const [rest, digest] = at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
  // A colon before the last slash belongs to the registry's port.
  const colon = rest.lastIndexOf(':');
  const hasTag = colon > rest.lastIndexOf('/');
  return {
    name: hasTag ? rest.slice(0, colon) : rest,
    ...(hasTag && { tag: rest.slice(colon + 1) }),
    ...(digest !== undefined && { digest }),
  };
}
