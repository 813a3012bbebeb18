// Checks that this Node is new enough. Every program of scripts/ imports this file first, and
// imports its other files afterwards: an old Node fails at their syntax before any of them runs.
// Even Node 12 can parse this file.

/** The minimum in `engines` of package.json. */
const OLDEST = [20, 19];

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])) {
  console.error(
    `wireguard-ts: Node ${process.versions.node} is too old: ${OLDEST.join('.')} or newer is needed (npm install -g n && n lts, or https://nodejs.org)`,
  );
  process.exit(1);
}
