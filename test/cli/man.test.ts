/** The man pages: generated from the help texts, and free of warnings in man and mandoc. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { manPages } from '../../src/cli/help/man.ts';
import { COMMAND_NAMES, commandModel } from '../../src/cli/help/models.ts';
import { wireguardTs } from '../../src/cli/help/texts/wireguard-ts.ts';
import { testWith } from '../netns/needs.ts';

const pages = await manPages('November 29, 2026');
const folder = mkdtempSync(join(tmpdir(), 'wgts-man-'));
for (const [name, text] of pages) writeFileSync(join(folder, name), text);
afterAll(() => rmSync(folder, { recursive: true }));
/** Warnings about pages that are not installed here. */
const ELSEWHERE = /referenced manual not found|mandoc\.db/;

test('each program and each of the large commands has a page', () => {
  const commands = ['wgts-calico-install.8', 'wgts-calico-uninstall.8', 'wgts-calico.8', 'wgts-verify.8'];
  expect([...pages.keys()].sort()).toEqual([...commands, 'wgts.8', 'wireguard-ts.8']);
});

test('the pages name every command and option', async () => {
  const plain = (name: string) => pages.get(name)!.replaceAll('\\-', '-').replaceAll('Fl -', '--');
  for (const { name } of wireguardTs.options!) expect(plain('wireguard-ts.8')).toContain(name);
  for (const name of COMMAND_NAMES) {
    const model = (await commandModel(name))!;
    const own = `wgts-${name.replace(' ', '-')}.8`;
    const page = plain(pages.has(own) ? own : 'wgts.8');
    expect(plain('wgts.8')).toContain(`.Ss wgts ${name}\n`);
    for (const option of [...(model.options ?? []), ...(model.words ?? [])])
      expect(page, option.name).toMatch(new RegExp(`^\\.It .*${option.name}\\b`, 'm'));
  }
});

describe.each([...pages.keys()])('%s', name => {
  testWith(['mandoc'], 'mandoc reports no problem', () => {
    const { stdout, stderr } = spawnSync('mandoc', ['-T', 'lint', join(folder, name)], { encoding: 'utf8' });
    expect(`${stdout}${stderr}`.split('\n').filter(line => line !== '' && !ELSEWHERE.test(line))).toEqual([]);
  });

  testWith(['man'], 'man renders it without a warning', () => {
    const { status, stdout, stderr } = spawnSync('man', ['--warnings', '-l', join(folder, name)], {
      encoding: 'utf8',
      env: { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80', MANPAGER: 'cat' },
    });
    expect([status, stderr]).toEqual([0, '']);
    for (const section of ['NAME', 'SYNOPSIS', 'DESCRIPTION', 'EXIT STATUS', 'SEE ALSO'])
      expect(stdout).toMatch(new RegExp(`^${section}$`, 'm'));
  });
});
