/** Comments and pages that cite a page of docs: the page and the section exist. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { page, REPOSITORY } from '../support/guide.ts';
import { brokenLinks } from '../support/guide-checks.ts';

const FOLDERS = ['src', 'native', 'test', 'bench', 'scripts', 'deploy', 'docs', 'examples', 'packaging'];
const REFERENCE = 'docs/reference/calico-felix.md';
/** A page and its sections: `docs/PAGE.md#one, #two and #three`, also across two lines. */
const CITATION = /\b(docs\/[\w./-]+\.md)((?:(?:,| and)?(?:\s|\*|\/\/)*#[a-z][\w-]*)*)/g;
/** The working paper that comments cited before its facts moved into the repository. */
const FORMER = new RegExp(`${['calico', 'wireguard'].join('-')} (?:section )?\\d`);

const files = FOLDERS.filter(folder => existsSync(join(REPOSITORY, folder)))
  .flatMap(folder =>
    readdirSync(join(REPOSITORY, folder), { recursive: true, encoding: 'utf8' }).map(name => `${folder}/${name}`),
  )
  .filter(
    name => /\.(ts|mjs|c|h|ya?ml|md)$/.test(name) && !/\/(build|node_modules|results)\/|\/citations\.test/.test(name),
  )
  .map(name => ({ name, text: readFileSync(join(REPOSITORY, name), 'utf8') }));

test('every page and section that a file cites exists', () => {
  const broken = files.flatMap(({ name, text }) => problemsIn(text).map(problem => `${name}: ${problem}`));
  expect(broken).toEqual([]);
});

test('no file cites the former working paper', () => {
  expect(files.filter(({ text }) => FORMER.test(text)).map(({ name }) => name)).toEqual([]);
});

test('the reference of Felix is cited', () => {
  const citing = files.filter(({ name, text }) => name.startsWith('src/calico/') && text.includes(`${REFERENCE}#`));
  expect(citing.length).toBeGreaterThan(30);
});

describe('pages outside of the guides', () => {
  const pages = files
    .map(({ name }) => name)
    .filter(name => /^docs\/(reference\/)?[^/]+\.md$/.test(name))
    .concat(['CONTRIBUTING.md', 'SECURITY.md'].filter(name => existsSync(join(REPOSITORY, name))));

  test.each(pages)('links of %s lead somewhere', name => {
    expect(brokenLinks(name)).toEqual([]);
  });

  test('the reference lists all of its sections', () => {
    const { anchors, links } = page(REFERENCE);
    const [, ...sections] = anchors;
    expect(sections.filter(section => !links.includes(`#${section}`) && section !== 'sources')).toEqual([]);
  });

  test('the reference defines every link label that it uses', () => {
    const { text } = page(REFERENCE);
    const defined = new Set([...text.matchAll(/^\[([^\]]+)\]: https:/gm)].map(([, label]) => label));
    const used = [...text.matchAll(/\]\[([^\]]+)\]|\[(\d+)\]\[\]/g)].map(([, label, own]) => label ?? own);
    expect(used.filter(label => !defined.has(label))).toEqual([]);
    expect([...defined].filter(label => !used.includes(label))).toEqual([]);
  });
});

describe('these checks find', () => {
  test.each([
    ['a missing page', 'see docs/no-such-page.md', /no such page/],
    ['a missing section', `see ${REFERENCE}#no-such-section.`, /#no-such-section/],
    ['the second of two sections', `(${REFERENCE}#mtu, #no-such-section)`, /#no-such-section/],
    ['a section on the next line of a comment', `(${REFERENCE}#mtu and\n * #no-such-section)`, /#no-such-section/],
  ])('%s', (_, text, problem) => {
    expect(problemsIn(text).join()).toMatch(problem);
  });

  test('no problem in valid citations', () => {
    expect(problemsIn(`(${REFERENCE}#mtu, #rule). #privateField`)).toEqual([]);
  });
});

function problemsIn(text: string): string[] {
  return [...text.matchAll(CITATION)].flatMap(([, path, sections]) => {
    if (!existsSync(join(REPOSITORY, path!))) return [`${path}: no such page`];
    const { anchors } = page(path!);
    return [...sections!.matchAll(/#([\w-]+)/g)]
      .filter(([, section]) => !anchors.has(section!))
      .map(([cited]) => `${path} has no ${cited}`);
  });
}
