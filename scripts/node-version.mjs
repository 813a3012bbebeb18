// The first thing that each program of scripts/ runs: whether this Node is new enough. Written so that even Node 12 can read it, which fails at the
// syntax of the others before any of it runs; so those are imported after this.

/** Of `engines` in package.json. */
const OLDEST = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(
    `wireguard-ts: Node ${process.versions.node} is too old: ${OLDEST.join('.')} or newer is needed (npm install -g n && n lts, or https://nodejs.org)`,
  );
  process.exit(1);
}
