/** `wgts verify` reports which of Calico's API groups it read. */
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { keyText } from '../calico/agent/cluster.ts';
import { list, node, ScriptedApi } from '../calico/datastore/api/scripted-api.ts';
import { ScriptedCalico, STANDING, V1, V3 } from '../calico/datastore/api/scripted-calico.ts';
import { OWN_RUN, run } from './run-program.ts';

const WGTS = fileURLToPath(new URL('../../dist/program/wgts.cjs', import.meta.url));
const KEY = 'projectcalico.org/WireguardPublicKey';

test('reports which of Calico’s API groups it read, in the table and in JSON', async () => {
  const api = new ScriptedApi();
  await api.start();
  try {
    const calico = new ScriptedCalico(api);
    const locked = { definitions: STANDING, ready: false };
    calico.set(V1, locked);
    calico.set(V3, { ...locked, ready: true });
    api.always(
      'GET /api/v1/nodes',
      list([node('a', '1', { [KEY]: keyText(1) }), node('b', '2', { [KEY]: keyText(2) })], '3'),
    );
    const verify = async (...more: string[]) =>
      await run([...OWN_RUN, process.execPath, WGTS, 'verify', '--kubeconfig', api.kubeconfig, ...more]);
    expect((await verify()).out).toMatch(/\nCalico's objects are read from projectcalico.org\/v3\n$/);
    expect(JSON.parse((await verify('--json')).out)).toMatchObject({ apiGroup: V3 });
    calico.set(V3, undefined);
    expect((await verify()).out).toMatch(/\nCalico's objects are read from crd.projectcalico.org\/v1\n$/);
  } finally {
    await api.close();
  }
});
