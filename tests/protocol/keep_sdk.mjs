// Keeps the client package as a commit built it, in tests/data/sdk-COMMIT, by hand (CONTRIBUTING.md):
//
//   node keep_sdk.mjs COMMIT
//
// The files are those that a server of that commit serves under /sdk: minified, whole.

import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const root = new URL('../../', import.meta.url).pathname;
const run = (cwd, ...words) => execFileSync(words[0], words.slice(1), { cwd, encoding: 'utf8' }).trim();

const commit = run(root, 'git', 'rev-parse', '--short=7', process.argv[2] ?? 'HEAD');
const shelf = join(root, 'tests', 'data', `sdk-${commit}`);
if (existsSync(shelf)) throw new Error(`${shelf} is there`);
const folder = mkdtempSync(join(tmpdir(), 'belfry-sdk-'));
try {
  run(root, 'git', 'worktree', 'add', '--detach', join(folder, 'tree'), commit);
  const web = join(folder, 'tree', 'web');
  run(web, 'npm', 'ci', '--no-audit', '--no-fund');
  const built = join(folder, 'sdk');
  run(web, 'node', 'build.mjs', '--sdk', built);
  mkdirSync(shelf, { recursive: true });
  // The client and what it loads, at once or later.
  const wanted = ['client.js'];
  for (const name of wanted) {
    copyFileSync(join(built, name), join(shelf, name));
    const parts = readFileSync(join(built, name), 'utf8').matchAll(/["'`]\.\/([\w-]+\.js)["'`]/g);
    for (const [, part] of parts) if (!wanted.includes(part)) wanted.push(part);
  }
  const { version } = JSON.parse(readFileSync(join(web, 'client', 'package.json'), 'utf8'));
  writeFileSync(join(shelf, 'package.json'), '{ "type": "module" }\n');
  writeFileSync(
    join(shelf, 'README.md'),
    `\`@belfry/client\` ${version}, as it was built at ${commit}: \`node keep_sdk.mjs ${commit}\`.
\`tests/protocol/earlier_sdk.test.mjs\` runs it against the server of today.\n`,
  );
} finally {
  run(root, 'git', 'worktree', 'remove', '--force', join(folder, 'tree'));
  rmSync(folder, { recursive: true, force: true });
}
console.log(shelf);
